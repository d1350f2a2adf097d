//! When the peers and where they are is written down: seldom enough for any disk, at once when one was revoked, and last
//! of all at the end.
//!
//! A disk may be slow or full. Writing is done aside, so that no handshake waits for it, and what could not be written is
//! tried again with the next change. What is written is `mesh_cache`'s business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::warn;

use super::attachment::Mesh;
use super::{SlowPath, Tools};
use crate::mesh_cache::{self, MeshCache};

/// What is still to be written.
#[derive(Default)]
pub(super) struct Recorder {
    due: Option<Instant>,
    writing: Option<JoinHandle<anyhow::Result<()>>>,
    failed: bool,
}

impl Recorder {
    /// Something changed.
    pub(super) fn note(&mut self, now: Instant) {
        self.bring_forward(now + WRITE_AFTER);
    }

    /// A peer is none any more: that is not to be read again.
    pub(super) fn note_removal(&mut self, now: Instant) {
        self.bring_forward(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn bring_forward(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Tells of a failure once, until it works again.
    fn finished(&mut self, result: anyhow::Result<()>) {
        match result {
            Ok(()) => self.failed = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    warn!(error = format!("{error:#}"), "the peers cannot be written down for the next start");
                }
            }
        }
    }

    async fn wait(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.finished(writing.await.unwrap_or_else(|error| Err(error.into())));
        }
    }
}

impl SlowPath {
    /// Writes if it is time.
    pub(super) async fn record_if_due(&mut self, now: Instant) {
        if self.recorder.due.is_none_or(|due| due > now) {
            return;
        }
        if self.recorder.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            self.recorder.due = Some(now + LOOK_AGAIN_AFTER);
            return;
        }
        self.recorder.wait().await;
        self.recorder.due = None;
        self.start_recording(now);
    }

    /// Writes what there is to write, and returns when it is written.
    pub(super) async fn record_last(&mut self, now: Instant) {
        self.recorder.wait().await;
        self.recorder.due = None;
        self.start_recording(now);
        self.recorder.wait().await;
        self.recorder.due = None;
    }

    fn start_recording(&mut self, now: Instant) {
        let Some(mesh) = self.attachment.as_ref().and_then(|attachment| attachment.mesh.as_ref()) else { return };
        let contents = contents(mesh, now);
        let dir = Arc::clone(&self.tools.state_dir);
        self.recorder.writing = Some(tokio::task::spawn_blocking(move || mesh_cache::save(&dir, &contents)));
        // paths that do not change answer all the same: that they did lately is worth knowing after a crash
        self.recorder.due = Some(now + REFRESH_EVERY);
    }
}

impl Tools {
    /// Gives the core what the last run wrote down. What is wrong with it is said, and is no more than a slower start.
    pub(super) fn restore(&self, mesh: &mut Mesh, now: Instant) {
        match MeshCache::load(&self.state_dir, mesh.node.certificate().network) {
            Ok(Some(cache)) => {
                let peers = mesh.node.restore(&cache.memory, now);
                mesh.surroundings.set_servers(cache.stun, now);
                tracing::info!(peers, "peers from memory");
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "what the last run knew of its peers is not used"),
        }
    }
}

fn contents(mesh: &Mesh, now: Instant) -> Vec<u8> {
    let cache = MeshCache { memory: mesh.node.memory(now), stun: mesh.surroundings.servers().to_vec() };
    cache.encode(mesh.node.certificate().network)
}

/// A flash card lives through this for as long as the device that it is in.
const WRITE_AFTER: Duration = Duration::from_secs(10);
const REFRESH_EVERY: Duration = Duration::from_secs(3600);
/// A disk that is busy is asked again after this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
