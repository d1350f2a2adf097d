//! When the peer's addresses are tried: rounds, and what comes between them.
//!
//! A round begins with a start of the rendezvous, at the same moment on both sides, or alone when the rendezvous does
//! not answer. What is sent in it is laid down in `schedule`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::agent::Agent;
use super::explain::Technique;
use super::pair::{Origin, Pair, Stage};
use super::remotes::REMEMBERED;
use super::schedule::{self, Backoff, HEAD_START, OPENER_TTL, PROBES, PROBES_FOREIGN, Plan, ROUND};
use super::score::is_private;
use super::search::Rest;
use super::{Charge, Probe, ProbeBody};
use crate::candidate::CandidateKind;
use crate::io::Remote;

/// One try of all addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The rendezvous's number, 0 for our own.
    number: u64,
    begins: Instant,
    ends: Instant,
    begun: bool,
    /// When probes could be sealed.
    probes_since: Option<Instant>,
    search_asked: bool,
}

impl Round {
    fn new(number: u64, begins: Instant) -> Self {
        Self { number, begins, ends: begins, begun: false, probes_since: None, search_asked: false }
    }

    pub(super) fn deadline(&self) -> Instant {
        if self.begun { self.ends } else { self.begins }
    }

    /// Whether another start would only disturb it: it came from the rendezvous and has hardly begun.
    fn is_fresh(&self, now: Instant) -> bool {
        self.number != 0 && now < self.begins + START_GAP
    }
}

/// What happens while no round is on and no direct path is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    backoff: Backoff,
    /// The end of the silence after a round that failed.
    again_at: Option<Instant>,
    /// When the rendezvous is to be asked for a start.
    wish_at: Option<Instant>,
    /// When it was asked last.
    asked_at: Option<Instant>,
    /// When to stop waiting for it.
    alone_at: Option<Instant>,
}

impl Retry {
    /// A round is coming or none is needed.
    fn settle(&mut self) {
        (self.again_at, self.wish_at, self.alone_at) = (None, None, None);
    }

    /// Wishes for a start at `at` or earlier.
    fn wish(&mut self, at: Instant) {
        self.again_at = None;
        self.wish_at = Some(self.wish_at.map_or(at, |wish| wish.min(at)));
    }

    /// When the rendezvous may be asked: as wished, but never twice in ten seconds.
    fn ask_at(&self) -> Option<Instant> {
        self.wish_at.map(|wish| self.asked_at.map_or(wish, |asked| wish.max(asked + ASK_GAP)))
    }

    pub(super) fn is_asking(&self) -> bool {
        self.wish_at.is_some() || self.alone_at.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.again_at, self.ask_at(), self.alone_at].into_iter().flatten().min()
    }
}

impl Agent {
    /// The rendezvous tells both ends to begin `delay` from now, under the number `attempt`: a round, or a search for a
    /// port of the address `search`, at which it sees the peer itself.
    pub fn handle_start(&mut self, attempt: u64, delay: Duration, search: Option<SocketAddr>, now: Instant) {
        let (number, begins) = (attempt.max(1), now + delay.min(DELAY_MAX));
        if self.relay_only {
            return;
        }
        if let Some(peer) = search {
            self.allow_search(number, peer, begins, now);
        } else if self.search.is_none() && self.round.is_none_or(|round| !round.is_fresh(now)) {
            self.retry.settle();
            self.round = Some(Round::new(number, begins));
        }
        self.advance(now);
    }

    /// Somebody asks for a direct path now: a pause after earlier failures ends. A round that is on may have begun before
    /// they mended what was in the way, so another follows it.
    pub fn retry_now(&mut self, now: Instant) {
        self.retry.backoff.reset();
        if self.ready && !self.is_direct() {
            self.retry.wish(self.round.map_or(now, |round| round.ends.max(round.begins + ROUND)));
        }
        self.advance(now);
    }

    /// An address or a NAT is not what it was, so earlier failures say nothing. The rendezvous usually sends a start of
    /// its own accord; if not, it is asked.
    pub(super) fn something_changed(&mut self, now: Instant) {
        self.retry.backoff.reset();
        self.rest = Rest::default();
        if self.ready && !self.is_direct() && self.round.is_none() {
            self.retry.wish(now + COURTESY);
        }
    }

    /// A path that worked is gone: ask at once, and meanwhile probe whatever worked lately.
    pub(super) fn recover(&mut self, now: Instant) {
        self.retry.backoff.reset();
        self.retry.wish(now);
        for remote in self.remotes() {
            if self.pairs.get(&remote).is_some_and(|pair| pair.answered_within(REMEMBERED, now)) {
                self.try_alone(remote, Technique::Recheck, now);
            }
        }
    }

    /// Data goes straight: nothing is left to wish for.
    pub(super) fn arrived(&mut self) {
        self.retry.settle();
        self.retry.backoff.reset();
    }

