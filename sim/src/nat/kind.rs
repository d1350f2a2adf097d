//! How NATs differ, in the terms of RFC 4787, and the kinds that people have names for.

use std::time::Duration;

/// On what of the destination the external address and port of a source depend (RFC 4787 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// On address and port.
    AddressAndPortDependent,
    /// On the address.
    AddressDependent,
    /// On nothing.
    EndpointIndependent,
    /// Nothing is translated: a firewall.
    None,
}

/// Which inbound packets a mapping lets through (RFC 4787 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filtering {
    /// From addresses and ports that were sent to.
    AddressAndPortDependent,
    /// From addresses that were sent to.
    AddressDependent,
    /// From anywhere.
    EndpointIndependent,
}

/// Which external port a new mapping gets when it does not keep the inside one (RFC 4787 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ports {
    /// Any of a block that the inside address has to itself, as carriers give them out.
    Block(u16),
    /// Any.
    Random,
    /// The last one plus this.
    Sequential(i16),
}

/// The behaviour of one NAT or firewall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatKind {
    /// Mapping behaviour.
    pub mapping: Mapping,
    /// Filtering behaviour.
    pub filtering: Filtering,
    /// Whether a mapping gets the inside port if that is free.
    pub preserves_port: bool,
    /// Which port it gets otherwise.
    pub ports: Ports,
    /// Whether inside hosts reach each other by their external addresses.
    pub hairpin: bool,
    /// Whether the router takes packets that belong to no mapping for its own: it remembers them, and a mapping that
    /// would look like the answer gets another port (`nat.md` 0.2).
    pub input_accepts: bool,
    /// Whether UDP is dropped altogether.
    pub blocks_udp: bool,
    /// Life of a mapping toward a destination that has not answered.
    pub unreplied: Duration,
    /// Life of one that has.
    pub replied: Duration,
    /// Whether packets from outside prolong that life (RFC 4787 section 4.3 leaves it to the NAT).
    pub inbound_refreshes: bool,
    /// Most destinations one inside address may have at a time.
    pub sessions_max: usize,
    /// Most new destinations of all inside addresses within a second.
    pub new_per_second: u32,
    /// New mappings a second that other devices of the same site make.
    pub noise_per_second: u32,
}

impl NatKind {
    /// What people call port-restricted cone: a Linux router that drops what it does not expect. Timers are the
    /// strictest of the common ones.
    pub const PORT_RESTRICTED: Self = Self {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::AddressAndPortDependent,
        preserves_port: true,
        ports: Ports::Sequential(1),
        hairpin: false,
        input_accepts: false,
        blocks_udp: false,
        unreplied: Duration::from_secs(30),
        replied: Duration::from_secs(30),
        inbound_refreshes: false,
        sessions_max: usize::MAX,
        new_per_second: u32::MAX,
        noise_per_second: 0,
    };
    /// What people call full cone.
    pub const FULL_CONE: Self = Self { filtering: Filtering::EndpointIndependent, ..Self::PORT_RESTRICTED };
    /// What people call (address-)restricted cone.
    pub const ADDRESS_RESTRICTED: Self = Self { filtering: Filtering::AddressDependent, ..Self::PORT_RESTRICTED };
    /// A hand-made router, a gateway in a cloud: port-restricted, with an open WAN side.
    pub const ACCEPTING: Self = Self { input_accepts: true, ..Self::PORT_RESTRICTED };
    /// Symmetric, and it counts ports up.
    pub const SYMMETRIC_SEQUENTIAL: Self =
        Self { mapping: Mapping::AddressAndPortDependent, preserves_port: false, ..Self::PORT_RESTRICTED };
    /// Symmetric, any port: pfSense, many companies.
    pub const SYMMETRIC_RANDOM: Self = Self { ports: Ports::Random, ..Self::SYMMETRIC_SEQUENTIAL };
    /// Another mapping for each address, one for all its ports.
    pub const ADDRESS_DEPENDENT: Self = Self { mapping: Mapping::AddressDependent, ..Self::SYMMETRIC_RANDOM };
    /// One mapping for all, on a port that is not the inside one.
    pub const NOT_PRESERVING: Self = Self { preserves_port: false, ports: Ports::Random, ..Self::PORT_RESTRICTED };
    /// A carrier's: a block of ports a subscriber, one mapping for all destinations.
    pub const CARRIER: Self = Self { ports: Ports::Block(1024), ..Self::NOT_PRESERVING };
    /// A carrier's of the stricter sort, as many cellular ones are.
    pub const CARRIER_SYMMETRIC: Self =
        Self { mapping: Mapping::AddressAndPortDependent, ports: Ports::Block(2048), ..Self::SYMMETRIC_RANDOM };
    /// A stateful firewall that translates nothing, as before IPv6 hosts.
    pub const FIREWALL: Self = Self { mapping: Mapping::None, ..Self::PORT_RESTRICTED };
    /// A network that lets no UDP out.
    pub const UDP_BLOCKED: Self = Self { blocks_udp: true, ..Self::PORT_RESTRICTED };

    /// This kind with the timers of Linux: 30 s, 120 s once answered, prolonged from either side.
    pub const fn with_linux_timers(self) -> Self {
        Self { replied: Duration::from_secs(120), inbound_refreshes: true, ..self }
    }
}
