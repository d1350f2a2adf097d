//! One remote address of the peer, and what is known of the path to it.
//!
//! The kernel chooses the local address, one socket per family, so a remote names a pair. A pong counts only for the
//! pair whose remote was pinged, from exactly that remote. Which pair is used is `agent`'s decision.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::liveness::{Suspicion, patience};
use super::mtu::{self, Mtu};
use super::schedule::Plan;
use super::score::{Score, Site, Tier};
use crate::candidate::CandidateKind;
use crate::io::{Auxiliary, Remote};
use crate::wire::path_probe::ProbeId;

/// A remote and the state of the path to it.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) remote: Remote,
    pub(super) origin: Origin,
    pub(super) stage: Stage,
    pub(super) mtu: Mtu,
    pub(super) plan: Option<Plan>,
    /// When an unanswered ping makes the path doubtful.
    pub(super) check: Option<Instant>,
    /// The last pong.
    pub(super) answered_at: Option<Instant>,
    /// Whether it answered in an earlier run.
    pub(super) remembered: bool,
    /// The last ping or pong.
    pub(super) heard_at: Option<Instant>,
    /// Where the peer sees us when we use this path.
    pub(super) seen: Option<SocketAddr>,
    /// Probes of this round, while it has not answered.
    pub(super) probes: usize,
    pub(super) probed_at: Option<Instant>,
    /// The last INIT that was sent as a probe.
    pub(super) knocked_at: Option<Instant>,
    /// When it was first said that probes to it are not carried.
    pub(super) obstructed_at: Option<Instant>,
    srtt: Option<Duration>,
    outstanding: Vec<Outstanding>,
    tally: Tally,
}

/// Pings that tell of loss, of which it is known what became: small ones to the path that data was on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// All of them.
    pub probes: u64,
    /// Those not answered in five seconds.
    pub lost: u64,
}

impl Tally {
    fn count(&mut self, lost: bool) {
        self.probes += 1;
        self.lost += u64::from(lost);
    }
}

/// How a remote was learnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// The peer offered it.
    Candidate(CandidateKind),
    /// An authenticated probe came from it.
    PeerReflexive,
    /// The rendezvous opened a channel.
    Relay,
}

/// How far a path is proved.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Nothing was answered since the last doubt.
    Unproven,
    /// Small probes are answered; whether data would get through is being tried.
    Sizing,
    /// Fit for data.
    Usable,
    /// In use and being asked whether it still lives.
    Suspect(Suspicion),
}

/// A ping without a pong yet.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    id: ProbeId,
    at: Instant,
    udp_payload: usize,
    /// Whether it goes into the tally.
    tells: bool,
}

/// A ping that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) rtt: Duration,
    pub(super) udp_payload: usize,
}

