//! Removes a device from the mesh for good.

use warren_proto::keys::NodeId;

use super::audit;
use crate::app::App;
use crate::domain::{Actor, Device, DeviceState, Expected};
use crate::error::Error;
use crate::store::ChangeKind;

/// Revokes an active device: its connection is ended, its peers close their associations with it. Revoking one that
/// has ended changes nothing.
pub async fn revoke_device(app: &App, actor: &Actor, id: NodeId) -> Result<Device, Error> {
    end_device(app, actor, id, DeviceState::Revoked, &Expected::Any).await
}

/// As `revoke_device`, if the device is what is expected.
pub async fn revoke_expected_device(
    app: &App,
    actor: &Actor,
    id: NodeId,
    expected: &Expected,
) -> Result<Device, Error> {
    end_device(app, actor, id, DeviceState::Revoked, expected).await
}

/// Ends a device for either reason.
pub(super) async fn end_device(
    app: &App,
    actor: &Actor,
    id: NodeId,
    state: DeviceState,
    expected: &Expected,
) -> Result<Device, Error> {
    let now = app.now();
    let mut tx = app.store().begin().await?;
    let before = tx.device(id).await?.ok_or(Error::DeviceUnknown)?;
    if !expected.holds(before.version()) {
        return Err(Error::ChangedMeanwhile);
    }
    if tx.end_device(id, state, now).await? {
        tx.log_change(ChangeKind::Device, id, now).await?;
        tx.release_addresses(id).await?;
        let action = if state == DeviceState::Revoked { "device.revoke" } else { "device.logout" };
        audit(app, &mut tx, actor, action, id, "").await?;
    }
    let device = tx.device(id).await?.ok_or(Error::DeviceUnknown)?;
    tx.commit().await?;
    app.hub().refresh(app.store()).await;
    Ok(device)
}
