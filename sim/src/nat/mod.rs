//! One NAT or firewall: its mappings, which of them let what through, and how long they live.
//!
//! `kind` says how NATs differ, `ports` which port a mapping gets. Several NATs in a row are `net`'s business.

mod kind;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub use kind::{Filtering, Mapping, NatKind, Ports};

use ports::Allocator;

/// A NAT with its live mappings.
pub struct Nat {
    kind: NatKind,
    address: IpAddr,
    seed: u64,
    allocator: Allocator,
    /// By external address.
    mappings: BTreeMap<SocketAddr, Entry>,
    external: BTreeMap<(SocketAddr, Toward), SocketAddr>,
    /// What the router took for its own: an external address, and who sent there.
    poisoned: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    /// New mappings of each inside address, lately.
    made: BTreeMap<IpAddr, VecDeque<Instant>>,
    made_in_all: usize,
    new_flows: VecDeque<Instant>,
    swept_at: Instant,
}

/// What a mapping is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Toward {
    Anywhere,
    Address(IpAddr),
    Endpoint(SocketAddr),
}

struct Entry {
    inside: SocketAddr,
    toward: Toward,
    flows: BTreeMap<SocketAddr, Flow>,
}

/// One destination of a mapping.
#[derive(Clone, Copy)]
struct Flow {
    last: Instant,
    replied: bool,
}

impl Nat {
    /// A NAT with one external address (which a firewall does not use).
    pub fn new(kind: NatKind, address: IpAddr, seed: u64, now: Instant) -> Self {
        Self {
            kind,
            address,
            seed,
            allocator: Allocator::new(kind.ports, kind.noise_per_second, seed, now),
            mappings: BTreeMap::new(),
            external: BTreeMap::new(),
            poisoned: BTreeMap::new(),
            made: BTreeMap::new(),
            made_in_all: 0,
            new_flows: VecDeque::new(),
            swept_at: now,
        }
    }

    /// Its external address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its behaviour.
    pub fn kind(&self) -> NatKind {
        self.kind
    }

    /// Forgets everything, as a reboot does; ports are given out from another beginning.
    pub fn reboot(&mut self, now: Instant) {
        self.seed = self.seed.wrapping_add(1);
        self.allocator = Allocator::new(self.kind.ports, self.kind.noise_per_second, self.seed, now);
        self.mappings.clear();
        self.external.clear();
        self.poisoned.clear();
    }

    /// Gets another external address from its provider; mappings of the old one end (`nat.md` 1.13).
    pub(crate) fn renumber(&mut self, address: IpAddr) {
        self.address = address;
        self.mappings.clear();
        self.external.clear();
        self.poisoned.clear();
    }

    /// Translates an outbound packet; gives its source outside, or `None` when it is dropped.
    pub fn outbound(&mut self, inside: SocketAddr, to: SocketAddr, now: Instant) -> Option<SocketAddr> {
        if self.kind.blocks_udp {
            return None;
        }
        self.sweep(now);
        let known = self.known_toward(inside, to, now);
        let is_new = known.is_none_or(|external| !self.has_flow(external, to, now));
        if is_new && !self.may_add_flow(inside.ip(), now) {
            return None;
        }
        let external = match known {
            Some(external) => external,
            None => self.map(inside, to, now)?,
        };
        let entry = self.mappings.get_mut(&external)?;
        let flow = entry.flows.entry(to).or_insert(Flow { last: now, replied: false });
        if is_new {
            *flow = Flow { last: now, replied: false };
        }
        flow.last = now;
        Some(external)
    }

    /// Translates an inbound packet; `None` if no mapping lets it through.
    pub fn inbound(&mut self, from: SocketAddr, external: SocketAddr, now: Instant) -> Option<SocketAddr> {
        if self.kind.blocks_udp {
            return None;
        }
        let kind = self.kind;
        let passes = self.mappings.get(&external).is_some_and(|entry| entry.lets_in(from, &kind, now));
        if !passes {
            if kind.input_accepts {
                self.poisoned.insert((external, from), now);
            }
            return None;
        }
        let entry = self.mappings.get_mut(&external)?;
        if let Some(flow) = entry.flows.get_mut(&from) {
            flow.replied = true;
            if kind.inbound_refreshes {
                flow.last = now;
            }
        }
        Some(entry.inside)
    }

    /// Counts the mappings of an inside address from nothing.
    pub(crate) fn forget_made(&mut self, inside: IpAddr) {
        self.made.remove(&inside);
    }

    /// How many mappings it has made since it was put up.
    pub fn made_in_all(&self) -> usize {
        self.made_in_all
    }

    /// How many mappings an inside address made within `window`.
    pub(crate) fn made_within(&self, inside: IpAddr, window: Duration, now: Instant) -> usize {
        let lately = |at: &&Instant| now.saturating_duration_since(**at) < window;
        self.made.get(&inside).map_or(0, |made| made.iter().rev().take_while(lately).count())
    }

    /// The external address that a mapping which lives gives to packets toward `to`.
    fn known_toward(&self, inside: SocketAddr, to: SocketAddr, now: Instant) -> Option<SocketAddr> {
        // one made because of a poisoned entry is for this destination alone, and comes first
        let candidates = [Toward::Endpoint(to), self.toward(to)].into_iter();
        let mut alive = candidates.filter_map(|toward| self.live(inside, toward, now));
        alive.find(|external| !self.is_poisoned(*external, to, now))
    }

