//! A NAT in a few lines: how it maps, what it lets in, and what it does with what it does not let in.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Mapping and filtering (RFC 4787).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One port for all destinations, open to everybody.
    FullCone,
    /// One port for all destinations, open to whom it was used to.
    PortRestricted,
    /// Another random port for every destination.
    Random,
    /// Another port for every destination, counted up.
    Symmetric,
}

/// One gateway.
pub(super) struct Nat {
    pub(super) kind: Kind,
    pub(super) public: IpAddr,
    /// Linux with an accepting INPUT chain: what is not for a host behind it leaves an entry of its own, with which a
    /// later packet from inside collides.
    pub(super) accepts_input: bool,
    pub(super) preserves_port: bool,
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    flows: BTreeMap<(u16, SocketAddr), Flow>,
    next_port: u16,
    /// From one port to the next of one that counts.
    pub(super) step: u16,
    rng: ChaCha8Rng,
    /// When each mapping was made.
    pub(super) made: Vec<Instant>,
}

#[derive(Clone, Copy)]
struct Flow {
    /// None: for the gateway itself.
    inside: Option<SocketAddr>,
    used: Instant,
    replied: bool,
}

impl Nat {
    pub(super) fn new(kind: Kind, public: &str) -> Self {
        Self {
            kind,
            public: public.parse().unwrap(),
            accepts_input: false,
            preserves_port: true,
            mappings: BTreeMap::new(),
            flows: BTreeMap::new(),
            next_port: 20000,
            step: 7,
            rng: ChaCha8Rng::seed_from_u64(0),
            made: Vec::new(),
        }
    }

    /// Its random choices are other ones.
    pub(super) fn seeded(self, seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), ..self }
    }

    /// A packet of a host behind it; returns the source address that the world sees.
    pub(super) fn outbound(&mut self, from: SocketAddr, to: SocketAddr, now: Instant) -> SocketAddr {
        self.expire(now);
        let per_destination = self.maps_each_anew().then_some(to);
        let specific = self.mappings.get(&(from, Some(to))).copied();
        let general = self.mappings.get(&(from, per_destination)).copied();
        let known = specific.or(general);
        if known.is_none() {
            self.made.push(now);
        }
        let mut port = known.unwrap_or_else(|| self.allocate(from));
        let poisoned = self.flows.get(&(port, to)).is_some_and(|flow| flow.inside.is_none());
        if poisoned {
            port = self.fresh_port();
            self.mappings.insert((from, Some(to)), port);
        } else {
            self.mappings.insert((from, if specific.is_some() { Some(to) } else { per_destination }), port);
        }
        let flow = self.flows.entry((port, to)).or_insert(Flow { inside: Some(from), used: now, replied: false });
        flow.used = now;
        SocketAddr::new(self.public, port)
    }

    /// A packet from outside to `port`; returns the host behind it that gets it.
    pub(super) fn inbound(&mut self, from: SocketAddr, port: u16, now: Instant) -> Option<SocketAddr> {
        self.expire(now);
        if let Some(flow) = self.flows.get_mut(&(port, from)) {
            (flow.used, flow.replied) = (now, true);
            return flow.inside;
        }
        if self.kind == Kind::FullCone {
            let owner = self.mappings.iter().find(|(_, mapped)| **mapped == port);
            return owner.map(|((inside, _), _)| *inside);
        }
        if self.accepts_input {
            self.flows.insert((port, from), Flow { inside: None, used: now, replied: false });
        }
        None
    }

    /// A reboot.
    pub(super) fn flush(&mut self) {
        self.mappings.clear();
        self.flows.clear();
    }

    fn allocate(&mut self, from: SocketAddr) -> u16 {
        if self.preserves_port && !self.maps_each_anew() { from.port() } else { self.fresh_port() }
    }

    pub(super) fn maps_each_anew(&self) -> bool {
        matches!(self.kind, Kind::Random | Kind::Symmetric)
    }

    /// The port of a mapping that somebody makes.
    pub(super) fn fresh_port(&mut self) -> u16 {
        if self.kind == Kind::Random {
            return 1024 + (self.rng.next_u32() % 64_512) as u16;
        }
        self.next_port += self.step;
        self.next_port
    }

    fn expire(&mut self, now: Instant) {
        self.flows.retain(|_, flow| now.saturating_duration_since(flow.used) < lifetime(flow.replied));
        let used: Vec<u16> = self.flows.keys().map(|(port, _)| *port).collect();
        self.mappings.retain(|_, port| used.contains(port));
    }
}

/// Linux: `nf_conntrack_udp_timeout` and `nf_conntrack_udp_timeout_stream`.
fn lifetime(replied: bool) -> Duration {
    Duration::from_secs(if replied { 120 } else { 30 })
}
