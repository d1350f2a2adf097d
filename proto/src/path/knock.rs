//! How a path is found without the rendezvous: a handshake message is itself the probe.
//!
//! Without a session no probe can be sealed, and without a relay no session can be agreed on beforehand. Then the INIT goes
//! straight to where the peer was found before, in a series that gets ever more seldom; or, when a common peer has brought
//! both together, takes the place of the pings in a round. What an INIT is made of is left to the peer layer; what an
//! address may cost that never answers, to `budget`.

use std::time::{Duration, Instant};

use super::agent::Agent;
use super::explain::Technique;
use super::pair::{Origin, Pair};
use super::round::needs_punching;
use super::{Charge, Probe, ProbeBody};
use crate::candidate::{Candidate, CandidateKind, CandidateSet, MAX_CANDIDATES, is_usable};
use crate::io::Remote;

/// Knocking at a peer's addresses, alone: the peer does the same at ours when it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    step: usize,
    next: Instant,
    last: Option<Instant>,
}

/// An address at which the peer answered, for whoever remembers such things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Where, and how it had been learnt.
    pub candidate: Candidate,
    /// When it last answered.
    pub answered_at: Instant,
}

impl Agent {
    /// There is neither a session worth sending on nor a relay to make one by: begins to knock, unless it does already.
    pub fn knock(&mut self, now: Instant) {
        self.unaided = true;
        if self.series.is_none() {
            self.restart_series(now);
        }
        self.advance(now);
    }

    /// Somebody waits for the peer: a long pause between knocks ends.
    pub fn hurry_knocking(&mut self, now: Instant) {
        if let Some(series) = &mut self.series
            && series.last.is_none_or(|last| now.saturating_duration_since(last) >= DEMAND_GAP)
        {
            series.next = now;
        }
        self.advance(now);
    }

    /// The peer is not looked for any more, or help is there again.
    pub fn end_knocking(&mut self) {
        self.unaided = false;
        self.series = None;
    }

    /// A common peer tells both ends to begin `delay` from now. Its word replaces no set of the rendezvous for longer
    /// than until the next one, and none at all while the pair is direct: then it is the other end that has lost us, and
    /// we only have to be found.
    pub fn handle_meeting(&mut self, attempt: u64, set: &CandidateSet, delay: Duration, now: Instant) {
        self.unaided |= !self.ready;
        if self.is_direct() {
            set.candidates.iter().take(MAX_CANDIDATES).for_each(|candidate| {
                self.enter(*candidate, now);
            });
        } else {
            self.remote.epoch = 0;
            self.set_remote_candidates(&CandidateSet { epoch: 0, ..set.clone() }, now);
        }
        self.handle_start(attempt, delay, None, now);
    }

    /// Where the peer answered in an earlier run.
    pub fn remember(&mut self, candidate: Candidate, now: Instant) {
        self.hint(candidate, now);
        if let Some(pair) = self.pairs.get_mut(&Remote::Direct(candidate.addr)) {
            pair.remembered = true;
        }
    }

    /// Somewhere the peer may be, for it was heard of there. Tried at once if anything can be.
    pub fn hint(&mut self, candidate: Candidate, now: Instant) {
        let remote = Remote::Direct(candidate.addr);
        if !self.enter(candidate, now) {
            return;
        }
        let Some(pair) = self.pairs.get(&remote) else { return };
        let quiet = |last: Option<Instant>, gap| last.is_none_or(|at| now.saturating_duration_since(at) >= gap);
        if self.ready && pair.plan.is_none() && quiet(pair.probed_at, HINT_SILENCE) {
            self.try_alone(remote, Technique::Direct, now);
        } else if self.series.is_some() && quiet(pair.knocked_at, DEMAND_GAP) {
            self.knock_at(remote, true, now);
        }
        self.advance(now);
    }

    /// Lets an address into the table. Returns whether it is there.
    fn enter(&mut self, candidate: Candidate, now: Instant) -> bool {
        let remote = Remote::Direct(candidate.addr);
        if self.pairs.contains_key(&remote) {
            return true;
        }
        let ours = self.local.candidates.iter().any(|own| own.addr == candidate.addr);
        let enters = !self.relay_only && !ours && is_usable(candidate.addr) && self.make_room(now);
        if enters {
            self.pairs.insert(remote, Pair::new(remote, Origin::Candidate(candidate.kind)));
        }
        enters
    }

    /// A handshake came to its end by way of this address: its NAT is open to us at this moment. If the path in use leads
    /// elsewhere, the peer may have moved.
    pub fn handle_handshake(&mut self, from: Remote, now: Instant) {
        if from.straight().is_some() {
            self.ask_back(from, now);
            if let Some(other) = self.selected.map(|selected| selected.remote).filter(|selected| *selected != from) {
                self.doubt(other, false, now);
            }
            self.advance(now);
        }
    }

