//! One device, in whatever state, with what is known of it and of the others at this moment.

use std::collections::BTreeMap;

use warren_coordinator::Verdict;
use warren_proto::control::CandidateSet;
use warren_proto::keys::NodeId;

use super::list_devices::{DeviceView, list_devices};
use crate::app::App;
use crate::error::Error;

/// A device and those around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownDevice {
    /// The device.
    pub view: DeviceView,
    /// Every active one (itself too, if it is active) for the names of its peers.
    pub active: Vec<DeviceView>,
    /// Where it says that it may be reached, and what it says of its NAT, while it is online.
    pub candidates: Option<CandidateSet>,
    /// Why the paths to its peers are what they are, where both ends were asked.
    pub verdicts: BTreeMap<NodeId, Verdict>,
}

/// The device with this id.
pub async fn show_device(app: &App, id: NodeId) -> Result<ShownDevice, Error> {
    let active = list_devices(app).await?;
    if let Some(view) = active.iter().find(|view| view.device.id == id).cloned() {
        let peers = active.iter().filter(|peer| peer.device.id != id && peer.presence.is_some());
        let verdict = |peer: &DeviceView| Some((peer.device.id, app.hub().explain(id, peer.device.id)?.0.verdict));
        let verdicts = peers.filter_map(verdict).collect();
        return Ok(ShownDevice { view, verdicts, candidates: app.hub().candidates(id), active });
    }
    let device = app.store().device(id).await?.ok_or(Error::DeviceUnknown)?;
    let view = DeviceView { device, presence: None, paths: Vec::new() };
    Ok(ShownDevice { view, active, candidates: None, verdicts: BTreeMap::new() })
}
