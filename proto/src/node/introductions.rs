//! Without the rendezvous a common peer brings two others together: the rules for all three of them.
//!
//! ```text
//!     asker                 common peer                 asked
//!       | Introduce(asked, candidates) |                  |
//!       |----------------------------->| Wanted(asker)    |
//!       |                              |----------------->|   known here? else Decline
//!       |                              | Introduce(asker, candidates)
//!       |                              |<-----------------|
//!       |      Meet(asked, ..)         | Meet(asker, ..)  |
//!       |<-----------------------------|----------------->|   both start at one moment
//! ```
//!
//! Where a device may be goes only where that device sends it, for a peer of its own map; the common peer adds the address
//! that it sees itself, for NATs that nobody else can name. Nothing of this is believed beyond a bounded number of probes:
//! certificates prove who is there. If both ask, the second request is the answer to the first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_core::Rng;

use super::Node;
use crate::candidate::{Candidate, CandidateKind, CandidateSet, MAX_CANDIDATES, is_usable};
use crate::control::{decode_candidates, encode_candidates};
use crate::io::Discard;
use crate::keys::NodeId;
use crate::wire::introduction::Introduction;

/// What a node keeps of introductions, in all three parts that it may play.
#[derive(Default)]
pub(super) struct Introductions {
    /// Whom we would like to meet.
    wishes: BTreeMap<NodeId, Wish>,
    /// From whom a `Meet` may come, about whom, and since when.
    expected: BTreeMap<(NodeId, NodeId), Instant>,
    /// What we were asked for and wait for the other side of, by the pair in order.
    pending: BTreeMap<(NodeId, NodeId), Pending>,
    /// What each peer may still ask of us.
    allowances: BTreeMap<NodeId, Allowance>,
}

/// A peer we look for.
struct Wish {
    next: Instant,
    tries: usize,
    /// Who was asked since the last pause.
    asked: BTreeSet<NodeId>,
}

/// One side of a pair wants to meet the other.
struct Pending {
    asker: NodeId,
    set: CandidateSet,
    since: Instant,
}

/// A token bucket.
struct Allowance {
    left: u32,
    since: Instant,
}

impl Introductions {
    /// Somebody would be met, now.
    pub(super) fn wish(&mut self, peer: NodeId, now: Instant) {
        self.wishes.entry(peer).or_insert_with(|| Wish { next: now, tries: 0, asked: BTreeSet::new() });
    }

    /// Another peer can be asked: nobody waits for a pause to end.
    pub(super) fn introducer_came(&mut self, now: Instant) {
        self.wishes.values_mut().for_each(|wish| (wish.next, wish.tries) = (wish.next.min(now), 0));
    }

    /// The rendezvous is back.
    pub(super) fn clear_wishes(&mut self) {
        self.wishes.clear();
    }

    /// A peer was removed.
    pub(super) fn forget(&mut self, peer: NodeId) {
        self.wishes.remove(&peer);
        self.allowances.remove(&peer);
        self.expected.retain(|(introducer, other), _| *introducer != peer && *other != peer);
        self.pending.retain(|(one, other), _| *one != peer && *other != peer);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.wishes.values().map(|wish| wish.next).min()
    }

    /// Takes one of the requests that `peer` may make.
    fn allow(&mut self, peer: NodeId, now: Instant) -> Result<(), Discard> {
        let allowance = self.allowances.entry(peer).or_insert(Allowance { left: ASKED_AT_ONCE, since: now });
        let gained = now.saturating_duration_since(allowance.since).as_secs();
        if gained > 0 {
            let gained = u32::try_from(gained).unwrap_or(u32::MAX).saturating_mul(ASKED_A_SECOND);
            *allowance = Allowance { left: allowance.left.saturating_add(gained).min(ASKED_AT_ONCE), since: now };
        }
        allowance.left = allowance.left.checked_sub(1).ok_or(Discard::RateLimited)?;
        Ok(())
    }

    fn expect(&mut self, introducer: NodeId, other: NodeId, now: Instant) {
        self.expected.retain(|_, since| now.saturating_duration_since(*since) < EXPECTED_FOR);
        if self.expected.len() < MAX_EXPECTED {
            self.expected.insert((introducer, other), now);
        }
    }

    /// Whether `introducer` was asked, or answered, about `other` lately; once.
    fn take_expected(&mut self, introducer: NodeId, other: NodeId, now: Instant) -> bool {
        let since = self.expected.remove(&(introducer, other));
        since.is_some_and(|since| now.saturating_duration_since(since) < EXPECTED_FOR)
    }

