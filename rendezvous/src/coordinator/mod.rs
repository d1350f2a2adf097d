//! Who is online and what paths they report. Sans-IO: time comes in, messages go out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use warren_proto::control::PathReport;
use warren_proto::keys::{NodeId, UnixTime};

/// The control connection of an online device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// When it connected.
    pub since: UnixTime,
    /// Its address as this server sees it.
    pub observed: SocketAddr,
    /// Round-trip time of the control connection.
    pub rtt: Duration,
}

/// What a device said of its path to one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportedPath {
    /// When it said so.
    pub at: UnixTime,
    /// What it said.
    pub report: PathReport,
}

/// Presence and paths of the whole mesh, in memory only.
#[derive(Debug, Default)]
pub struct Coordinator {
    online: BTreeMap<NodeId, Online>,
}

#[derive(Debug)]
struct Online {
    presence: Presence,
    paths: BTreeMap<NodeId, ReportedPath>,
}

impl Coordinator {
    /// The connection of a device, while it is online.
    pub fn presence(&self, device: NodeId) -> Option<&Presence> {
        self.online.get(&device).map(|online| &online.presence)
    }

    /// The paths of an online device, by peer.
    pub fn paths(&self, device: NodeId) -> impl Iterator<Item = &ReportedPath> {
        self.online.get(&device).into_iter().flat_map(|online| online.paths.values())
    }
}
