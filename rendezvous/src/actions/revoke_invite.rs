//! Withdraws an invite: it enrols nobody any more.

use sqlx::types::Uuid;
use warren_proto::keys::NodeId;

use super::audit;
use super::revoke_device::revoke_device;
use crate::app::App;
use crate::domain::Actor;
use crate::error::Error;
use crate::store::StoredInvite;

/// Withdraws an invite; devices that it has enrolled stay. Withdrawing it again changes nothing.
pub async fn revoke_invite(app: &App, actor: &Actor, id: Uuid) -> Result<StoredInvite, Error> {
    let mut tx = app.store().begin().await?;
    if tx.revoke_invite(id, app.now()).await? {
        audit(app, &mut tx, actor, "invite.revoke", id, "").await?;
    }
    tx.commit().await?;
    app.store().invite(id).await?.ok_or(Error::InviteUnknown)
}

/// Withdraws an invite, and with it the devices that it has enrolled. Says how many those were. The invite goes first, so
/// that nobody comes by it meanwhile; asked again after a failure, it goes on with those that are left.
pub async fn revoke_invite_with_devices(app: &App, actor: &Actor, id: Uuid) -> Result<usize, Error> {
    revoke_invite(app, actor, id).await?;
    let devices = app.store().active_devices().await?;
    let made: Vec<NodeId> =
        devices.iter().filter(|device| device.invite_id == Some(id)).map(|device| device.id).collect();
    for device in &made {
        revoke_device(app, actor, *device).await?;
    }
    Ok(made.len())
}
