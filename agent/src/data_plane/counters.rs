//! What was dropped before a peer was known, and what the kernel would not take. Numbers alone, no addresses.

use std::sync::atomic::{AtomicU64, Ordering};

use warren_proto::io::Discard;

/// Counters of the packet threads; what can be laid at a peer's door is in that peer's `PeerStats`.
#[derive(Debug)]
pub struct Counters {
    discards: [AtomicU64; Discard::ALL.len()],
    udp_refused: AtomicU64,
    tun_refused: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        let discards = std::array::from_fn(|_| AtomicU64::default());
        Self { discards, udp_refused: AtomicU64::default(), tun_refused: AtomicU64::default() }
    }
}

impl Counters {
    /// The reasons that occurred, with how often.
    pub fn discards(&self) -> impl Iterator<Item = (Discard, u64)> {
        let counts = self.discards.iter().map(|count| count.load(Ordering::Relaxed));
        Discard::ALL.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// Sealed datagrams that the kernel did not send: no route, larger than the interface, buffer full.
    pub fn udp_refused(&self) -> u64 {
        self.udp_refused.load(Ordering::Relaxed)
    }

    /// Packets that the TUN device did not take.
    pub fn tun_refused(&self) -> u64 {
        self.tun_refused.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, reason: Discard) {
        self.count_all(1, reason);
    }

    pub(super) fn count_all(&self, packets: usize, reason: Discard) {
        add(&self.discards[reason as usize], packets);
    }

    pub(super) fn count_udp_refused(&self, datagrams: usize) {
        add(&self.udp_refused, datagrams);
    }

    pub(super) fn count_tun_refused(&self, packets: usize) {
        add(&self.tun_refused, packets);
    }
}

/// Counters order nothing.
fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}
