//! What one peer's traffic amounts to: counters that both packet threads add to and `status` reads. No decisions.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::inner::Form;
use crate::io::Discard;

/// Counters of inner packets; bytes are those of the inner packets, so that both ends agree.
#[derive(Debug)]
pub struct PeerStats {
    /// Bytes received.
    pub rx_bytes: AtomicU64,
    /// Bytes sent.
    pub tx_bytes: AtomicU64,
    /// Packets received.
    pub rx_packets: AtomicU64,
    /// Packets sent.
    pub tx_packets: AtomicU64,
    /// Of the packets sent, those whose header could not be rebuilt and travelled whole.
    pub tx_whole: AtomicU64,
    /// Probes sent to find, measure and keep paths, answers not counted.
    pub probes: AtomicU64,
    /// Packets thrown away, by the index of their [`Discard`].
    pub dropped: [AtomicU64; Discard::ALL.len()],
}

impl Default for PeerStats {
    fn default() -> Self {
        let zero = AtomicU64::default;
        let (rx_bytes, tx_bytes, rx_packets, tx_packets, tx_whole) = (zero(), zero(), zero(), zero(), zero());
        let probes = zero();
        let dropped = std::array::from_fn(|_| zero());
        Self { rx_bytes, tx_bytes, rx_packets, tx_packets, tx_whole, probes, dropped }
    }
}

impl PeerStats {
    /// Inner packets of together `bytes` arrived.
    pub fn count_received(&self, packets: usize, bytes: usize) {
        add(&self.rx_packets, packets as u64);
        add(&self.rx_bytes, bytes as u64);
    }

    /// Inner packets of together `bytes` left in this form.
    pub fn count_sent(&self, packets: usize, bytes: usize, form: Form) {
        add(&self.tx_packets, packets as u64);
        add(&self.tx_bytes, bytes as u64);
        if form == Form::Whole {
            add(&self.tx_whole, packets as u64);
        }
    }

    /// A probe was sent.
    pub fn count_probe(&self) {
        add(&self.probes, 1);
    }

    /// One packet was thrown away.
    pub fn count_dropped(&self, reason: Discard) {
        self.count_all_dropped(1, reason);
    }

    /// Packets were thrown away for one reason.
    pub fn count_all_dropped(&self, packets: usize, reason: Discard) {
        add(&self.dropped[reason as usize], packets as u64);
    }

    /// The reasons that occurred, with how often.
    pub fn dropped(&self) -> impl Iterator<Item = (Discard, u64)> {
        let counts = self.dropped.iter().map(|count| count.load(Ordering::Relaxed));
        Discard::ALL.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
    }
}

/// Counters order nothing.
fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reasons_that_occurred_are_listed() {
        let stats = PeerStats::default();

        stats.count_dropped(Discard::Authentication);
        stats.count_all_dropped(2, Discard::Authentication);

        assert_eq!(stats.dropped().collect::<Vec<_>>(), [(Discard::Authentication, 3)]);
    }
}
