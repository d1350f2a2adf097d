//! The active devices as pages and lists read them: one reading of the database for everybody who looks.
//!
//! The change log's revision tells whether a reading still holds. What the log does not count (when a device was last seen,
//! which version its agent has) is as old as `FRESH_FOR` at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::domain::Device;
use crate::store::{self, Store};

/// Every active device, by name.
pub(crate) type Devices = Arc<[Arc<Device>]>;

/// Holds the last reading.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    revision: u64,
    at: Instant,
    devices: Devices,
}

impl Roster {
    /// The devices as of this moment.
    pub(crate) async fn devices(&self, store: &Store) -> store::Result<Devices> {
        // held while reading: those who ask meanwhile want the same answer
        let mut held = self.0.lock().await;
        let revision = store.revision().await?;
        if let Some(held) = held.as_ref().filter(|held| held.revision == revision && held.at.elapsed() < FRESH_FOR) {
            return Ok(Arc::clone(&held.devices));
        }
        let at = Instant::now();
        let devices: Devices = store.active_devices().await?.into_iter().map(Arc::new).collect();
        *held = Some(Held { revision, at, devices: Arc::clone(&devices) });
        Ok(devices)
    }
}

/// As often as the hub writes down who was seen.
const FRESH_FOR: Duration = Duration::from_secs(5);
