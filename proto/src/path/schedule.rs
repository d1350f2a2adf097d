//! When to probe: the steps of one punch, how far apart failed rounds are, and how fast probes may leave.
//!
//! Plain clocks without addresses: what is sent at each tick is `agent`'s business.

use std::time::{Duration, Instant};

use rand_core::Rng;

/// The opener and the probes that one remote gets in one round, until it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    opener: Option<Instant>,
    probe: Option<Instant>,
    sent: usize,
    limit: usize,
}

impl Plan {
    /// Probes from `begin` on.
    pub(super) fn direct(limit: usize, begin: Instant) -> Self {
        Self { opener: None, probe: Some(begin), sent: 0, limit }
    }

    /// An opener at `begin`, probes from `lead` later on: by then the opener of the other side has left its NAT.
    pub(super) fn punch(limit: usize, lead: Duration, begin: Instant) -> Self {
        Self { opener: Some(begin), probe: Some(begin + lead), sent: 0, limit }
    }

    /// Whether the opener is to be sent at `now`; true once.
    pub(super) fn take_opener(&mut self, now: Instant) -> bool {
        self.opener.take_if(|at| *at <= now).is_some()
    }

    /// Whether a probe is due at `now`.
    pub(super) fn probe_is_due(&self, now: Instant) -> bool {
        self.probe.is_some_and(|at| at <= now)
    }

    /// Counts a probe sent at `now` and sets the time of the next. A late probe pushes the rest back: a burst would
    /// be lost together.
    pub(super) fn probed(&mut self, now: Instant) {
        self.sent += 1;
        self.probe = if self.sent < self.limit { GAPS.get(self.sent - 1).map(|gap| now + *gap) } else { None };
    }

    /// Makes the next probe due at once: the remote has just been heard, so it may be reachable at this instant.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.sent < self.limit {
            self.probe = Some(now);
        }
    }

    /// Whether nothing is left to send.
    pub(super) fn is_spent(&self) -> bool {
        self.opener.is_none() && self.probe.is_none()
    }

    /// When the opener is due.
    pub(super) fn opener_at(&self) -> Option<Instant> {
        self.opener
    }

    /// When the next probe is due.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.probe
    }
}

/// How long to leave a pair on its relay after a round that found nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    step: usize,
}

impl Backoff {
    /// The time of the next round, after one that failed at `now`.
    pub(super) fn fail(&mut self, rng: &mut impl Rng, now: Instant) -> Instant {
        let pause = BACKOFF[self.step.min(BACKOFF.len() - 1)];
        self.step += 1;
        now + jitter(pause, 20, rng)
    }

    /// Something changed: the next failure counts as the first.
    pub(super) fn reset(&mut self) {
        self.step = 0;
    }
}

/// A token bucket over all planned probes of a pair (generic cell rate algorithm).
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    drained_at: Instant,
}

impl Pacer {
    pub(super) fn new(now: Instant) -> Self {
        Self { drained_at: now }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.ready_at().is_some_and(|at| at > now) {
            return false;
        }
        self.drained_at = self.drained_at.max(now) + PACE;
        true
    }

    /// When the next token is there.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        self.drained_at.checked_sub(PACE * BURST)
    }
}

/// `around` plus or minus up to `percent` of it.
pub(super) fn jitter(around: Duration, percent: u64, rng: &mut impl Rng) -> Duration {
    let micros = u64::try_from(around.as_micros()).unwrap_or(u64::MAX);
    let spread = micros / 100 * percent;
    Duration::from_micros(micros - spread + rng.next_u64() % (2 * spread + 1))
}

/// The delay between opener and first probe, given the relay's round-trip time. Half of the direct round trip lets the
/// peer's opener get out of its NAT; the direct one is taken for half of the relay's. Never over 60 ms: a needless
/// wait is paid by every punch.
pub(super) fn lead(relay_rtt: Option<Duration>) -> Duration {
    (LEAD + relay_rtt.unwrap_or_default() / 4).min(LEAD_MAX)
}

