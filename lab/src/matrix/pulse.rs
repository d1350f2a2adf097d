//! A thin stream of datagrams through the overlay, and when the first of them arrived.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::namespace::Namespace;

/// A stream that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    stop: Arc<AtomicBool>,
    arrived: Arc<OnceLock<Instant>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pulse {
    /// Begins to send to an overlay address, which the far host need not have yet.
    pub(super) fn start(from: &Namespace, to: &Namespace, target: Ipv4Addr) -> Result<Self> {
        let any = (Ipv4Addr::UNSPECIFIED, PORT);
        let outgoing = from.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?.context("open the pulse")?;
        let arriving = to.inside(|| UdpSocket::bind(any))?.context("open the pulse's end")?;
        arriving.set_read_timeout(Some(Duration::from_millis(20)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let arrived = Arc::new(OnceLock::new());
        let began = Instant::now();
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::Relaxed) {
                    // Refused while there is no route yet.
                    let _ = outgoing.send_to(&[0; SIZE], (target, PORT));
                    thread::sleep(INTERVAL);
                }
            }
        });
        let receiver = thread::spawn({
            let (stop, arrived) = (Arc::clone(&stop), Arc::clone(&arrived));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    if arriving.recv(&mut [0; SIZE]).is_ok() {
                        arrived.get_or_init(Instant::now);
                    }
                }
            }
        });
        Ok(Self { began, stop, arrived, threads: vec![sender, receiver] })
    }

    /// How long after the beginning the first datagram arrived, if one has.
    pub(super) fn first_after(&self) -> Option<Duration> {
        self.arrived.get().map(|at| at.duration_since(self.began))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Neither does anything that panics.
            let _ = thread.join();
        }
    }
}

const PORT: u16 = 9100;
const INTERVAL: Duration = Duration::from_millis(5);
/// Neither a probe nor anything else of Warren's has this size.
const SIZE: usize = 777;
/// The length in the outer UDP header: the inner UDP header (8) and the payload, filled up to whole words with the two
/// bytes of ESP's trailer, behind UDP and ESP headers (16) and before the tag (16).
pub(super) const OUTER: usize = 16 + (8 + SIZE + 2).next_multiple_of(4) + 16;