impl Pair {
    pub(super) fn new(remote: Remote, origin: Origin) -> Self {
        let (stage, mtu) = match remote {
            Remote::Auxiliary(Auxiliary { peer: addr, .. }) | Remote::Direct(addr) => {
                (Stage::Unproven, Mtu::new(mtu::ceiling(addr.is_ipv4(), false)))
            }
            Remote::Relay(channel) => (Stage::Usable, Mtu::assumed(mtu::ceiling(channel.relay.is_ipv4(), true))),
        };
        Self {
            remote,
            origin,
            stage,
            mtu,
            plan: None,
            check: None,
            answered_at: None,
            remembered: false,
            heard_at: None,
            seen: None,
            probes: 0,
            probed_at: None,
            knocked_at: None,
            obstructed_at: None,
            srtt: None,
            outstanding: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Remembers a ping; at the limit the oldest is forgotten, for its pong is the least likely to come. `tells` says
    /// whether its loss would be one of data too.
    pub(super) fn pinged(&mut self, id: ProbeId, udp_payload: usize, tells: bool, now: Instant) {
        self.expire(now);
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.outstanding.remove(0);
        }
        self.outstanding.push(Outstanding { id, at: now, udp_payload, tells });
    }

    /// What became of the pings so far, since the last call.
    pub(super) fn take_tally(&mut self, now: Instant) -> Tally {
        self.expire(now);
        std::mem::take(&mut self.tally)
    }

    fn expire(&mut self, now: Instant) {
        let tally = &mut self.tally;
        self.outstanding.retain(|ping| {
            let alive = now.saturating_duration_since(ping.at) < LIFETIME;
            if !alive && ping.tells {
                tally.count(true);
            }
            alive
        });
    }

    /// Takes the ping that a pong answers, once, if it is ours and not too old.
    pub(super) fn take(&mut self, id: ProbeId, now: Instant) -> Option<Answer> {
        let index = self.outstanding.iter().position(|ping| ping.id == id)?;
        let ping = self.outstanding.swap_remove(index);
        let rtt = now.saturating_duration_since(ping.at);
        if ping.tells {
            self.tally.count(rtt >= LIFETIME);
        }
        (rtt < LIFETIME).then_some(Answer { rtt, udp_payload: ping.udp_payload })
    }

    /// Whether it waits for a pong to this ping.
    pub(super) fn awaits(&self, id: ProbeId) -> bool {
        self.outstanding.iter().any(|ping| ping.id == id)
    }

    /// Takes an answer into account. Returns whether the path has just become fit for data.
    pub(super) fn answered(&mut self, answer: Answer, seen: Option<SocketAddr>, now: Instant) -> bool {
        self.answered_at = Some(now);
        self.heard_at = Some(now);
        self.seen = seen.or(self.seen);
        self.check = None;
        self.plan = None;
        self.probes = 0;
        self.srtt = Some(self.srtt.map_or(answer.rtt, |srtt| (srtt * 7 + answer.rtt) / 8));
        match self.stage {
            Stage::Unproven => {
                self.srtt = Some(answer.rtt);
                self.stage = Stage::Sizing;
                self.mtu.begin(now);
            }
            Stage::Suspect(_) => {
                self.stage = Stage::Usable;
                // what died may have been the large packets only
                self.mtu.confirm(now);
            }
            Stage::Sizing | Stage::Usable => {}
        }
        self.mtu.answered(answer.udp_payload, now);
        let fit = matches!(self.stage, Stage::Sizing) && self.mtu.working().is_some();
        if fit {
            self.stage = Stage::Usable;
        }
        fit
    }

    /// Only small packets get through.
    pub(super) fn unfit(&mut self) {
        match self.remote {
            Remote::Auxiliary(_) | Remote::Direct(_) => self.disprove(false),
            // nothing is left to fall back to
            Remote::Relay(channel) => self.mtu = Mtu::assumed(mtu::ceiling(channel.relay.is_ipv4(), true)),
        }
    }

    /// Takes back everything that was proved; `forget_pings` when the pings sent so far prove nothing any more.
    pub(super) fn disprove(&mut self, forget_pings: bool) {
        if forget_pings {
            self.outstanding.clear();
        }
        self.check = None;
        self.mtu.pause();
        if let Some(addr) = self.remote.straight() {
            self.stage = Stage::Unproven;
            self.plan = None;
            self.mtu = Mtu::new(mtu::ceiling(addr.is_ipv4(), false));
        }
    }

    /// Smoothed round-trip time (RFC 6298), zero until measured.
    pub(super) fn srtt(&self) -> Duration {
        self.srtt.unwrap_or_default()
    }

    /// The same, if measured.
    pub(super) fn measured_srtt(&self) -> Option<Duration> {
        self.srtt
    }

    /// When an answer to a ping sent at `now` would be overdue.
    pub(super) fn overdue(&self, now: Instant) -> Instant {
        now + patience(self.srtt())
    }

    pub(super) fn score(&self, site: &Site) -> Score {
        Score::new(Tier::of(self.remote, site), self.remote, self.srtt())
    }

    pub(super) fn is_reflexive(&self) -> bool {
        self.origin == Origin::PeerReflexive
    }

    /// Whether data sent here should go by the relay as well.
    pub(super) fn is_hedged(&self) -> bool {
        matches!(&self.stage, Stage::Suspect(suspicion) if suspicion.hedges())
    }

    pub(super) fn is_direct(&self) -> bool {
        self.remote.straight().is_some()
    }

    /// Whether an answer from it is believed still.
    pub(super) fn is_proved(&self) -> bool {
        !matches!(self.stage, Stage::Unproven)
    }

    /// Whether it may carry data while it is the one in use.
    pub(super) fn may_keep_data(&self) -> bool {
        matches!(self.stage, Stage::Usable | Stage::Suspect(_))
    }

    /// Whether data may move to it: proved, and lately. A path that was good a minute ago may be dead.
    pub(super) fn may_take_data(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Usable) && (!self.is_direct() || self.answered_within(FRESH, now))
    }

    pub(super) fn answered_within(&self, within: Duration, now: Instant) -> bool {
        self.answered_at.is_some_and(|at| now.saturating_duration_since(at) <= within)
    }

