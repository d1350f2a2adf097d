//! How long to wait before trying again: doubling, with jitter, so that a restarted server is not met by all at once.

use std::time::Duration;

/// The waits of one row of failures.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait; `random` is any random number.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Half fixed, half random: never at once, never all together.
        ceiling / 2 + ceiling.mul_f64(f64::from(random) / f64::from(u32::MAX)) / 2
    }

    /// The longest wait, for a server that asks to be left alone.
    pub(super) fn longest(&mut self, random: u32) -> Duration {
        self.failures = MAX_DOUBLINGS;
        self.next(random)
    }

    /// After a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

const FIRST: Duration = Duration::from_millis(200);
/// A server back from a restart has its devices back within this.
const LONGEST: Duration = Duration::from_secs(15);
/// 200 ms x 2^7 is beyond the longest.
const MAX_DOUBLINGS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_over() {
        let mut backoff = Backoff::default();

        let waits: Vec<Duration> = (0..10).map(|_| backoff.next(u32::MAX)).collect();
        backoff.reset();

        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[9]), (FIRST, LONGEST));
        assert_eq!(backoff.next(u32::MAX), FIRST);
    }

    #[test]
    fn two_agents_wait_differently_and_never_not_at_all() {
        let wait = |random| Backoff::default().next(random);

        assert_eq!(wait(0), FIRST / 2);
        assert_ne!(wait(1 << 30), wait(1 << 31));
    }
}
