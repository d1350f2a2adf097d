//! Whose turn it is to search for a port.
//!
//! A search makes up to 256 mappings in one NAT, and devices behind one NAT do not know of each other: twenty that meet
//! somebody unreachable at the same time would fill the table of a small router. We see their common address, so a search is
//! allowed only while the address of either end has room in its budget, and waits its turn otherwise. What is searched
//! for, and how, both ends conclude from their reports.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_core::Rng;
use warren_proto::candidate::PortSearch;
use warren_proto::control::{Start, ToAgent};
use warren_proto::keys::NodeId;

use super::Coordinator;
use super::pair::{Key, key};
use super::timing::start_delays;

/// Wishes and what was granted lately.
#[derive(Debug, Default)]
pub(super) struct Searches {
    /// Pairs that wait, with since when; first come, first served as far as their addresses have room.
    waiting: VecDeque<(Key, Instant)>,
    look_at: Option<Instant>,
    /// What was granted within the last minute.
    granted: VecDeque<Grant>,
}

#[derive(Clone, Copy, Debug)]
struct Grant {
    at: Instant,
    key: Key,
    addresses: [IpAddr; 2],
    cost: u32,
    /// One of the two has found the other since.
    over: bool,
}

impl Grant {
    fn is_on(&self, now: Instant) -> bool {
        !self.over && now.saturating_duration_since(self.at) < SEARCH_LASTS
    }
}

impl Searches {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.look_at
    }

    fn forget_old(&mut self, now: Instant) {
        while self.granted.pop_front_if(|grant| now.saturating_duration_since(grant.at) >= MINUTE).is_some() {}
        self.waiting.retain(|(_, since)| now.saturating_duration_since(*since) < WAIT_MAX);
    }

    /// Whether the same search was granted a moment ago: both ends ask.
    fn is_on(&self, key: Key, now: Instant) -> bool {
        self.granted.iter().any(|grant| grant.key == key && grant.is_on(now))
    }

    /// A pair is direct: the two may take part in another search.
    pub(super) fn end(&mut self, device: NodeId, peer: NodeId) {
        let key = key(device, peer);
        self.granted.iter_mut().filter(|grant| grant.key == key).for_each(|grant| grant.over = true);
    }

    /// Whether one of the two devices has another search on.
    fn is_busy(&self, key: Key, now: Instant) -> bool {
        let mut on = self.granted.iter().filter(|grant| grant.is_on(now));
        on.any(|grant| grant.key.iter().any(|device| key.contains(device)))
    }

    /// Whether a pair waits for its turn.
    pub(super) fn is_waiting(&self, key: Key) -> bool {
        self.waiting.iter().any(|(waiting, _)| *waiting == key)
    }

    fn has_room(&self, address: IpAddr, cost: u32) -> bool {
        let spent = self.granted.iter().filter(|grant| grant.addresses.contains(&address)).map(|grant| grant.cost);
        spent.sum::<u32>() + cost <= MAPPINGS_A_MINUTE
    }
}

impl Coordinator {
    /// A device finds no way to a peer but a search. Granted at once or in its turn, unless the NATs leave no hope.
    pub fn handle_search(&mut self, device: NodeId, peer: NodeId, now: Instant) {
        let key = key(device, peer);
        self.searches.forget_old(now);
        let known = self.searches.is_on(key, now) || self.searches.is_waiting(key);
        if !known && self.searches.waiting.len() < WAITING_MAX {
            self.searches.waiting.push_back((key, now));
            self.grant_searches(now);
        }
    }

    /// Grants what there is room for by now.
    pub(super) fn search_due(&mut self, now: Instant) {
        if self.searches.look_at.is_some_and(|at| at <= now) {
            self.grant_searches(now);
        }
    }

    fn grant_searches(&mut self, now: Instant) {
        self.searches.forget_old(now);
        for (key, since) in std::mem::take(&mut self.searches.waiting) {
            // a pair that has come apart or needs no search any more has lost its turn
            let Some((cost, seen)) = self.search_of(key) else { continue };
            let addresses = seen.map(|addr| addr.ip());
            let room = addresses.iter().all(|address| self.searches.has_room(*address, cost));
            if room && !self.searches.is_busy(key, now) {
                self.searches.granted.push_back(Grant { at: now, key, addresses, cost, over: false });
                self.start_search(key, seen);
            } else {
                self.searches.waiting.push_back((key, since));
            }
        }
        self.searches.look_at = (!self.searches.waiting.is_empty()).then_some(now + LOOK_EVERY);
    }

    /// What a search of this pair costs, and where both ends are, if there is one to be made.
    fn search_of(&self, key: Key) -> Option<(u32, [SocketAddr; 2])> {
        let [low, high] = key.map(|device| self.online.get(&device));
        let (low, high) = (low?, high?);
        let search = PortSearch::between(&low.candidates.as_ref()?.nat, &high.candidates.as_ref()?.nat)?;
        let seen = [low.seen_v4()?, high.seen_v4()?];
        self.pairs.is_open(key).then_some((search.cost(), seen))
    }

    fn start_search(&mut self, key: Key, seen: [SocketAddr; 2]) {
        let attempt = self.rng.next_u64();
        let [Some(low), Some(high)] = key.map(|device| self.online.get(&device)) else { return };
        let delays = start_delays([low.presence.rtt, high.presence.rtt]);
        for (side, delay) in delays.into_iter().enumerate() {
            // at most two seconds, see `timing`
            let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
            let search = Some(seen[1 - side]);
            self.send(key[side], ToAgent::Start(Start { peer: key[1 - side], attempt, delay_ms, search }));
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// One birthday search or nine predictions: what any router stands, and all of our share however many devices are
/// behind it.
const MAPPINGS_A_MINUTE: u32 = 300;
/// A device takes part in one search at a time; the longest lasts this long, delay and all.
const SEARCH_LASTS: Duration = Duration::from_secs(15);
/// How often the waiting are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who asked so long ago has asked again, or found another way.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Pairs that may wait; others ask again in a later round of theirs.
const WAITING_MAX: usize = 1024;
