//! The largest UDP payload that one path carries, found by padded probes (RFC 8899, DPLPMTUD).
//!
//! ```text
//!            all sizes lost: unfit
//!   base  ------------------------>  (path is not used)
//!    |  1200 answered (or a smaller rung)
//!    v            answered: low = size
//!   search  <--> ceiling, then halfway between what works and what does not
//!    |  interval closed
//!    v            three lost: black hole, to 1200 at once, then base
//!   rest   --- confirm now and then ---------------------------------------->  base
//! ```
//!
//! No ICMP is believed: only an authenticated answer to a probe of that very size counts. Sizes are those of the whole
//! UDP payload; the caller knows what ESP adds.

use std::time::{Duration, Instant};

/// What one path is known to carry.
#[derive(Clone, Debug)]
pub(super) struct Mtu {
    ceiling: usize,
    working: Option<usize>,
    phase: Phase,
    searched: Option<Instant>,
    confirmed: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Base { rung: usize, trial: Trial },
    Confirm(Trial),
    Rest,
    Search { high: usize, trial: Trial },
}

/// One size being tried.
#[derive(Clone, Copy, Debug)]
struct Trial {
    size: usize,
    sent: usize,
    next: Instant,
}

impl Trial {
    fn new(size: usize, now: Instant) -> Self {
        Self { size, sent: 0, next: now }
    }
}

/// What to do about the size of a path, now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Send a probe that makes a UDP payload of this many bytes.
    Probe(usize),
    /// Nothing useful gets through.
    Unfit,
}

impl Mtu {
    /// Nothing is known; never search above `ceiling`.
    pub(super) fn new(ceiling: usize) -> Self {
        Self { ceiling, working: None, phase: Phase::Rest, searched: None, confirmed: None }
    }

    /// A relay path: the base size is taken for granted, for its first hop carries our own QUIC, which needs it too.
    pub(super) fn assumed(ceiling: usize) -> Self {
        Self { working: Some(BASE), ..Self::new(ceiling) }
    }

    /// The largest size that works.
    pub(super) fn working(&self) -> Option<usize> {
        self.working
    }

    /// Forgets everything and tries the base size.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self::new(self.ceiling);
        self.phase = Phase::Base { rung: 0, trial: Trial::new(RUNGS[0], now) };
    }

    /// Looks for a larger size from `at` on, unless that was done lately.
    pub(super) fn search(&mut self, at: Instant, now: Instant) {
        let lately = self.searched.is_some_and(|done| now.saturating_duration_since(done) < SEARCH_AGAIN);
        if matches!(self.phase, Phase::Rest) && !lately && self.working.is_some_and(|low| low < self.ceiling) {
            self.searched = Some(now);
            self.phase = Phase::Search { high: self.ceiling + GRAIN, trial: Trial::new(self.ceiling, at) };
        }
    }

    /// The path is not in use any more: a search would be for nothing.
    pub(super) fn pause(&mut self) {
        if matches!(self.phase, Phase::Search { .. }) {
            self.phase = Phase::Rest;
            self.searched = None;
        }
    }

    /// Checks that the working size still works, unless that was done lately. Whether it begins to.
    pub(super) fn confirm(&mut self, now: Instant) -> bool {
        let lately = self.confirmed.is_some_and(|done| now.saturating_duration_since(done) < CONFIRM_AGAIN);
        if let (Phase::Rest, Some(size), false) = (self.phase, self.working, lately) {
            self.confirmed = Some(now);
            self.phase = Phase::Confirm(Trial::new(size, now));
            return true;
        }
        false
    }

    /// A probe that made a UDP payload of `size` bytes was answered. Returns whether more is known to work than before.
    pub(super) fn answered(&mut self, size: usize, now: Instant) -> bool {
        let grown = self.working.is_none_or(|working| size > working) && size >= RUNGS[RUNGS.len() - 1];
        if grown {
            self.working = Some(size);
        }
        match self.phase {
            Phase::Base { trial, .. } | Phase::Confirm(trial) if size >= trial.size => self.phase = Phase::Rest,
            Phase::Search { high, trial } if size >= trial.size => self.narrow(high, now),
            Phase::Base { .. } | Phase::Confirm(_) | Phase::Rest | Phase::Search { .. } => {}
        }
        grown
    }

    /// The next step that is due; call until there is none. `srtt` is the path's round-trip time.
    pub(super) fn poll(&mut self, srtt: Duration, now: Instant) -> Option<Step> {
        let (trial, pause, tries) = match &mut self.phase {
            Phase::Rest => return None,
            Phase::Base { rung, trial } => {
                let pause = BASE_GAPS[trial.sent.min(BASE_GAPS.len() - 1)].max(srtt);
                (trial, pause, if *rung == 0 { BASE_GAPS.len() } else { TRIES })
            }
            Phase::Confirm(trial) | Phase::Search { trial, .. } => (trial, PATIENCE.max(3 * srtt), TRIES),
        };
        if trial.next > now {
            return None;
        }
        if trial.sent < tries {
            trial.sent += 1;
            trial.next = now + pause;
            return Some(Step::Probe(trial.size));
        }
        self.give_up(srtt, now)
    }

    /// When `poll` has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Base { trial, .. } | Phase::Confirm(trial) | Phase::Search { trial, .. } => Some(trial.next),
            Phase::Rest => None,
        }
    }

    /// The size on trial is lost: goes on to the next.
    fn give_up(&mut self, srtt: Duration, now: Instant) -> Option<Step> {
        match self.phase {
            Phase::Base { rung, .. } if rung + 1 < RUNGS.len() => self.descend(rung + 1, now),
            Phase::Base { .. } => {
                *self = Self::new(self.ceiling);
                return Some(Step::Unfit);
            }
            Phase::Confirm(_) => {
                self.searched = None;
                self.descend(0, now);
            }
            Phase::Search { trial, .. } => self.narrow(trial.size, now),
            Phase::Rest => {}
        }
        self.poll(srtt, now)
    }

    /// Tries a smaller size. What worked until now is not believed any more, the smaller size is while it is proved.
    fn descend(&mut self, rung: usize, now: Instant) {
        self.phase = Phase::Base { rung, trial: Trial::new(RUNGS[rung], now) };
        self.working = self.working.map(|working| working.min(RUNGS[rung]));
    }

    /// Tries halfway between what works and `high`, which does not.
    fn narrow(&mut self, high: usize, now: Instant) {
        let low = self.working.unwrap_or(BASE);
        let middle = low + (high.saturating_sub(low) / 2).next_multiple_of(GRAIN);
        self.phase = if middle > low && middle < high {
            Phase::Search { high, trial: Trial::new(middle, now) }
        } else {
            Phase::Rest
        };
    }
}

