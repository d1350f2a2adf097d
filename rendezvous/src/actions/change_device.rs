//! Changes what an administrator may change of a device, all of it or nothing.

use warren_proto::keys::NodeId;

use super::audit_change;
use super::certify::certify;
use crate::app::App;
use crate::domain::{Actor, Device, DeviceName, DeviceState, Expected, check_tags};
use crate::error::Error;
use crate::store::{ChangeKind, Tx};

/// What is to be different; `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceChange {
    /// Another name, and a certificate that says so.
    pub name: Option<String>,
    /// Other tags.
    pub tags: Option<Vec<String>>,
    /// Whether it is to use the relay only.
    pub relay_only: Option<bool>,
}

/// Changes an active device, if it is what is expected; it and its peers learn of it at once.
pub async fn change_device(
    app: &App,
    actor: &Actor,
    id: NodeId,
    change: DeviceChange,
    expected: &Expected,
) -> Result<Device, Error> {
    let name = change.name.map(|name| DeviceName::parse(name.trim()).ok_or(Error::NameInvalid)).transpose()?;
    let tags = change.tags.map(|tags| check_tags(tags).ok_or(Error::TagsInvalid)).transpose()?;
    let mut tx = app.store().begin().await?;
    let mut device = tx.device(id).await?.ok_or(Error::DeviceUnknown)?;
    if device.state != DeviceState::Active {
        return Err(Error::DeviceRevoked);
    }
    if !expected.holds(device.version()) {
        return Err(Error::ChangedMeanwhile);
    }
    let before = device.version();
    if let Some(name) = name.filter(|name| *name != device.name) {
        rename(app, &mut tx, actor, &mut device, name).await?;
    }
    if let Some(tags) = tags.filter(|tags| *tags != device.tags) {
        tx.set_device_tags(id, &tags).await?;
        let (before, after) = (device.tags.join(", "), tags.join(", "));
        device.tags = tags;
        let detail = format!("{before} -> {after}");
        audit_change(app, &mut tx, actor, "device.tag", id, detail, &[("tags", &before, &after)]).await?;
    }
    if let Some(relay_only) = change.relay_only.filter(|relay_only| *relay_only != device.relay_only) {
        tx.hold_to_relay(id, relay_only).await?;
        device.relay_only = relay_only;
        let action = if relay_only { "device.hold-to-relay" } else { "device.release-from-relay" };
        let words = |held: bool| if held { "relay only" } else { "direct where possible" };
        let changes = [("paths", words(!relay_only), words(relay_only))];
        audit_change(app, &mut tx, actor, action, id, "", &changes).await?;
    }
    if device.version() == before {
        return Ok(device);
    }
    tx.log_change(ChangeKind::Device, id, app.now()).await?;
    tx.commit().await?;
    app.hub().refresh(app.store()).await;
    Ok(device)
}

async fn rename(app: &App, tx: &mut Tx, actor: &Actor, device: &mut Device, name: DeviceName) -> Result<(), Error> {
    if tx.names_like(&name).await?.iter().any(|taken| taken == name.as_str()) {
        return Err(Error::NameTaken);
    }
    let before = std::mem::replace(&mut device.name, name);
    certify(app, device)?;
    tx.certify_device(device).await?;
    let detail = format!("{before} -> {}", device.name);
    let changes = [("name", before.as_str(), device.name.as_str())];
    audit_change(app, tx, actor, "device.rename", device.id, detail, &changes).await
}
