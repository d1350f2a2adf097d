//! How often the sender of an undeliverable packet is told so.
//!
//! What the ICMP error says and who must never get one is decided in `warren_proto::inner`.

use std::time::Instant;

/// A token bucket. The clock is read only when an error is about to be sent, never for a packet that gets through.
#[derive(Debug)]
pub(super) struct AnswerBudget {
    left: f64,
    filled_at: Instant,
}

impl AnswerBudget {
    pub(super) const fn new(now: Instant) -> Self {
        Self { left: BURST, filled_at: now }
    }

    /// Takes one answer out of the budget, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.left = (self.left + elapsed * PER_SECOND).min(BURST);
        self.filled_at = now;
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}

/// As many connections may learn of a smaller MTU at once as a busy host opens in a moment.
const BURST: f64 = 64.0;

/// A tenth of what Linux allows itself (`icmp_msgs_per_sec`): a flood into nowhere must not become a flood back.
const PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_a_burst_answers_come_at_the_rate() {
        let start = Instant::now();
        let mut budget = AnswerBudget::new(start);

        let at_once = (0..1000).filter(|_| budget.take(start)).count();
        let later = (0..1000).filter(|_| budget.take(start + Duration::from_millis(205))).count();

        assert_eq!(at_once, 64);
        assert_eq!(later, 20);
    }
}