    fn live(&self, inside: SocketAddr, toward: Toward, now: Instant) -> Option<SocketAddr> {
        let external = self.external.get(&(inside, toward))?;
        let entry = self.mappings.get(external)?;
        (entry.inside == inside && entry.toward == toward && entry.is_alive(&self.kind, now)).then_some(*external)
    }

    fn toward(&self, to: SocketAddr) -> Toward {
        match self.kind.mapping {
            Mapping::AddressAndPortDependent => Toward::Endpoint(to),
            Mapping::AddressDependent => Toward::Address(to.ip()),
            Mapping::EndpointIndependent | Mapping::None => Toward::Anywhere,
        }
    }

    /// Makes a mapping.
    fn map(&mut self, inside: SocketAddr, to: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let usual = self.toward(to);
        // what exists is good for others, but not for this destination
        let toward = if self.live(inside, usual, now).is_some() { Toward::Endpoint(to) } else { usual };
        let external = match self.kind.mapping {
            Mapping::None => inside,
            Mapping::AddressAndPortDependent | Mapping::AddressDependent | Mapping::EndpointIndependent => {
                self.free_address(inside, to, now)?
            }
        };
        self.mappings.insert(external, Entry { inside, toward, flows: BTreeMap::new() });
        self.external.insert((inside, toward), external);
        self.made.entry(inside.ip()).or_default().push_back(now);
        self.made_in_all += 1;
        Some(external)
    }

    fn free_address(&mut self, inside: SocketAddr, to: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let kept = SocketAddr::new(self.address, inside.port());
        let kind = self.kind;
        let is_free = |external| self.mappings.get(&external).is_none_or(|entry| !entry.is_alive(&kind, now));
        if kind.preserves_port && is_free(kept) && !self.is_poisoned(kept, to, now) {
            return Some(kept);
        }
        let address = self.address;
        let port = self.allocator.allocate(inside.ip(), |port| is_free(SocketAddr::new(address, port)), now)?;
        Some(SocketAddr::new(address, port))
    }

    fn has_flow(&self, external: SocketAddr, to: SocketAddr, now: Instant) -> bool {
        let entry = self.mappings.get(&external);
        entry.and_then(|entry| entry.flows.get(&to)).is_some_and(|flow| flow.is_alive(&self.kind, now))
    }

    fn may_add_flow(&mut self, inside: IpAddr, now: Instant) -> bool {
        if self.kind.sessions_max != usize::MAX {
            let own = self.mappings.values().filter(|entry| entry.inside.ip() == inside);
            let alive = |entry: &Entry| entry.flows.values().filter(|flow| flow.is_alive(&self.kind, now)).count();
            if own.map(alive).sum::<usize>() >= self.kind.sessions_max {
                return false;
            }
        }
        if self.kind.new_per_second != u32::MAX {
            let second = Duration::from_secs(1);
            while self.new_flows.pop_front_if(|at| now.saturating_duration_since(*at) >= second).is_some() {}
            if self.new_flows.len() >= self.kind.new_per_second as usize {
                return false;
            }
            self.new_flows.push_back(now);
        }
        true
    }

    fn is_poisoned(&self, external: SocketAddr, to: SocketAddr, now: Instant) -> bool {
        let at = self.poisoned.get(&(external, to));
        at.is_some_and(|at| now.saturating_duration_since(*at) < self.kind.unreplied)
            && !self.has_flow(external, to, now)
    }

    /// Forgets what is dead, now and then.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        let kind = self.kind;
        self.mappings.retain(|external, entry| {
            entry.flows.retain(|_, flow| flow.is_alive(&kind, now));
            let keep = !entry.flows.is_empty();
            // the place may be a younger mapping's by now
            if !keep && self.external.get(&(entry.inside, entry.toward)) == Some(external) {
                self.external.remove(&(entry.inside, entry.toward));
            }
            keep
        });
        self.poisoned.retain(|_, at| now.saturating_duration_since(*at) < kind.unreplied);
        for made in self.made.values_mut() {
            while made.pop_front_if(|at| now.saturating_duration_since(*at) > MADE_KEPT).is_some() {}
        }
    }
}

impl Entry {
    fn is_alive(&self, kind: &NatKind, now: Instant) -> bool {
        self.flows.values().any(|flow| flow.is_alive(kind, now))
    }

    fn lets_in(&self, from: SocketAddr, kind: &NatKind, now: Instant) -> bool {
        let alive = |to: &SocketAddr| self.flows.get(to).is_some_and(|flow| flow.is_alive(kind, now));
        match kind.filtering {
            Filtering::EndpointIndependent => self.is_alive(kind, now),
            Filtering::AddressDependent => self.flows.keys().any(|to| to.ip() == from.ip() && alive(to)),
            Filtering::AddressAndPortDependent => alive(&from),
        }
    }
}

impl Flow {
    fn is_alive(&self, kind: &NatKind, now: Instant) -> bool {
        let life = if self.replied { kind.replied } else { kind.unreplied };
        now.saturating_duration_since(self.last) < life
    }
}

/// Dead entries do nothing but take memory meanwhile.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// As far back as anybody asks how many mappings were made.
const MADE_KEPT: Duration = Duration::from_secs(61);
