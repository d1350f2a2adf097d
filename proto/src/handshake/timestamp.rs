//! The time in INIT: each one's must be greater than the last, so that a recorded INIT is not answered again.
//!
//! TAI64N: 8 bytes of seconds, 4 of nanoseconds, big-endian, so that bytes compare as times do. Rounded down to
//! 2^24 ns (17 ms), as WireGuard does, so that it is no clock for timing attacks.

use crate::keys::UnixTime;

/// A rounded time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tai64n([u8; 12]);

impl Tai64n {
    /// From the wall clock.
    pub fn from_unix(time: UnixTime) -> Self {
        let since_epoch = time.since_epoch();
        Self::from_parts(since_epoch.as_secs().saturating_add(EPOCH), since_epoch.subsec_nanos() & !(QUANTUM - 1))
    }

    /// This time, or if the clock has not moved on from `last`, the least one after it.
    #[must_use]
    pub fn after(self, last: Self) -> Self {
        self.max(last.next())
    }

    fn next(self) -> Self {
        let [s @ .., n0, n1, n2, n3] = self.0;
        let seconds = u64::from_be_bytes(s);
        match u32::from_be_bytes([n0, n1, n2, n3]).saturating_add(QUANTUM) {
            nanos @ ..1_000_000_000 => Self::from_parts(seconds, nanos),
            _ => Self::from_parts(seconds.saturating_add(1), 0),
        }
    }

    fn from_parts(seconds: u64, nanos: u32) -> Self {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&nanos.to_be_bytes());
        Self(bytes)
    }

    pub(super) const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

/// 1970-01-01 as a TAI64 label: 2^62, and the 10 s by which TAI was then ahead of UTC.
const EPOCH: u64 = (1 << 62) + 10;
const QUANTUM: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_rounded_down_and_labelled() {
        let time = Tai64n::from_unix(UnixTime::new(Duration::new(1_700_000_000, 999_999_999)));

        assert_eq!(time.0, [0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x3b, 0, 0, 0]);
    }

    #[test]
    fn later_times_compare_as_greater() {
        let at = |secs, nanos| Tai64n::from_unix(UnixTime::new(Duration::new(secs, nanos)));

        assert!(at(1, 0) < at(1, QUANTUM) && at(1, 999_999_999) < at(2, 0) && at(255, 0) < at(256, 0));
        assert_eq!(at(1, 0), at(1, QUANTUM - 1));
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_still_gives_greater_times() {
        let now = Tai64n::from_unix(UnixTime::from_secs(1_000_000));
        let mut last = now;

        for _ in 0..200 {
            let next = now.after(last);
            assert!(next > last);
            last = next;
        }
        assert!(Tai64n::from_unix(UnixTime::from_secs(5)).after(last) > last);
    }

    #[test]
    fn no_bytes_overflow() {
        assert_eq!(Tai64n([0xff; 12]).next().0, [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]);
    }
}
