//! Is the path in use still alive? Doubt by silence, proof by probes.
//!
//! Counters of the whole session cannot tell which path was heard, so silence only raises the question; probes on the
//! path itself answer it. One lost pong is weak evidence: it takes three, some time apart, to give a path up.

use std::time::{Duration, Instant};

/// Packets of the session so far, and since when we wait to hear something back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    sent: u64,
    received: u64,
    looked_at: Option<Instant>,
    waiting_since: Option<Instant>,
}

impl Traffic {
    /// Takes the counters at `now`; returns whether we have sent since the last look. A counter that went back belongs
    /// to a newer session and starts anew.
    pub(super) fn note(&mut self, sent: u64, received: u64, now: Instant) -> bool {
        let (sends, hears) = (sent > self.sent, received > self.received);
        (self.sent, self.received) = (sent, received);
        // what was sent since a look just before went out then at the earliest; a look long ago says nothing
        let last_look = self.looked_at.replace(now).filter(|at| now.saturating_duration_since(*at) <= CLOSE);
        if hears {
            self.waiting_since = None;
        } else if sends {
            let began = last_look.unwrap_or(now);
            self.waiting_since.get_or_insert(began);
        }
        sends
    }

    /// Takes the counters without a conclusion: the next look begins here.
    pub(super) fn pass_over(&mut self, sent: u64, received: u64) {
        (self.sent, self.received) = (sent, received);
    }

    /// The path in use answered a probe.
    pub(super) fn heard(&mut self) {
        self.waiting_since = None;
    }

    /// How long we have heard nothing since we sent.
    pub(super) fn waited(&self, now: Instant) -> Duration {
        self.waiting_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether we have sent and heard nothing for long enough to doubt a path with this round-trip time.
    pub(super) fn is_doubtful(&self, srtt: Duration, now: Instant) -> bool {
        // the counters are read now and then: a look that comes a little early must not cost another one
        let patience = patience(srtt) * 9 / 10;
        self.waiting_since.is_some_and(|since| now.saturating_duration_since(since) >= patience)
    }
}

/// How long an answer may take before a path is doubted.
pub(super) fn patience(srtt: Duration) -> Duration {
    SILENCE.max(4 * srtt)
}

/// A path that is being asked whether it lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    probes: u32,
    next: Instant,
    gap: Duration,
    hedge_at_once: bool,
}

/// What a suspicion asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Send a probe on the path.
    Probe,
    /// The path is dead.
    Dead,
}

impl Suspicion {
    /// Doubts a path. `certain` when there is more reason than silence: data then goes by the relay as well from the
    /// first probe on, else from the second, so that a one-way flow is not doubled for nothing each time it is doubted.
    pub(super) fn new(srtt: Duration, certain: bool, now: Instant) -> Self {
        Self { probes: 0, next: now, gap: GAP.max(srtt * 5 / 4), hedge_at_once: certain }
    }

    /// The step due at `now`: probes at 0, 1 and 3 gaps, death a while after the third.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Step> {
        if self.next > now {
            return None;
        }
        if self.probes == PROBES {
            return Some(Step::Dead);
        }
        self.probes += 1;
        self.next = now + self.gap * self.probes.min(2);
        if self.probes == PROBES {
            self.next += LAST_CHANCE;
        }
        Some(Step::Probe)
    }

    /// When the next step is due.
    pub(super) fn deadline(&self) -> Instant {
        self.next
    }

    /// Whether data should go by the relay as well.
    pub(super) fn hedges(&self) -> bool {
        self.hedge_at_once || self.probes >= 2
    }
}

/// Silence that raises doubt, at the least: with two looks to notice it and a probe to be sure, a flow that goes both ways
/// is on the relay within a second.
const SILENCE: Duration = Duration::from_millis(400);
/// Looks no further apart than this follow each other while much moves.
const CLOSE: Duration = Duration::from_millis(300);
/// Between the first two probes, at the least: 0, 100 and 300 ms.
const GAP: Duration = Duration::from_millis(100);
const PROBES: u32 = 3;
/// After the last probe the answer may be this much later than the round-trip time promised.
const LAST_CHANCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::start;

    const SRTT: Duration = Duration::from_millis(40);

    fn after(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn sending_into_silence_for_a_while_raises_doubt() {
        let now = start();
        let mut traffic = Traffic::default();

        traffic.note(10, 10, now);
        traffic.note(20, 10, now + after(1000));
        assert!(!traffic.is_doubtful(SRTT, now + after(1300)));
        traffic.note(30, 10, now + after(1390));

        assert!(traffic.is_doubtful(SRTT, now + after(1390)));
    }

    #[test]
    fn between_close_looks_the_silence_began_at_the_first() {
        let now = start();
        let mut traffic = Traffic::default();

        traffic.note(10, 10, now);
        traffic.note(20, 10, now + after(200));
        traffic.note(30, 10, now + after(400));

        assert!(traffic.is_doubtful(SRTT, now + after(400)));
    }

    #[test]
    fn hearing_anything_ends_the_doubt_and_idling_raises_none() {
        let now = start();
        let mut traffic = Traffic::default();
        traffic.note(1, 0, now);

        traffic.note(2, 1, now + after(1000));
        traffic.note(2, 1, now + after(9000));

        assert!(!traffic.is_doubtful(SRTT, now + after(9000)));
    }

    #[test]
    fn what_was_passed_over_neither_raises_doubt_nor_ends_it() {
        let now = start();
        let mut traffic = Traffic::default();
        traffic.note(1, 1, now);

        traffic.pass_over(9, 9);
        assert!(!traffic.note(9, 9, now + after(1000)));
        traffic.note(10, 9, now + after(2000));
        traffic.pass_over(11, 10);

        assert!(traffic.is_doubtful(SRTT, now + after(3000)));
    }

    #[test]
    fn a_long_path_is_given_more_time() {
        let now = start();
        let mut traffic = Traffic::default();

        traffic.note(1, 0, now);

        assert!(!traffic.is_doubtful(Duration::from_millis(500), now + after(1500)));
        assert!(traffic.is_doubtful(Duration::from_millis(500), now + after(2000)));
    }

    #[test]
    fn a_path_dies_after_three_probes_at_least_two_intervals_apart() {
        let now = start();
        let mut suspicion = Suspicion::new(SRTT, false, now);
        let mut probes = Vec::new();

        let dead = loop {
            let at = suspicion.deadline();
            match suspicion.poll(at) {
                Some(Step::Probe) => probes.push((at - now).as_millis()),
                Some(Step::Dead) => break (at - now).as_millis(),
                None => unreachable!("polled at its deadline"),
            }
        };

        assert_eq!(probes, [0, 100, 300]);
        assert!((500..1000).contains(&dead), "{dead}");
    }

    #[test]
    fn data_is_hedged_from_the_second_probe_on() {
        let now = start();
        let mut suspicion = Suspicion::new(SRTT, false, now);

        suspicion.poll(now);
        assert!(!suspicion.hedges());
        suspicion.poll(now + after(100));

        assert!(suspicion.hedges());
        assert!(Suspicion::new(SRTT, true, now).hedges());
    }
}
