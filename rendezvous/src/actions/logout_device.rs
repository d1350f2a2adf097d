//! A device leaves by itself.

use warren_proto::keys::NodeId;

use super::revoke_device::end_device;
use crate::app::App;
use crate::domain::{Actor, DeviceState, Expected};
use crate::error::Error;

/// Ends the device's membership; its name and addresses become free.
pub async fn logout_device(app: &App, id: NodeId) -> Result<(), Error> {
    end_device(app, &Actor::Device(id), id, DeviceState::LoggedOut, &Expected::Any).await.map(drop)
}
