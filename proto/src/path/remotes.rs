//! The table of the peer's addresses: who gets in, who has to leave.
//!
//! Whatever the peer offers or sends from, the table stays bounded, refuses addresses that could only hurt somebody
//! else, and never gives up the path in use to make room.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::agent::Agent;
use super::pair::{Origin, Pair};
use super::round::technique;
use super::score::Site;
use crate::candidate::{Candidate, CandidateKind, MAX_CANDIDATES, is_usable};
use crate::candidate::{CandidateSet, NatReport};
use crate::io::{RelayChannel, Remote};

impl Agent {
    /// The relay channel to the peer, or that there is none.
    pub fn set_relay(&mut self, channel: Option<RelayChannel>, now: Instant) {
        let wanted = channel.map(Remote::Relay);
        let held = self.relay().map(|pair| pair.remote);
        if wanted != held {
            self.pairs.retain(|_, pair| pair.is_direct());
            self.selected.take_if(|selected| matches!(selected.remote, Remote::Relay(_)));
            if let Some(remote) = wanted {
                self.end_knocking();
                self.pairs.insert(remote, Pair::new(remote, Origin::Relay));
                self.try_relay(now);
            }
        }
        self.advance(now);
    }

    /// Our own candidates and what we know of our NAT.
    pub fn set_local(&mut self, set: &CandidateSet, now: Instant) {
        let changed = gist(set) != gist(&self.local);
        self.local = set.clone();
        self.site = Site::of(&self.local, &self.remote);
        self.note_reports(now);
        if changed {
            self.something_changed(now);
        }
        self.advance(now);
    }

    /// The peer's candidates. An older set than the one held is ignored, absence of candidates is not failure.
    pub fn set_remote_candidates(&mut self, set: &CandidateSet, now: Instant) {
        if self.relay_only || set.epoch < self.remote.epoch {
            return;
        }
        let moved = set.epoch > self.remote.epoch && !self.remote.candidates.is_empty();
        let set = CandidateSet { candidates: self.believable(&set.candidates), ..set.clone() };
        let changed = gist(&set) != gist(&self.remote);
        self.remote = set;
        self.site = Site::of(&self.local, &self.remote);
        self.note_reports(now);
        if moved {
            self.ledger.renew(now);
            self.doubt_selected(now);
        }
        self.drop_withdrawn(now);
        self.add_candidates(now);
        if changed {
            self.something_changed(now);
        }
        self.advance(now);
    }

    /// Lets in an address that an authenticated probe came from. Returns whether it is in the table.
    pub(super) fn learn(&mut self, remote: Remote, now: Instant) -> bool {
        if self.relay_only {
            return false;
        }
        if self.pairs.contains_key(&remote) {
            return true;
        }
        let Some(addr) = remote.straight().filter(|_| remote.socket().is_none_or(|socket| self.uses(socket))) else {
            return false;
        };
        // a NAT may well have chosen a low port for the peer; as a candidate such a port would be refused
        let believable = is_usable(SocketAddr::new(addr.ip(), addr.port().max(1024))) && addr.port() != 0;
        if !believable || !self.make_room_for_reflexive(now) || !self.make_room(now) {
            return false;
        }
        self.pairs.insert(remote, Pair::new(remote, Origin::PeerReflexive));
        true
    }

    /// Whether the pair may use the relay alone. Then nothing is sent to any address of the peer, and nothing that comes
    /// from one is answered.
    pub fn set_relay_only(&mut self, relay_only: bool, now: Instant) {
        if std::mem::replace(&mut self.relay_only, relay_only) == relay_only {
            return;
        }
        if relay_only {
            self.pairs.retain(|_, pair| !pair.is_direct());
            self.selected.take_if(|selected| matches!(selected.remote, Remote::Direct(_)));
            self.remote = CandidateSet::default();
            self.forget_rounds();
            self.end_knocking();
        } else {
            self.something_changed(now);
        }
        self.advance(now);
    }

    /// At most twelve, each usable, none twice and none of our own.
    fn believable(&self, offered: &[Candidate]) -> Vec<Candidate> {
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in offered {
            let ours = self.local.candidates.iter().any(|own| own.addr == candidate.addr);
            let known = kept.iter().any(|other| other.addr == candidate.addr);
            if is_usable(candidate.addr) && !ours && !known && kept.len() < MAX_CANDIDATES {
                kept.push(*candidate);
            }
        }
        kept
    }

