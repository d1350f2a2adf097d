//! Where connections, actions and pages meet: the coordinator behind a lock, and a channel that says "look again".

use std::sync::Mutex;

use tokio::sync::broadcast;
use warren_proto::keys::NodeId;

use crate::coordinator::{Coordinator, Presence, ReportedPath};
use crate::domain::Device;
use crate::store::Store;

/// Something a page may show has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiveEvent {
    /// Devices were enrolled, renamed or ended: everything up to this revision.
    Devices {
        /// Of the change log.
        revision: u64,
    },
    /// A device reported a path to a peer.
    Path {
        /// Who reports.
        from: NodeId,
        /// The peer.
        to: NodeId,
    },
    /// A device came or went.
    Presence {
        /// Which.
        device: NodeId,
    },
}

/// Who is connected, and what they report.
#[derive(Debug)]
pub struct Hub {
    coordinator: Mutex<Coordinator>,
    events: broadcast::Sender<LiveEvent>,
}

impl Hub {
    /// A hub with nobody connected.
    pub fn new(_seed: u64) -> Self {
        Self { coordinator: Mutex::default(), events: broadcast::Sender::new(EVENTS) }
    }

    /// Follows what changes; a receiver that lags has missed something and looks at everything again.
    pub fn subscribe(&self) -> broadcast::Receiver<LiveEvent> {
        self.events.subscribe()
    }

    /// Joins devices with what is known of them at this moment.
    pub fn describe<T>(
        &self,
        devices: Vec<Device>,
        view: impl Fn(Device, Option<Presence>, Vec<ReportedPath>) -> T,
    ) -> Vec<T> {
        let coordinator = self.coordinator.lock().expect("nothing panics while it holds the coordinator");
        devices
            .into_iter()
            .map(|device| {
                let id = device.id;
                view(device, coordinator.presence(id).cloned(), coordinator.paths(id).cloned().collect())
            })
            .collect()
    }

    /// Takes what the database has and we have not, after somebody committed a change.
    pub async fn refresh(&self, store: &Store) {
        if let Ok(revision) = store.revision().await {
            // nobody listening is fine
            let _ = self.events.send(LiveEvent::Devices { revision });
        }
    }
}

/// How far a page may lag before it looks at everything again.
const EVENTS: usize = 1024;