    /// Probes can be sealed from here on.
    pub(super) fn session_began(&mut self, now: Instant) {
        match &mut self.round {
            Some(round) if round.begun => (round.ends, round.probes_since) = (now + ROUND, Some(now)),
            Some(_) => {}
            None => {
                self.recover(now);
                self.retry.wish_at = Some(now + COURTESY);
            }
        }
    }

    /// Nothing can be sealed any more. A round that has not begun still may: its openers need no session.
    pub(super) fn session_ended(&mut self) {
        self.round.take_if(|round| round.begun);
        self.drop_search();
        self.retry.settle();
    }

    /// There is nothing to be found by rounds any more.
    pub(super) fn forget_rounds(&mut self) {
        self.round = None;
        self.retry = Retry::default();
    }

    /// Our own network changed: whatever was on is pointless. Addresses behind a NAT wait for the common start: to that
    /// NAT we are a stranger now, and what comes from strangers may spoil the punch.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.round = None;
        self.drop_search();
        self.rest = Rest::default();
        self.retry.settle();
        self.retry.backoff.reset();
        if !self.ready {
            return;
        }
        self.retry.wish(now);
        for remote in self.remotes() {
            if self.pairs.get(&remote).is_some_and(|pair| !needs_punching(pair)) {
                self.try_alone(remote, Technique::Direct, now);
            }
        }
    }

    pub(super) fn try_alone(&mut self, remote: Remote, technique: Technique, now: Instant) {
        let plan = self.plan_for(remote, now);
        let Some(pair) = self.pairs.get_mut(&remote) else { return };
        if pair.is_direct() && matches!(pair.stage, Stage::Unproven) {
            (pair.probes, pair.plan) = (0, plan);
            self.log.open(0, technique, remote, now);
        }
    }

    pub(super) fn round_number(&self) -> u64 {
        self.round.map_or(0, |round| round.number)
    }

    pub(super) fn begin_round(&mut self, now: Instant) {
        let wait = if self.ready || self.unaided { ROUND } else { SESSION_WAIT };
        let Some(round) = self.round.as_mut().filter(|round| !round.begun && round.begins <= now) else { return };
        (round.begun, round.ends) = (true, round.ends.max(now + wait));
        round.probes_since = self.ready.then_some(now);
        for remote in self.remotes() {
            self.join_round(remote, now);
        }
    }

    /// A search is part of the round that is on, or makes one of its own: addresses that are known are tried again, too.
    pub(super) fn extend_round(&mut self, number: u64, begins: Instant, ends: Instant) {
        self.retry.settle();
        let round = self.round.get_or_insert_with(|| Round::new(number, begins));
        round.ends = round.ends.max(ends);
        round.search_asked = true;
    }

    /// Asks the rendezvous for a search, once in a round.
    pub(super) fn ask_for_search(&mut self, now: Instant) {
        if self.ask_search_deadline().is_none_or(|at| at > now) {
            return;
        }
        if let Some(round) = &mut self.round {
            round.search_asked = true;
            self.want_search();
        }
    }

    pub(super) fn ask_search_deadline(&self) -> Option<Instant> {
        let round = self.round.filter(|round| !round.search_asked && round.number != 0)?;
        if self.has_proved_path() { None } else { self.ask_search_at(round.probes_since?) }
    }

    /// Begins the record of a search beside that of the basic punch.
    pub(super) fn log_search(&mut self, number: u64, technique: Technique, remote: Remote, now: Instant) {
        self.log.give_up(remote);
        self.log.open(number, technique, remote, now);
        self.searched = Some(remote);
    }

    /// Gives `remote` its part in the round that is on, if one is.
    pub(super) fn join_round(&mut self, remote: Remote, now: Instant) {
        let Some(round) = self.round.filter(|round| round.begun) else { return };
        let plan = self.plan_for(remote, now);
        let Some(pair) = self.pairs.get_mut(&remote).filter(|pair| pair.is_direct()) else { return };
        if !matches!(pair.stage, Stage::Unproven) {
            self.check(remote, now);
            return;
        }
        let technique = technique(pair);
        (pair.probes, pair.plan) = (0, plan);
        self.log.open(round.number, technique, remote, now);
    }

    fn plan_for(&self, remote: Remote, now: Instant) -> Option<Plan> {
        let pair = self.pairs.get(&remote)?;
        let inside = remote.straight().is_some_and(|addr| is_private(addr.ip()));
        let begin = if self.site.shared && !inside { now + HEAD_START } else { now };
        let limit = limit(pair, self.site.shared);
        let lead = schedule::lead(self.relay().and_then(Pair::measured_srtt));
        Some(if needs_punching(pair) { Plan::punch(limit, lead, begin) } else { Plan::direct(limit, begin) })
    }

    /// Sends the openers and probes that are due.
    pub(super) fn run_plans(&mut self, now: Instant) {
        for remote in self.remotes() {
            let Some(plan) = self.pairs.get_mut(&remote).and_then(|pair| pair.plan.as_mut()) else { continue };
            let (opener, probe) = (plan.take_opener(now), plan.probe_is_due(now));
            if opener {
                self.send_opener(remote, now);
            }
            if probe && (self.ready || self.unaided) && self.pacer.take(now) {
                self.send_planned(remote, now);
            }
        }
    }

    pub(super) fn send_opener(&mut self, remote: Remote, now: Instant) {
        let Some(addr) = remote.straight() else { return };
        if self.ledger.charge(addr, 1, now) {
            let (ttl, body) = (Some(OPENER_TTL), ProbeBody::Opener);
            self.push_probe(Probe { to: remote, ttl, body, charge: Charge::Stranger });
        }
    }

    fn send_planned(&mut self, remote: Remote, now: Instant) {
        let sent = self.send_ping(remote, 0, now).is_some() || self.knock_in_round(remote, now);
        let Some(pair) = self.pairs.get_mut(&remote) else { return };
        pair.probes += 1;
        let Some(plan) = &mut pair.plan else { return };
        plan.probed(now);
        if !sent || plan.is_spent() || pair.probes >= PROBES {
            pair.plan = None;
        }
    }

    /// Judges a round whose time is over.
    pub(super) fn end_round(&mut self, now: Instant) {
        if self.round.take_if(|round| round.begun && round.ends <= now).is_none() {
            return;
        }
        self.end_search(now);
        if let Some(searched) = self.searched.take() {
            self.log.give_up(searched);
        }
        for pair in self.pairs.values_mut().filter(|pair| pair.is_direct()) {
            if matches!(pair.stage, Stage::Unproven) {
                pair.plan = None;
                self.log.give_up(pair.remote);
            }
        }
        self.want_report();
        if self.ready && !self.is_direct() && !self.retry.is_asking() {
            self.retry.again_at = Some(self.retry.backoff.fail(&mut self.rng, now));
        }
    }

    /// Asks the rendezvous for a start when it is time, and begins alone when no start comes.
    pub(super) fn run_retry(&mut self, now: Instant) {
        if self.is_direct() || self.relay_only {
            return;
        }
        if self.retry.again_at.take_if(|at| *at <= now).is_some() {
            self.retry.wish(now);
        }
        if self.retry.ask_at().is_some_and(|at| at <= now) {
            self.retry.wish_at = None;
            self.retry.asked_at = Some(now);
            self.retry.alone_at = Some(now + ALONE_AFTER);
            self.want_start();
        }
        if self.retry.alone_at.take_if(|at| *at <= now).is_some() && self.round.is_none() {
            self.round = Some(Round::new(0, now));
        }
    }
}