    /// Notes a request; if it is the other side's answer to an earlier one, takes that.
    fn match_up(&mut self, asker: NodeId, other: NodeId, set: &CandidateSet, now: Instant) -> Option<CandidateSet> {
        self.pending.retain(|_, pending| now.saturating_duration_since(pending.since) < PENDING_FOR);
        let pair = (asker.min(other), asker.max(other));
        if self.pending.get(&pair).is_some_and(|pending| pending.asker == other) {
            return self.pending.remove(&pair).map(|pending| pending.set);
        }
        if self.pending.len() < MAX_PENDING || self.pending.contains_key(&pair) {
            self.pending.insert(pair, Pending { asker, set: set.clone(), since: now });
        }
        None
    }
}

impl Node {
    /// Asks for whom it is time to ask.
    pub(super) fn run_introductions(&mut self, now: Instant) {
        let due = self.introductions.wishes.iter().filter(|(_, wish)| wish.next <= now);
        for target in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            let missed = !self.shared.control_up
                && self.peers.get(&target).is_some_and(|peer| peer.is_missed(&self.shared, now));
            if missed {
                self.ask_around(target, now);
            } else {
                self.introductions.wishes.remove(&target);
            }
        }
    }

    /// Deals with what peers said since the last time.
    pub(super) fn handle_introductions(&mut self, now: Instant) {
        while let Some((from, message)) = self.shared.poll_introduction() {
            let handled = match message {
                Introduction::Decline(peer) => self.handle_decline(from, peer, now),
                Introduction::Introduce { peer, candidates } => self.handle_introduce(from, peer, &candidates, now),
                Introduction::Meet { peer, attempt, delay_ms, candidates } => {
                    let delay = Duration::from_millis(delay_ms.into()).min(MAX_DELAY);
                    self.handle_meet(from, peer, attempt, delay, &candidates, now)
                }
                Introduction::Wanted(peer) => self.handle_wanted(from, peer, now),
            };
            if let Err(reason) = handled {
                self.shared.count(reason);
            }
        }
    }

    /// The next few who have not been asked yet; a pause once all were.
    fn ask_around(&mut self, target: NodeId, now: Instant) {
        let Some(wish) = self.introductions.wishes.get_mut(&target) else { return };
        let able = self.peers.iter().filter(|(id, peer)| **id != target && peer.is_reachable(&self.shared));
        let fresh = able.map(|(id, _)| *id).filter(|id| !wish.asked.contains(id));
        let asked: Vec<NodeId> = fresh.take(ASKED_TOGETHER).collect();
        wish.asked.extend(&asked);
        if asked.len() < ASKED_TOGETHER {
            wish.asked.clear();
        }
        let pause = PAUSES.get(wish.tries).copied().unwrap_or(LONGEST_PAUSE);
        wish.tries += 1;
        wish.next = now + pause;
        for introducer in asked {
            self.introductions.expect(introducer, target, now);
            self.introduce_ourselves(introducer, target, now);
        }
    }

    /// Tells `introducer` that we want to meet `other`, and where we may be.
    fn introduce_ourselves(&mut self, introducer: NodeId, other: NodeId, now: Instant) {
        let candidates = encode_candidates(&self.shared.candidates);
        self.say(introducer, &Introduction::Introduce { peer: other, candidates }, now);
    }

    /// As the common peer: `asker` wants to meet `other`, or agrees to.
    fn handle_introduce(&mut self, asker: NodeId, other: NodeId, set: &[u8], now: Instant) -> Result<(), Discard> {
        self.introductions.allow(asker, now)?;
        let set = decode_candidates(set).map_err(|_| Discard::ControlLimit)?;
        if asker == other || !self.peers.get(&other).is_some_and(|peer| peer.is_reachable(&self.shared)) {
            self.say(asker, &Introduction::Decline(other), now);
            return Ok(());
        }
        match self.introductions.match_up(asker, other, &set, now) {
            Some(others) => self.bring_together((asker, &set), (other, &others), now),
            None => self.say(other, &Introduction::Wanted(asker), now),
        }
        Ok(())
    }

    /// As the one asked: only a peer of our own map is told where we are.
    fn handle_wanted(&mut self, introducer: NodeId, asker: NodeId, now: Instant) -> Result<(), Discard> {
        self.introductions.allow(introducer, now)?;
        let may_meet = self.peers.get(&asker).is_some_and(|peer| peer.may_meet(&self.shared));
        if !may_meet || asker == introducer {
            self.say(introducer, &Introduction::Decline(asker), now);
            return Err(Discard::UnknownPeer);
        }
        self.introductions.expect(introducer, asker, now);
        self.introduce_ourselves(introducer, asker, now);
        Ok(())
    }

    /// As asker or asked: the common peer gives the sign.
    fn handle_meet(
        &mut self,
        introducer: NodeId,
        peer: NodeId,
        attempt: u32,
        delay: Duration,
        set: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        if !self.introductions.take_expected(introducer, peer, now) {
            return Err(Discard::Unsolicited);
        }
        let set = decode_candidates(set).map_err(|_| Discard::ControlLimit)?;
        self.with(peer, now, |peer, shared| peer.handle_meeting(attempt.into(), &set, delay, shared, now));
        if let Some(wish) = self.introductions.wishes.get_mut(&peer) {
            wish.next = now + delay + ROUND;
        }
        Ok(())
    }

    /// As asker: the next one may be able to help. As the common peer: the asker is told.
    fn handle_decline(&mut self, from: NodeId, peer: NodeId, now: Instant) -> Result<(), Discard> {
        let pair = (from.min(peer), from.max(peer));
        if self.introductions.pending.get(&pair).is_some_and(|pending| pending.asker == peer) {
            self.introductions.pending.remove(&pair);
            self.say(peer, &Introduction::Decline(from), now);
            return Ok(());
        }
        if !self.introductions.take_expected(from, peer, now) {
            return Err(Discard::Unsolicited);
        }
        let waiting = self.introductions.expected.keys().any(|(_, other)| *other == peer);
        if let Some(wish) = self.introductions.wishes.get_mut(&peer).filter(|wish| !waiting && !wish.asked.is_empty()) {
            wish.next = now;
        }
        Ok(())
    }

    /// Gives both the sign, so that it reaches them at one moment.
    fn bring_together(&mut self, one: (NodeId, &CandidateSet), other: (NodeId, &CandidateSet), now: Instant) {
        let attempt = self.shared.rng.next_u32();
        let rtt = |id| self.peers.get(&id).and_then(super::Peer::direct).map(|direct| direct.rtt).unwrap_or_default();
        let (near, far) = (rtt(one.0), rtt(other.0));
        let slower = near.max(far);
        for ((to, own), (about, set)) in [((one.0, near), other), ((other.0, far), one)] {
            let delay_ms = u16::try_from(((slower - own) / 2).as_millis()).unwrap_or(u16::MAX);
            let seen = self.peers.get(&about).and_then(|peer| peer.seen_at(now));
            let candidates = encode_candidates(&with_seen(set, seen));
            self.say(to, &Introduction::Meet { peer: about, attempt, delay_ms, candidates }, now);
        }
    }

    fn say(&mut self, to: NodeId, message: &Introduction, now: Instant) {
        self.with(to, now, |peer, shared| peer.say(message, shared, now));
    }
}

