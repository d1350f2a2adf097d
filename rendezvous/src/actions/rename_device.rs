//! Gives a device another name, and a certificate that says so.

use warren_proto::keys::NodeId;

use super::audit;
use super::certify::certify;
use crate::app::App;
use crate::domain::{Actor, Device, DeviceName, DeviceState};
use crate::error::Error;
use crate::store::ChangeKind;

/// Renames an active device; peers learn of it at once.
pub async fn rename_device(app: &App, actor: &Actor, id: NodeId, name: &str) -> Result<Device, Error> {
    let name = DeviceName::parse(name.trim()).ok_or(Error::NameInvalid)?;
    let mut tx = app.store().begin().await?;
    tx.log_change(ChangeKind::Device, id, app.now()).await?;
    let mut device = tx.device(id).await?.ok_or(Error::DeviceUnknown)?;
    if device.state != DeviceState::Active {
        return Err(Error::DeviceRevoked);
    }
    if device.name == name {
        return Ok(device);
    }
    if tx.names_like(&name).await?.iter().any(|taken| taken == name.as_str()) {
        return Err(Error::NameTaken);
    }
    let before = std::mem::replace(&mut device.name, name);
    certify(app, &mut device)?;
    tx.certify_device(&device).await?;
    audit(app, &mut tx, actor, "device.rename", id, format!("{before} -> {}", device.name)).await?;
    tx.commit().await?;
    app.hub().refresh(app.store()).await;
    Ok(device)
}
