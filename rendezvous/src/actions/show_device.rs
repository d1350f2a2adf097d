//! One device, in whatever state, with what is known of it and of the others at this moment.

use warren_proto::keys::NodeId;

use super::list_devices::{DeviceView, list_devices};
use crate::app::App;
use crate::error::Error;

/// The device, and every active one (itself too, if it is active) for the names of its peers.
pub async fn show_device(app: &App, id: NodeId) -> Result<(DeviceView, Vec<DeviceView>), Error> {
    let active = list_devices(app).await?;
    if let Some(view) = active.iter().find(|view| view.device.id == id) {
        return Ok((view.clone(), active));
    }
    let device = app.store().device(id).await?.ok_or(Error::DeviceUnknown)?;
    Ok((DeviceView { device, presence: None, paths: Vec::new() }, active))
}
