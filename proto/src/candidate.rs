//! A place where a device may be reached, and which places are never believed.
//!
//! Candidates are unauthenticated hints: a wrong one costs a few probes. Which pair is used is `path`'s decision.

use std::net::{IpAddr, SocketAddr};

/// One address a device offers, and how it was learnt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Candidate {
    /// The UDP address.
    pub addr: SocketAddr,
    /// How it was learnt.
    pub kind: CandidateKind,
}

/// How an address was learnt; the order is the order in which candidates are probed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CandidateKind {
    /// An address of one of the device's own interfaces.
    Host,
    /// A port mapping on a gateway that has no public address itself: good for those behind the same NAT further out.
    Inner,
    /// Set by the operator.
    Static,
    /// A port mapping that the gateway granted (PCP, NAT-PMP, UPnP).
    Mapped,
    /// What a server saw as our source (server-reflexive candidate).
    Reflexive,
    /// Reflexive address with the local port: right when somebody forwarded that port by hand.
    Guessed,
}

impl CandidateKind {
    /// The stable word used in JSON and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Inner => "inner",
            Self::Static => "static",
            Self::Mapped => "mapped",
            Self::Reflexive => "reflexive",
            Self::Guessed => "guessed",
        }
    }
}

/// All addresses of one device at one epoch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CandidateSet {
    /// Grows with each network change; a receiver drops an older one.
    pub epoch: u64,
    /// At most [`MAX_CANDIDATES`], each usable.
    pub candidates: Vec<Candidate>,
    /// What the device knows of its NAT.
    pub nat: NatReport,
}

/// What a device knows of the NAT before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NatReport {
    /// How mappings depend on the destination (RFC 4787 section 4.1).
    pub mapping: NatMapping,
    /// Whether the external port equals the local one.
    pub preserves_port: bool,
}

/// Mapping behaviour (RFC 4787 section 4.1), as far as two vantage points tell it apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NatMapping {
    /// Not measured yet.
    #[default]
    Unknown,
    /// No NAT: the reflexive address is a local one.
    None,
    /// One external port for all destinations.
    EndpointIndependent,
    /// Another external port for each destination ("symmetric").
    EndpointDependent,
}

impl NatMapping {
    /// The stable word used in JSON and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::EndpointIndependent => "endpoint-independent",
            Self::EndpointDependent => "endpoint-dependent",
        }
    }
}

/// Whether an address may be offered or probed at all; refuses what could only hurt somebody else.
pub fn is_usable(addr: SocketAddr) -> bool {
    let address_ok = match addr.ip() {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast())
                && ip.octets()[0] != 0
                // 192.0.0.0/29: the CLAT's private pair (RFC 7335)
                && ip.octets()[..3] != [192, 0, 0]
        }
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local())
                && ip.to_ipv4_mapped().is_none()
        }
    };
    address_ok && addr.port() >= MIN_PORT
}

/// No NAT maps a client below this; a candidate there would aim probes at somebody's service.
const MIN_PORT: u16 = 1024;

/// How many candidates one device may offer (a docker host's dozen bridges must not crowd out the good one).
pub const MAX_CANDIDATES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_could_only_hurt_others_are_refused() {
        for bad in ["127.0.0.1:4000", "0.0.0.0:4000", "224.0.0.1:4000", "255.255.255.255:4000", "192.0.2.1:53"] {
            assert!(!is_usable(bad.parse().expect("an address")), "{bad}");
        }
        for bad in ["[::1]:4000", "[fe80::1]:4000", "[ff02::1]:4000", "[::ffff:10.0.0.1]:4000"] {
            assert!(!is_usable(bad.parse().expect("an address")), "{bad}");
        }
        for good in ["192.168.1.2:4000", "203.0.113.9:51820", "[2001:db8::1]:4000"] {
            assert!(is_usable(good.parse().expect("an address")), "{good}");
        }
    }
}
