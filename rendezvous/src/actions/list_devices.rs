//! The devices of the mesh with what is known of them at this moment.

use warren_coordinator::{Presence, ReportedPath};

use crate::app::App;
use crate::domain::Device;
use crate::error::Error;

/// A device, and what is known of it at this moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceView {
    /// As stored.
    pub device: Device,
    /// Its connection, while it is online.
    pub presence: Option<Presence>,
    /// Its paths, as it last reported them; by peer.
    pub paths: Vec<ReportedPath>,
}

/// Every active device, by name.
pub async fn list_devices(app: &App) -> Result<Vec<DeviceView>, Error> {
    let devices = app.store().active_devices().await?;
    Ok(app.hub().describe(devices, |device, presence, paths| DeviceView { device, presence, paths }))
}