    /// Where the peer answered in this life, latest first.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |pair: &Pair| {
            let Remote::Direct(addr) = pair.remote else { return None };
            Some(Endpoint { candidate: Candidate { addr, kind: kind(pair.origin) }, answered_at: pair.answered_at? })
        };
        let mut endpoints: Vec<Endpoint> = self.pairs.values().filter_map(endpoint).collect();
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.answered_at));
        endpoints
    }

    /// Our own network changed: everything is worth another try.
    pub(super) fn knock_anew(&mut self, now: Instant) {
        if self.series.is_some() {
            self.restart_series(now);
        }
    }

    pub(super) fn series_deadline(&self) -> Option<Instant> {
        self.series.map(|series| series.next)
    }

    /// Knocks when it is time. Rounds go first: both ends are in them together.
    pub(super) fn run_series(&mut self, now: Instant) {
        let Some(series) = self.series.filter(|series| series.next <= now) else { return };
        let step = series.step;
        let pause = GAPS.get(step).copied().unwrap_or(GAP_LATER);
        self.series = Some(Series { step: step + 1, next: now + pause, last: Some(now) });
        if self.round.is_some() {
            return;
        }
        for remote in self.likeliest() {
            let punch = self.pairs.get(&remote).is_some_and(needs_punching);
            self.knock_at(remote, step > 0 || !punch, now);
        }
    }

    /// The probe of a round that no session can seal. Returns whether one went out.
    pub(super) fn knock_in_round(&mut self, remote: Remote, now: Instant) -> bool {
        self.unaided && !self.ready && self.send_knock(remote, now)
    }

    /// One INIT, or where it may not be sent yet or any more, an opener: it lets in what the peer sends us.
    fn knock_at(&mut self, remote: Remote, loud: bool, now: Instant) {
        if !loud || !self.send_knock(remote, now) {
            self.send_opener(remote, now);
        }
        let technique =
            if self.pairs.get(&remote).is_some_and(needs_punching) { Technique::Punch } else { Technique::Direct };
        self.log.open(0, technique, remote, now);
    }

    /// An address that has answered, be it in an earlier run, is no victim whom somebody named: it is not charged.
    fn send_knock(&mut self, remote: Remote, now: Instant) -> bool {
        let Remote::Direct(addr) = remote else { return false };
        let proved = self.pairs.get(&remote).is_some_and(|pair| pair.remembered || pair.answered_at.is_some());
        let sent = proved || self.ledger.charge(addr, INIT_LENGTH, now);
        if let Some(pair) = self.pairs.get_mut(&remote).filter(|_| sent) {
            pair.knocked_at = Some(now);
            self.push_probe(Probe { to: remote, ttl: None, body: ProbeBody::Knock, charge: Charge::Stranger });
        }
        sent
    }

    fn restart_series(&mut self, now: Instant) {
        self.series = Some(Series { step: 0, next: now, last: None });
    }

    /// A few addresses: those that answered last, then those that are cheapest to try.
    fn likeliest(&self) -> Vec<Remote> {
        let mut pairs: Vec<&Pair> = self.pairs.values().filter(|pair| pair.is_direct()).collect();
        pairs.sort_by_key(|pair| {
            (std::cmp::Reverse((pair.answered_at, pair.remembered)), needs_punching(pair), pair.remote)
        });
        pairs.into_iter().take(KNOCKED_MAX).map(|pair| pair.remote).collect()
    }
}

fn kind(origin: Origin) -> CandidateKind {
    match origin {
        Origin::Candidate(kind) => kind,
        Origin::PeerReflexive | Origin::Relay => CandidateKind::Reflexive,
    }
}

