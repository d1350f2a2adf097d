//! Two marks on an association that every packet looks at and almost none finds set: closed, and "wake the slow path".
//!
//! Both share one byte, so that a packet costs one relaxed load.

use std::sync::atomic::{AtomicU8, Ordering};

/// The marks of one association; both clear at first.
#[derive(Debug, Default)]
pub(super) struct Signal(AtomicU8);

impl Signal {
    /// Lets nothing pass any more.
    pub(super) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Asks to hear of the next packet.
    pub(super) fn arm_wake(&self) {
        self.0.fetch_or(WAKE, Ordering::Relaxed);
    }

    /// Whether to tell now: true once for each time it was armed, whoever asks first.
    pub(super) fn take_wake(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WAKE != 0 && self.0.fetch_and(!WAKE, Ordering::Relaxed) & WAKE != 0
    }
}

const CLOSED: u8 = 1;
const WAKE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_taken_once_and_survives_a_close() {
        let signal = Signal::default();

        signal.arm_wake();
        signal.close();

        assert!(signal.take_wake());
        assert!(!signal.take_wake());
        assert!(signal.is_closed());
    }
}
