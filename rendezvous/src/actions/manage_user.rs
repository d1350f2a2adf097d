//! Changes to somebody else's account: role, disabled or not, removed. Who is changed is signed out everywhere, so that
//! nothing they have open outlives what they may do.

use sqlx::types::Uuid;

use super::audit;
use super::revoke_device::revoke_device;
use crate::app::App;
use crate::domain::{Actor, Expected, Role, Scope, Version};
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

/// What is to be different; `None` stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UserChange {
    /// Whether they are kept out.
    pub disabled: Option<bool>,
    /// What they may do.
    pub role: Option<Role>,
}

/// Changes an account, if it is what is expected. The devices of one who is kept out stay; their unused invites are
/// withdrawn.
pub async fn change_user(
    app: &App,
    by: By<'_>,
    id: Uuid,
    change: UserChange,
    expected: &Expected,
) -> Result<AdminUser, Error> {
    let mut tx = app.store().begin().await?;
    let before = manageable(&mut tx, by, id).await?;
    if !expected.holds(version(&before)) {
        return Err(Error::ChangedMeanwhile);
    }
    let mut user = before.clone();
    if let Some(role) = change.role.filter(|role| *role != user.role) {
        change_role(app, &mut tx, by, &mut user, role).await?;
    }
    if let Some(disabled) = change.disabled.filter(|disabled| *disabled != user.disabled_at.is_some()) {
        set_disabled(app, &mut tx, by, &mut user, disabled).await?;
    }
    if version(&user) != version(&before) {
        tx.commit().await?;
    }
    Ok(user)
}

async fn change_role(app: &App, tx: &mut Tx, by: By<'_>, user: &mut AdminUser, role: Role) -> Result<(), Error> {
    if !by.role.may_manage(role) {
        return Err(Error::NotAllowed);
    }
    keep_an_owner(tx, user).await?;
    tx.set_admin_role(user.id, role).await?;
    tx.delete_sessions_of(user.id).await?;
    if !role.may_add_devices() {
        tx.revoke_invites_of(user.id, app.now()).await?;
    }
    audit(app, tx, by.actor, "user.role", &user.name, format!("{} -> {role}", user.role)).await?;
    user.role = role;
    Ok(())
}

async fn set_disabled(app: &App, tx: &mut Tx, by: By<'_>, user: &mut AdminUser, disabled: bool) -> Result<(), Error> {
    let now = app.now();
    if disabled {
        keep_an_owner(tx, user).await?;
        tx.delete_sessions_of(user.id).await?;
        tx.delete_reset_links(user.id).await?;
        tx.revoke_invites_of(user.id, now).await?;
    }
    user.disabled_at = disabled.then_some(now);
    tx.set_admin_disabled(user.id, user.disabled_at).await?;
    let action = if disabled { "user.disable" } else { "user.enable" };
    audit(app, tx, by.actor, action, &user.name, "").await
}

/// Removes an account. Its devices are revoked too, or belong to nobody from here on.
pub async fn remove_user(
    app: &App,
    by: By<'_>,
    id: Uuid,
    revoke_devices: bool,
    expected: &Expected,
) -> Result<AdminUser, Error> {
    // what may not be done must be refused before any device is touched
    let mut tx = app.store().begin().await?;
    let user = manageable(&mut tx, by, id).await?;
    if !expected.holds(version(&user)) {
        return Err(Error::ChangedMeanwhile);
    }
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

/// Names what others can change of an account.
pub(crate) fn version(user: &AdminUser) -> Version {
    let disabled = if user.disabled_at.is_some() { "disabled" } else { "" };
    Version::of(&[&user.name, user.role.name(), disabled])
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
