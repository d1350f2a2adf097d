//! Has a device use the relay only, or lets it look for direct paths again.

use warren_proto::keys::NodeId;

use super::audit;
use crate::app::App;
use crate::domain::{Actor, Device, DeviceState};
use crate::error::Error;
use crate::store::ChangeKind;

/// Sets whether an active device uses the relay only; it and its peers learn of it at once.
pub async fn hold_to_relay(app: &App, actor: &Actor, id: NodeId, relay_only: bool) -> Result<Device, Error> {
    let mut tx = app.store().begin().await?;
    let mut device = tx.device(id).await?.ok_or(Error::DeviceUnknown)?;
    if device.state != DeviceState::Active {
        return Err(Error::DeviceRevoked);
    }
    if device.relay_only == relay_only {
        return Ok(device);
    }
    device.relay_only = relay_only;
    tx.hold_to_relay(id, relay_only).await?;
    tx.log_change(ChangeKind::Device, id, app.now()).await?;
    let action = if relay_only { "device.hold-to-relay" } else { "device.release-from-relay" };
    audit(app, &mut tx, actor, action, id, "").await?;
    tx.commit().await?;
    app.hub().refresh(app.store()).await;
    Ok(device)
}
