//! Has a device use the relay only, or lets it look for direct paths again.

use warren_proto::keys::NodeId;

use super::change_device::{DeviceChange, change_device};
use crate::app::App;
use crate::domain::{Actor, Device, Expected};
use crate::error::Error;

/// Sets whether an active device uses the relay only; it and its peers learn of it at once.
pub async fn hold_to_relay(app: &App, actor: &Actor, id: NodeId, relay_only: bool) -> Result<Device, Error> {
    let change = DeviceChange { relay_only: Some(relay_only), ..DeviceChange::default() };
    change_device(app, actor, id, change, &Expected::Any).await
}