/// Most probes that an address that has not answered gets in one round: 3.2 s in all, where a single volley is usually
/// eaten by the peer's NAT.
pub(super) const PROBES: usize = 7;
/// Probes to a private address of another site: it most likely belongs to a stranger.
pub(super) const PROBES_FOREIGN: usize = 3;
/// From one probe to the next.
const GAPS: [Duration; PROBES - 1] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];
/// Above the skew of two synchronised starts (a few ms of jitter).
const LEAD: Duration = Duration::from_millis(20);
pub(super) const LEAD_MAX: Duration = Duration::from_millis(60);
/// TTL of the opener: leaves a home NAT and most carrier NATs, dies before the peer's.
pub(super) const OPENER_TTL: u8 = 4;
/// How long host addresses are tried alone when both devices sit behind one NAT: a LAN answers within this.
pub(super) const HEAD_START: Duration = Duration::from_millis(50);
/// After this a round is judged: the last probe has had 0.8 s to be answered.
pub(super) const ROUND: Duration = Duration::from_secs(4);
/// Longer than the 30 s that a Linux NAT keeps an entry without replies, also with the jitter taken off: a probe that
/// arrived too early may have left an entry that breaks the punch, and only silence heals it.
const BACKOFF: [Duration; 4] =
    [Duration::from_secs(40), Duration::from_secs(120), Duration::from_secs(600), Duration::from_secs(1800)];
/// 200 probes a second; ICE allows 5 ms between checks (RFC 8445 section 14.2).
const PACE: Duration = Duration::from_millis(5);
/// A full table of candidates may go at once, twice.
const BURST: u32 = 50;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::path::tests::start;

    fn run(mut plan: Plan, from: Instant) -> Vec<u128> {
        let mut times = Vec::new();
        while let Some(at) = plan.probe_at() {
            assert!(plan.probe_is_due(at));
            plan.probed(at);
            times.push((at - from).as_millis());
        }
        times
    }

    #[test]
    fn a_punch_opens_first_and_probes_seven_times_in_three_seconds() {
        let start = start();
        let mut plan = Plan::punch(PROBES, lead(None), start);

        assert!(plan.take_opener(start));
        assert!(!plan.take_opener(start));
        assert_eq!(run(plan, start), [20, 70, 170, 370, 770, 1570, 3170]);
    }

    #[test]
    fn a_remote_that_was_heard_is_probed_at_once_but_not_more_often() {
        let start = start();
        let mut plan = Plan::direct(PROBES_FOREIGN, start);
        plan.probed(start);

        plan.hurry(start + Duration::from_millis(1));

        assert_eq!(run(plan, start).len(), PROBES_FOREIGN - 1);
    }

    #[test]
    fn every_pause_after_a_failure_outlasts_an_unreplied_mapping() {
        let start = start();
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut backoff = Backoff::default();

            let pauses: Vec<u64> = (0..6).map(|_| (backoff.fail(&mut rng, start) - start).as_secs()).collect();

            assert!(pauses[0] > 30 && pauses[0] <= 48, "{pauses:?}");
            assert!(pauses[3] >= 1440 && pauses[5] <= 2160, "{pauses:?}");
        }
    }

    #[test]
    fn probes_leave_no_faster_than_the_pacer_says() {
        let start = start();
        let mut pacer = Pacer::new(start);

        let burst = (0..200).filter(|_| pacer.take(start)).count();
        let later = (0..200).filter(|_| pacer.take(start + Duration::from_millis(100))).count();

        assert!((50..=51).contains(&burst), "{burst}");
        assert_eq!(later, 20);
    }

    #[test]
    fn the_lead_grows_with_the_distance_up_to_a_limit() {
        assert_eq!(lead(None), Duration::from_millis(20));
        assert_eq!(lead(Some(Duration::from_millis(80))), Duration::from_millis(40));
        assert_eq!(lead(Some(Duration::from_secs(2))), Duration::from_millis(60));
    }
}