/// Addresses of one peer that are knocked at alone: where it was, and where it was before that.
const KNOCKED_MAX: usize = 4;
/// An address heard of once more is left in peace for as long as after a failed round.
const HINT_SILENCE: Duration = Duration::from_secs(40);
/// Wire length of an INIT.
const INIT_LENGTH: usize = 168;
/// Between the steps of a series. In the first second only openers go to addresses behind a NAT: what comes to a NAT
/// before the host behind it has sent may spoil the way, a peer that restarts with us has sent by then, and so has a
/// rendezvous that is there after all. Up to the last step the pauses stay within the 30 s of an unreplied NAT entry.
const GAPS: [Duration; 7] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(14),
    Duration::from_secs(30),
];
/// WireGuard's REKEY_TIMEOUT.
const DEMAND_GAP: Duration = Duration::from_secs(5);
/// Whoever comes later knocks for a minute without a gap, and meets one of these.
const GAP_LATER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Settings;
    use crate::path::tests::start;

    #[test]
    fn a_series_opens_first_then_knocks_for_a_minute_and_ever_more_seldom() {
        let now = start();
        let mut agent = agent(now);
        agent.remember(candidate("203.0.113.9:4000", CandidateKind::Reflexive), now);

        agent.knock(now);
        let sent = run(&mut agent, now, 200);

        let seconds: Vec<(u64, ProbeBody)> =
            sent.iter().map(|(at, probe)| ((*at - now).as_secs(), probe.body)).collect();
        assert_eq!(seconds[0], (0, ProbeBody::Opener));
        let knocks: Vec<u64> = seconds[1..].iter().map(|(at, _)| *at).collect();
        assert_eq!(knocks, [1, 2, 4, 8, 16, 30, 60, 120, 180]);
        assert!(seconds[1..].iter().all(|(_, body)| *body == ProbeBody::Knock));
    }

    #[test]
    fn an_address_without_a_nat_is_knocked_at_at_once() {
        let now = start();
        let mut agent = agent(now);
        agent.remember(candidate("192.168.1.7:4000", CandidateKind::Host), now);

        agent.knock(now);

        assert_eq!(agent.poll_probe().map(|probe| probe.body), Some(ProbeBody::Knock));
    }

    #[test]
    fn an_address_that_never_answered_costs_no_more_inits_than_its_budget() {
        let now = start();
        let mut agent = agent(now);
        let victim = candidate("203.0.113.9:4000", CandidateKind::Host);

        agent.knock(now);
        agent.hint(victim, now);
        let mut bytes = 0;
        for second in 0..3000 {
            let now = now + Duration::from_secs(second);
            agent.hurry_knocking(now);
            agent.handle_meeting(
                second,
                &CandidateSet { candidates: vec![victim], ..CandidateSet::default() },
                GAPS[0],
                now,
            );
            agent.handle_timeout(now);
            bytes += std::iter::from_fn(|| agent.poll_probe()).filter(|probe| probe.body == ProbeBody::Knock).count()
                * INIT_LENGTH;
        }

        assert!(bytes > 0 && bytes <= 2048, "{bytes}");
    }

    #[test]
    fn who_waits_for_the_peer_shortens_a_pause_but_not_below_five_seconds() {
        let now = start();
        let mut agent = agent(now);
        agent.remember(candidate("192.168.1.7:4000", CandidateKind::Host), now);
        agent.knock(now);
        let later = now + Duration::from_secs(100);
        run(&mut agent, now, 100);

        let knocks = (0..10_u64).map(|second| later + Duration::from_secs(second)).filter(|at| {
            agent.hurry_knocking(*at);
            agent.poll_probe().is_some()
        });

        assert_eq!(knocks.count(), 2);
    }

    #[test]
    fn an_address_heard_of_again_and_again_is_knocked_at_every_five_seconds() {
        let now = start();
        let mut agent = agent(now);
        let neighbour = candidate("192.168.1.7:4000", CandidateKind::Host);
        agent.knock(now);
        run(&mut agent, now, 100);

        let knocks = (100..120_u64).map(|second| now + Duration::from_secs(second)).filter(|at| {
            agent.hint(neighbour, *at);
            agent.poll_probe().is_some()
        });

        assert_eq!(knocks.count(), 4);
    }

    #[test]
    fn a_session_ends_the_series() {
        let now = start();
        let mut agent = agent(now);
        agent.remember(candidate("203.0.113.9:4000", CandidateKind::Reflexive), now);
        agent.knock(now);

        agent.session_ready(26, now);

        assert_eq!(agent.series_deadline(), None);
    }

    #[test]
    fn what_a_common_peer_says_gives_way_to_the_rendezvous() {
        let now = start();
        let mut agent = agent(now);
        let set = |host: &str, epoch| CandidateSet {
            epoch,
            candidates: vec![candidate(host, CandidateKind::Reflexive)],
            ..CandidateSet::default()
        };

        agent.handle_meeting(1, &set("203.0.113.66:4000", u64::MAX), Duration::ZERO, now);
        agent.set_remote_candidates(&set("203.0.113.9:4000", 7), now);

        assert_eq!(agent.remotes(), [Remote::Direct("203.0.113.9:4000".parse().unwrap())]);
    }

    fn run(agent: &mut Agent, from: Instant, seconds: u64) -> Vec<(Instant, Probe)> {
        let mut sent = Vec::new();
        let mut now = from;
        loop {
            agent.handle_timeout(now);
            sent.extend(std::iter::from_fn(|| agent.poll_probe()).map(|probe| (now, probe)));
            match agent.poll_timeout().filter(|at| *at < from + Duration::from_secs(seconds)) {
                Some(at) => now = at,
                None => return sent,
            }
        }
    }

    fn agent(now: Instant) -> Agent {
        Agent::new(1, Settings { we_keepalive: true, keepalive: Duration::from_secs(22) }, now)
    }

    fn candidate(addr: &str, kind: CandidateKind) -> Candidate {
        Candidate { addr: addr.parse().unwrap(), kind }
    }
}