/// The largest UDP payload worth a probe: what a 1500-byte link leaves after IP and UDP headers, and, through a relay,
/// after the relay frame.
pub(super) fn ceiling(v4: bool, relayed: bool) -> usize {
    let link = if v4 { 1472 } else { 1452 };
    if relayed { link - RELAY_FRAME } else { link }
}

/// RFC 8899's BASE_PLPMTU; every path of the Internet proper carries it, and so does QUIC ask for.
pub(super) const BASE: usize = 1200;
/// What is tried when the base size is lost; the last is what IPv4 promises (576) less headers, with room to spare.
const RUNGS: [usize; 3] = [BASE, 1000, 508];
/// Type, version, padding, channel.
const RELAY_FRAME: usize = 8;
/// ESP pads its payload to this.
const GRAIN: usize = 4;
/// RFC 8899 MAX_PROBES: three losses in a row are rarely chance.
const TRIES: usize = 3;
/// The base size gets more tries, closer together: data waits for it, and on a bad link chance alone would fail three.
const BASE_GAPS: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(400),
    Duration::from_millis(400),
];
/// How long an answer may take at least before a size counts as lost once.
const PATIENCE: Duration = Duration::from_millis(200);
/// RFC 8899 PMTU_RAISE_TIMER.
const SEARCH_AGAIN: Duration = Duration::from_secs(600);
/// A one-way flow is doubted every few seconds; its size need not be.
const CONFIRM_AGAIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::start;

    const SRTT: Duration = Duration::from_millis(20);

    /// Runs `mtu` against a path that carries `limit` bytes until it rests; returns whether it is fit, and the time.
    fn settle(mtu: &mut Mtu, limit: usize, mut now: Instant) -> (bool, Instant) {
        while let Some(at) = mtu.deadline() {
            now = now.max(at);
            match mtu.poll(SRTT, now) {
                Some(Step::Probe(size)) if size <= limit => {
                    mtu.answered(size, now + SRTT);
                }
                Some(Step::Unfit) => return (false, now),
                Some(Step::Probe(_)) | None => {}
            }
        }
        (true, now)
    }

    #[test]
    fn an_ordinary_link_is_found_with_two_probes() {
        let now = start();
        let mut mtu = Mtu::new(ceiling(true, false));

        mtu.begin(now);
        assert_eq!(settle(&mut mtu, 1472, now), (true, now));
        assert_eq!(mtu.working(), Some(BASE));
        mtu.search(now, now);
        assert_eq!(settle(&mut mtu, 1472, now), (true, now));

        assert_eq!(mtu.working(), Some(1472));
    }

    #[test]
    fn the_search_finds_every_limit_to_four_bytes_within_seconds() {
        for limit in (1200..=1472).step_by(4) {
            let now = start();
            let mut mtu = Mtu::new(ceiling(true, false));
            mtu.begin(now);
            settle(&mut mtu, limit, now);

            mtu.search(now, now);
            let (_, then) = settle(&mut mtu, limit, now);

            assert_eq!(mtu.working(), Some(limit));
            assert!(then - now < Duration::from_secs(6));
        }
    }

    #[test]
    fn a_path_narrower_than_the_base_is_kept_with_what_it_carries() {
        let now = start();
        let mut mtu = Mtu::new(ceiling(true, false));

        mtu.begin(now);

        assert!(settle(&mut mtu, 1100, now).0);
        assert_eq!(mtu.working(), Some(1000));
    }

    #[test]
    fn a_path_that_carries_only_small_probes_is_unfit() {
        let now = start();
        let mut mtu = Mtu::new(ceiling(true, false));

        mtu.begin(now);

        assert!(!settle(&mut mtu, 200, now).0);
        assert_eq!(mtu.working(), None);
    }

    #[test]
    fn a_black_hole_is_left_at_once_and_measured_anew() {
        let now = start();
        let mut mtu = Mtu::new(ceiling(true, false));
        mtu.begin(now);
        settle(&mut mtu, 1472, now);
        mtu.search(now, now);
        settle(&mut mtu, 1472, now);

        mtu.confirm(now);
        let (fit, then) = settle(&mut mtu, 1300, now);
        assert!(fit);
        assert_eq!(mtu.working(), Some(BASE));
        assert!(then - now < Duration::from_secs(1));
        mtu.search(then, then);
        settle(&mut mtu, 1300, then);

        assert_eq!(mtu.working(), Some(1300));
    }

    #[test]
    fn a_settled_size_asks_for_no_timer() {
        let now = start();
        let mut mtu = Mtu::new(ceiling(false, false));
        mtu.begin(now);
        settle(&mut mtu, 1452, now);

        mtu.search(now, now);
        settle(&mut mtu, 1452, now);
        mtu.search(now, now);

        assert_eq!(mtu.deadline(), None);
    }
}