/// Whether a NAT is likely to stand before an address, so that an unasked packet could spoil the punch.
pub(super) fn needs_punching(pair: &Pair) -> bool {
    match (pair.remote.straight(), pair.origin) {
        (Some(addr), Origin::Candidate(kind)) => addr.is_ipv4() && kind != CandidateKind::Host,
        (Some(addr), Origin::PeerReflexive) => addr.is_ipv4() && !is_private(addr.ip()),
        (Some(_), Origin::Relay) | (None, _) => false,
    }
}

/// What a round's probes to an address amount to.
pub(super) fn technique(pair: &Pair) -> Technique {
    match pair.origin {
        Origin::Candidate(CandidateKind::Inner) => Technique::Inner,
        Origin::Candidate(CandidateKind::Mapped) => Technique::Mapped,
        Origin::Candidate(_) | Origin::PeerReflexive | Origin::Relay if needs_punching(pair) => Technique::Punch,
        Origin::Candidate(_) | Origin::PeerReflexive | Origin::Relay => Technique::Direct,
    }
}

fn limit(pair: &Pair, same_site: bool) -> usize {
    let private = pair.remote.straight().is_some_and(|addr| is_private(addr.ip()));
    let offered = matches!(pair.origin, Origin::Candidate(_));
    if private && offered && !same_site { PROBES_FOREIGN } else { PROBES }
}

/// What the rendezvous itself keeps to; a loss that comes and goes must not flood it.
const ASK_GAP: Duration = Duration::from_secs(10);
/// A second start this soon comes of both ends asking: the first will do.
const START_GAP: Duration = Duration::from_secs(3);
/// The rendezvous means half a round trip; more is a mistake and must not stop the pair.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// How long to wait for a start that the rendezvous sends unasked after news.
const COURTESY: Duration = Duration::from_secs(1);
/// How long to wait for a start that was asked for: fresh candidates and two round trips take well under this.
const ALONE_AFTER: Duration = Duration::from_secs(3);
/// How long an opener is worth anything: less than the 30 s of an unreplied NAT entry.
const SESSION_WAIT: Duration = Duration::from_secs(25);
