//! Gives a device another name, and a certificate that says so.

use warren_proto::keys::NodeId;

use super::change_device::{DeviceChange, change_device};
use crate::app::App;
use crate::domain::{Actor, Device, Expected};
use crate::error::Error;

/// Renames an active device; peers learn of it at once.
pub async fn rename_device(app: &App, actor: &Actor, id: NodeId, name: &str) -> Result<Device, Error> {
    let change = DeviceChange { name: Some(name.to_owned()), ..DeviceChange::default() };
    change_device(app, actor, id, change, &Expected::Any).await
}
