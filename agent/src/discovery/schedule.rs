//! When to announce: three times when the network is new, then once a minute, and soon when somebody asks.
//!
//! Never more often than once in five seconds beyond the first three, whatever is heard: one packet of somebody else's
//! cannot make many of ours.

use std::time::{Duration, Instant};

/// What is planned.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Announcements of a new network still to come.
    fresh: usize,
    next: Instant,
    last: Option<Instant>,
}

impl Schedule {
    /// Begins on a network that is new to us.
    pub(super) fn new(now: Instant) -> Self {
        Self { fresh: FRESH.len(), next: now, last: None }
    }

    /// The network is another one.
    pub(super) fn restart(&mut self, now: Instant) {
        // cables that are pulled and put in again do not make more of it
        let last = self.last.filter(|last| now.saturating_duration_since(*last) < GAP);
        *self = Self { fresh: FRESH.len(), next: last.map_or(now, |last| last + FRESH[0]), last: self.last };
    }

    /// Somebody new wants to know who is there. `random` spreads the answers of many.
    pub(super) fn asked(&mut self, random: u16, now: Instant) {
        let spread = ANSWER_WITHIN * u32::from(random) / u32::from(u16::MAX);
        let soonest = self.last.map_or(now, |last| last + GAP).max(now);
        self.next = self.next.min(soonest + spread);
    }

    /// When the next announcement is due.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Takes the announcement that is due; whether it is to ask as well. `random` keeps devices out of step.
    pub(super) fn take(&mut self, random: u16, now: Instant) -> Option<bool> {
        if now < self.next {
            return None;
        }
        self.last = Some(now);
        let asks = self.fresh > 0;
        let pause = if asks { FRESH[FRESH.len() - self.fresh] } else { EVERY };
        self.fresh = self.fresh.saturating_sub(1);
        self.next = now + pause + JITTER * u32::from(random) / u32::from(u16::MAX);
        Some(asks)
    }
}

/// After the first, the second and the third on a new network: one of them may meet a switch that has just come up.
const FRESH: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), EVERY];
/// Multicast wakes everybody on a radio network: often enough to notice a new address, no oftener.
const EVERY: Duration = Duration::from_secs(60);
/// Added to each pause at random.
const JITTER: Duration = Duration::from_millis(500);
/// At least this long after an announcement, before a question makes another one.
const GAP: Duration = Duration::from_secs(5);
/// Answers to one question are spread over this.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_network_hears_three_questions_and_then_an_announcement_a_minute() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);

        let said: Vec<_> =
            (0..6).map(|_| take_next(&mut schedule)).map(|(at, asks)| (seconds(at, start), asks)).collect();

        assert_eq!(said, [(0, true), (1, true), (3, true), (63, false), (123, false), (183, false)]);
    }

    #[test]
    fn a_question_is_answered_soon_and_many_of_them_not_often() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        for _ in 0..3 {
            take_next(&mut schedule);
        }
        let asked = start + Duration::from_secs(20);

        let answers = (0..1000).filter(|step| {
            let now = asked + Duration::from_millis(10) * *step;
            schedule.asked(9_000, now);
            schedule.take(0, now).is_some()
        });

        assert_eq!(answers.count(), 2);
    }

    #[test]
    fn a_cable_that_comes_and_goes_makes_no_storm() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);

        let said = (0..1000).filter(|step| {
            let now = start + Duration::from_millis(10) * *step;
            schedule.restart(now);
            schedule.take(0, now).is_some()
        });

        assert!(said.count() <= 10);
    }

    fn take_next(schedule: &mut Schedule) -> (Instant, bool) {
        let at = schedule.due();
        (at, schedule.take(0, at).expect("it is due"))
    }

    fn seconds(at: Instant, start: Instant) -> u64 {
        (at - start).as_secs()
    }
}