    pub(super) fn suspicion(&mut self) -> Option<&mut Suspicion> {
        match &mut self.stage {
            Stage::Suspect(suspicion) => Some(suspicion),
            Stage::Sizing | Stage::Unproven | Stage::Usable => None,
        }
    }

    /// The earliest moment at which this pair has something to do, given when the pacer lets a planned probe go.
    pub(super) fn deadline(&self, pacer: Option<Instant>) -> Option<Instant> {
        let suspicion = match &self.stage {
            Stage::Suspect(suspicion) => Some(suspicion.deadline()),
            Stage::Sizing | Stage::Unproven | Stage::Usable => None,
        };
        [self.probe_deadline(pacer), suspicion, self.check, self.mtu.deadline()].into_iter().flatten().min()
    }

    /// When the next planned probe is due.
    pub(super) fn probe_deadline(&self, pacer: Option<Instant>) -> Option<Instant> {
        self.plan.and_then(|plan| plan.probe_at()).map(|at| pacer.map_or(at, |ready| at.max(ready)))
    }

    pub(super) fn opener_deadline(&self) -> Option<Instant> {
        self.plan.and_then(|plan| plan.opener_at())
    }
}

/// A pong that took longer answers a question nobody asks any more.
const LIFETIME: Duration = Duration::from_secs(5);
/// A round of probes and the size probes beside them.
const OUTSTANDING_MAX: usize = 16;
/// How long a pong lets a path be chosen anew: what an unreplied NAT entry lives on Linux.
const FRESH: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::start;

    fn pair() -> Pair {
        Pair::new(Remote::Direct("203.0.113.9:4000".parse().unwrap()), Origin::PeerReflexive)
    }

    fn id(byte: u8) -> ProbeId {
        ProbeId([byte; 12])
    }

    #[test]
    fn a_pong_counts_once_and_only_for_a_ping_of_this_pair() {
        let now = start();
        let mut pair = pair();
        pair.pinged(id(1), 62, false, now);

        assert!(pair.take(id(2), now).is_none());
        assert!(pair.take(id(1), now).is_some());
        assert!(pair.take(id(1), now).is_none());
    }

    #[test]
    fn a_pong_after_five_seconds_counts_for_nothing() {
        let now = start();
        let mut pair = pair();
        pair.pinged(id(1), 62, false, now);

        assert!(pair.take(id(1), now + Duration::from_secs(5)).is_none());
    }

    #[test]
    fn data_waits_for_a_full_size_answer() {
        let now = start();
        let mut pair = pair();
        let rtt = Duration::from_millis(10);

        assert!(!pair.answered(Answer { rtt, udp_payload: 62 }, None, now));
        assert!(!pair.may_take_data(now));
        assert!(pair.answered(Answer { rtt, udp_payload: 1200 }, None, now));

        assert!(pair.may_take_data(now));
        assert_eq!(pair.mtu.working(), Some(1200));
    }

    #[test]
    fn an_old_proof_keeps_data_but_attracts_none() {
        let now = start();
        let mut pair = pair();
        let rtt = Duration::from_millis(10);
        pair.answered(Answer { rtt, udp_payload: 62 }, None, now);
        pair.answered(Answer { rtt, udp_payload: 1200 }, None, now);

        let later = now + Duration::from_secs(31);

        assert!(pair.may_keep_data());
        assert!(!pair.may_take_data(later));
    }

    #[test]
    fn pings_without_pongs_do_not_pile_up() {
        let now = start();
        let mut pair = pair();

        (0..200).for_each(|byte| pair.pinged(id(byte), 62, false, now));

        assert_eq!(pair.outstanding.len(), OUTSTANDING_MAX);
        assert!(pair.take(id(199), now).is_some());
    }

    #[test]
    fn the_tally_counts_what_was_answered_and_what_is_overdue_but_not_what_is_under_way() {
        let now = start();
        let mut pair = pair();
        (1..=4).for_each(|byte| pair.pinged(id(byte), 62, byte != 4, now));
        pair.take(id(1), now);

        assert_eq!(pair.take_tally(now), Tally { probes: 1, lost: 0 });
        assert!(pair.take(id(2), now + Duration::from_secs(6)).is_none());

        assert_eq!(pair.take_tally(now + Duration::from_secs(6)), Tally { probes: 2, lost: 2 });
        assert_eq!(pair.take_tally(now + Duration::from_secs(6)), Tally::default());
    }
}