    /// Forgets what the peer no longer offers, unless it works.
    fn drop_withdrawn(&mut self, now: Instant) {
        let offered: Vec<SocketAddr> = self.remote.candidates.iter().map(|candidate| candidate.addr).collect();
        let selected = self.selected.map(|selected| selected.remote);
        self.pairs.retain(|remote, pair| match remote {
            Remote::Auxiliary(_) | Remote::Relay(_) => true,
            Remote::Direct(addr) => {
                offered.contains(addr)
                    || pair.is_reflexive()
                    || Some(*remote) == selected
                    || pair.answered_within(REMEMBERED, now)
            }
        });
    }

    /// Enters the peer's candidates; those that are new join a round that is on.
    fn add_candidates(&mut self, now: Instant) {
        for candidate in self.remote.candidates.clone() {
            let remote = Remote::Direct(candidate.addr);
            let origin = Origin::Candidate(candidate.kind);
            if let Some(pair) = self.pairs.get_mut(&remote) {
                pair.origin = origin;
                let technique = technique(pair);
                self.log.retitle(remote, technique);
            } else if self.make_room(now) {
                self.pairs.insert(remote, Pair::new(remote, origin));
                self.join_round(remote, now);
            }
        }
    }

    /// Evicts the least useful pair if the table is full. Returns whether there is room for another address.
    pub(super) fn make_room(&mut self, now: Instant) -> bool {
        // one place is the relay's
        if self.pairs.values().filter(|pair| pair.is_direct()).count() < PAIRS_MAX - 1 {
            return true;
        }
        self.evict(|_| true, now)
    }

    fn make_room_for_reflexive(&mut self, now: Instant) -> bool {
        if self.pairs.values().filter(|pair| pair.is_reflexive()).count() < REFLEXIVE_MAX {
            return true;
        }
        self.evict(Pair::is_reflexive, now)
    }

    /// The one whose last answer is longest ago goes, those that never answered and are not being tried before all.
    fn evict(&mut self, eligible: impl Fn(&Pair) -> bool, now: Instant) -> bool {
        let selected = self.selected.map(|selected| selected.remote);
        let candidates = self.pairs.values().filter(|pair| {
            let spare = pair.is_direct() && Some(pair.remote) != selected;
            spare && eligible(pair) && !pair.answered_within(KEPT, now)
        });
        let worst = candidates.min_by_key(|pair| (pair.answered_at, pair.plan.is_some(), pair.probed_at));
        let Some(remote) = worst.map(|pair| pair.remote) else { return false };
        self.pairs.remove(&remote);
        if remote.socket().is_some() {
            self.sockets_changed();
        }
        true
    }

    /// Gives up sockets that serve nobody: neither end sends by them. The peer's keepalives are to be heard first, for
    /// the ends choose what they send on each by itself.
    pub(super) fn close_idle_auxiliaries(&mut self, now: Instant) {
        let selected = self.selected.map(|selected| selected.remote);
        self.close_auxiliaries(|pair| {
            let heard = pair.heard_at.is_some_and(|at| now.saturating_duration_since(at) < IDLE);
            heard || pair.plan.is_some() || Some(pair.remote) == selected
        });
    }

    /// Closes the sockets of all pairs that have one of their own and do not stay.
    pub(super) fn close_auxiliaries(&mut self, stays: impl Fn(&Pair) -> bool) {
        let before = self.pairs.len();
        self.pairs.retain(|remote, pair| remote.socket().is_none() || stays(pair));
        if self.pairs.len() < before {
            self.sockets_changed();
        }
    }
}

/// What a set says about where a device is. Behind a NAT that maps every destination anew, the port that a server saw
/// is chance, and another one is no news.
fn gist(set: &CandidateSet) -> (BTreeSet<(SocketAddr, CandidateKind)>, NatReport) {
    let by_chance =
        |kind| set.nat.mapping.is_dependent() && matches!(kind, CandidateKind::Reflexive | CandidateKind::Guessed);
    let place = |candidate: &Candidate| {
        let port = if by_chance(candidate.kind) { 0 } else { candidate.addr.port() };
        (SocketAddr::new(candidate.addr.ip(), port), candidate.kind)
    };
    // nor are the ports that it gave out last
    (set.candidates.iter().map(place).collect(), NatReport { allocation: None, ..set.nat })
}

/// Pairs of one peer: a full candidate set, as many again that it was seen at, and the relay.
pub(super) const PAIRS_MAX: usize = 24;
/// Addresses that nobody offered: a NAT that maps each destination anew makes one for each of our addresses.
pub(super) const REFLEXIVE_MAX: usize = 8;
/// Pairs that answered this lately are not evicted: they are the way back when the path in use dies.
const KEPT: Duration = Duration::from_secs(30);
/// Two keepalives and a half.
const IDLE: Duration = Duration::from_secs(60);
/// A withdrawn address that worked this lately is kept: sets are hints, answers are facts.
pub(super) const REMEMBERED: Duration = Duration::from_secs(600);