/// A set with the address that we see its owner at; the last one gives way where there is no room.
fn with_seen(set: &CandidateSet, seen: Option<SocketAddr>) -> CandidateSet {
    let mut set = set.clone();
    if let Some(addr) = seen.filter(|addr| is_usable(*addr) && !set.candidates.iter().any(|known| known.addr == *addr))
    {
        set.candidates.truncate(MAX_CANDIDATES - 1);
        set.candidates.push(Candidate { addr, kind: CandidateKind::Reflexive });
    }
    set
}

/// Common peers that are asked at the same time: the first may just have lost the other one.
const ASKED_TOGETHER: usize = 3;
/// Between tries: three round trips fit in the first, and a peer that restarts is back within a few.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Two round trips with everything on the way, and a common peer that is busy.
const EXPECTED_FOR: Duration = Duration::from_secs(10);
/// A request that the other side has not answered by then was lost; the next one begins anew.
const PENDING_FOR: Duration = Duration::from_secs(3);
/// What one peer may ask at once: everybody in a small mesh, twice. More comes back by this much a second.
const ASKED_AT_ONCE: u32 = 64;
const ASKED_A_SECOND: u32 = 2;
/// A full small mesh, in which everybody asks three for everybody.
const MAX_EXPECTED: usize = 256;
/// Every pair of a small mesh.
const MAX_PENDING: usize = 512;
/// What comes of a meeting shows within a round.
const ROUND: Duration = Duration::from_secs(4);
/// Half a round trip; more is no synchronisation.
const MAX_DELAY: Duration = Duration::from_secs(1);
