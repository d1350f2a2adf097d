//! Changes to somebody else's account: role, disabled or not, removed. Who is changed is signed out everywhere, so that
//! nothing they have open outlives what they may do.

use sqlx::types::Uuid;

use super::audit;
use super::revoke_device::revoke_device;
use crate::app::App;
use crate::domain::{Actor, Role, Scope};
use crate::error::Error;
use crate::store::{AdminUser, Tx};

/// Who changes it, and what they are.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// For the log.
    pub actor: &'a Actor,
    /// Owners are for owners only; the server's own shell counts as one.
    pub role: Role,
}

/// Gives an account another role.
pub async fn change_role(app: &App, by: By<'_>, id: Uuid, role: Role) -> Result<AdminUser, Error> {
    let mut tx = app.store().begin().await?;
    let user = manageable(&mut tx, by, id).await?;
    if !by.role.may_manage(role) {
        return Err(Error::NotAllowed);
    }
    if user.role == role {
        return Ok(user);
    }
    if role != Role::Owner {
        keep_an_owner(&mut tx, &user).await?;
    }
    tx.set_admin_role(id, role).await?;
    tx.delete_sessions_of(id).await?;
    if !role.may_add_devices() {
        tx.revoke_invites_of(id, app.now()).await?;
    }
    audit(app, &mut tx, by.actor, "user.role", &user.name, format!("{} -> {role}", user.role)).await?;
    tx.commit().await?;
    Ok(AdminUser { role, ..user })
}

/// Keeps somebody out, or lets them in again. Their devices stay; their unused invites are withdrawn.
pub async fn set_disabled(app: &App, by: By<'_>, id: Uuid, disabled: bool) -> Result<AdminUser, Error> {
    let now = app.now();
    let mut tx = app.store().begin().await?;
    let user = manageable(&mut tx, by, id).await?;
    if user.disabled_at.is_some() == disabled {
        return Ok(user);
    }
    if disabled {
        keep_an_owner(&mut tx, &user).await?;
        tx.delete_sessions_of(id).await?;
        tx.delete_reset_links(id).await?;
        tx.revoke_invites_of(id, now).await?;
    }
    let disabled_at = disabled.then_some(now);
    tx.set_admin_disabled(id, disabled_at).await?;
    let action = if disabled { "user.disable" } else { "user.enable" };
    audit(app, &mut tx, by.actor, action, &user.name, "").await?;
    tx.commit().await?;
    Ok(AdminUser { disabled_at, ..user })
}

/// Removes an account. Its devices are revoked too, or belong to nobody from here on.
pub async fn remove_user(app: &App, by: By<'_>, id: Uuid, revoke_devices: bool) -> Result<AdminUser, Error> {
    // what may not be done must be refused before any device is touched
    let mut tx = app.store().begin().await?;
    let user = manageable(&mut tx, by, id).await?;
    keep_an_owner(&mut tx, &user).await?;
    tx.revoke_invites_of(id, app.now()).await?;
    tx.commit().await?;
    if revoke_devices {
        for device in app.store().active_devices().await?.iter().filter(|device| Scope::Own(id).holds(device)) {
            revoke_device(app, by.actor, device.id).await?;
        }
    }
    let mut tx = app.store().begin().await?;
    let user = manageable(&mut tx, by, user.id).await?;
    keep_an_owner(&mut tx, &user).await?;
    tx.delete_admin(id).await?;
    audit(app, &mut tx, by.actor, "user.remove", &user.name, user.role).await?;
    tx.commit().await?;
    Ok(user)
}

/// The account, if it is one that may be changed by them.
pub(super) async fn manageable(tx: &mut Tx, by: By<'_>, id: Uuid) -> Result<AdminUser, Error> {
    let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
    if by.role.may_manage(user.role) { Ok(user) } else { Err(Error::NotAllowed) }
}

/// Refuses what would leave nobody who can do everything.
async fn keep_an_owner(tx: &mut Tx, user: &AdminUser) -> Result<(), Error> {
    let counts = user.role == Role::Owner && user.disabled_at.is_none();
    if counts && tx.active_owner_count().await? <= 1 { Err(Error::LastOwner) } else { Ok(()) }
}
