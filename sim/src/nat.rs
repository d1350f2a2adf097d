//! One NAT: mapping and filtering behaviour of RFC 4787, port preservation, and a mapping's life time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How a mapping depends on the destination (RFC 4787 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// One external port for all destinations.
    EndpointIndependent,
    /// Another one for each destination address and port; ports counted up.
    AddressAndPortDependent,
}

/// Which inbound packets a mapping lets through (RFC 4787 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filtering {
    /// From anywhere.
    EndpointIndependent,
    /// From addresses that were sent to.
    AddressDependent,
    /// From addresses and ports that were sent to.
    AddressAndPortDependent,
}

/// The behaviour of one NAT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatKind {
    /// Mapping behaviour.
    pub mapping: Mapping,
    /// Filtering behaviour.
    pub filtering: Filtering,
}

impl NatKind {
    /// What people call full cone.
    pub const FULL_CONE: Self =
        Self { mapping: Mapping::EndpointIndependent, filtering: Filtering::EndpointIndependent };
    /// What people call (address-)restricted cone.
    pub const ADDRESS_RESTRICTED: Self =
        Self { mapping: Mapping::EndpointIndependent, filtering: Filtering::AddressDependent };
    /// What people call port-restricted cone: a Linux router.
    pub const PORT_RESTRICTED: Self =
        Self { mapping: Mapping::EndpointIndependent, filtering: Filtering::AddressAndPortDependent };
    /// What people call symmetric.
    pub const SYMMETRIC: Self =
        Self { mapping: Mapping::AddressAndPortDependent, filtering: Filtering::AddressAndPortDependent };
}

/// A NAT with its live mappings.
pub struct Nat {
    kind: NatKind,
    address: IpAddr,
    next_port: u16,
    mappings: Vec<Entry>,
}

struct Entry {
    inside: SocketAddr,
    /// The destination, for a dependent mapping.
    toward: Option<SocketAddr>,
    port: u16,
    sent_to: BTreeMap<SocketAddr, Instant>,
    last_out: Instant,
}

impl Nat {
    /// A NAT with one external address.
    pub fn new(kind: NatKind, address: IpAddr) -> Self {
        Self { kind, address, next_port: FIRST_PORT, mappings: Vec::new() }
    }

    /// Its external address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Forgets everything, as a reboot does.
    pub fn reboot(&mut self) {
        self.mappings.clear();
    }

    /// Translates an outbound packet; gives its source outside.
    pub fn outbound(&mut self, inside: SocketAddr, to: SocketAddr, now: Instant) -> SocketAddr {
        self.mappings.retain(|entry| now.saturating_duration_since(entry.last_out) < MAPPING_LIFETIME);
        let toward = (self.kind.mapping == Mapping::AddressAndPortDependent).then_some(to);
        let known = self.mappings.iter().position(|entry| entry.inside == inside && entry.toward == toward);
        let index = known.unwrap_or_else(|| self.allocate(inside, toward, now));
        let entry = &mut self.mappings[index];
        entry.last_out = now;
        entry.sent_to.insert(to, now);
        SocketAddr::new(self.address, entry.port)
    }

    /// Translates an inbound packet; `None` if no mapping lets it through.
    pub fn inbound(&self, from: SocketAddr, port: u16, now: Instant) -> Option<SocketAddr> {
        let entry = self
            .mappings
            .iter()
            .find(|entry| entry.port == port && now.saturating_duration_since(entry.last_out) < MAPPING_LIFETIME)?;
        let recent = |to: &SocketAddr| {
            entry.sent_to.get(to).is_some_and(|at| now.saturating_duration_since(*at) < MAPPING_LIFETIME)
        };
        let passes = match self.kind.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => entry.sent_to.keys().any(|to| to.ip() == from.ip() && recent(to)),
            Filtering::AddressAndPortDependent => recent(&from),
        };
        passes.then_some(entry.inside)
    }

    /// A port: the inside one where mappings do not depend on the destination and it is free, else counted up.
    fn allocate(&mut self, inside: SocketAddr, toward: Option<SocketAddr>, now: Instant) -> usize {
        let taken = |port: u16, mappings: &[Entry]| mappings.iter().any(|entry| entry.port == port);
        let mut port = inside.port();
        if toward.is_some() || taken(port, &self.mappings) {
            port = self.next_port;
            while taken(port, &self.mappings) {
                port = port.wrapping_add(1).max(FIRST_PORT);
            }
            self.next_port = port.wrapping_add(1).max(FIRST_PORT);
        }
        self.mappings.push(Entry { inside, toward, port, sent_to: BTreeMap::new(), last_out: now });
        self.mappings.len() - 1
    }
}

/// Where counted ports begin.
const FIRST_PORT: u16 = 40_000;
/// Linux keeps an unreplied UDP entry this long; the strictest of the common values.
const MAPPING_LIFETIME: Duration = Duration::from_secs(30);
