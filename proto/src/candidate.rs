//! A place where a device may be reached, which places are never believed, and what NATs allow to be tried.
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
    /// Which external ports fresh mappings got; none until there were enough of them.
    pub allocation: Option<Allocation>,
    /// Whether the device takes part in searches for a port; some owners forbid it.
    pub searches: bool,
}

/// Which external ports a NAT gave to mappings made one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allocation {
    /// From one mapping to the next, when the ports are counted up or down in small steps.
    pub delta: Option<i16>,
    /// The newest.
    pub last: u16,
    /// The lowest seen.
    pub lowest: u16,
    /// The highest seen; with `lowest` a guess of the block of ports that a carrier's NAT gives to a subscriber.
    pub highest: u16,
}

impl Allocation {
    /// What external ports of mappings made one after the other say of how a NAT gives them out; nothing, if there are
    /// too few.
    pub fn of(fresh: &[u16]) -> Option<Self> {
        let newest = fresh.last_chunk::<ENOUGH_FRESH>()?.map(i32::from);
        let steps: Vec<i32> = newest.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let up = steps[0].signum();
        let counted = up != 0 && steps.iter().all(|step| step.signum() == up && step.abs() <= MAX_DELTA.into());
        // others behind the NAT take numbers of the same sequence: what all steps are multiples of is its own
        let own = steps.iter().fold(0, |all, step| greatest_common_divisor(all, step.abs()));
        Some(Self {
            delta: i16::try_from(own * up).ok().filter(|_| counted),
            last: *fresh.last()?,
            lowest: *fresh.iter().min()?,
            highest: *fresh.iter().max()?,
        })
    }
}

const fn greatest_common_divisor(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Mapping behaviour (RFC 4787 section 4.1), as far as the vantage points tell it apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NatMapping {
    /// Not measured yet.
    #[default]
    Unknown,
    /// No NAT: the reflexive address is a local one.
    None,
    /// One external port for all destinations.
    EndpointIndependent,
    /// Another external port for each destination address, the same for all ports there. Seen only where servers have
    /// two addresses.
    AddressDependent,
    /// Another external port for each destination address and port ("symmetric").
    EndpointDependent,
}

impl NatMapping {
    /// The stable word used in JSON and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::EndpointDependent => "endpoint-dependent",
        }
    }

    /// Whether a peer meets another external port than the servers do.
    pub const fn is_dependent(self) -> bool {
        matches!(self, Self::AddressDependent | Self::EndpointDependent)
    }
}

impl NatReport {
    /// The step and the newest port of a NAT that maps each destination anew and counts.
    pub fn sequence(&self) -> Option<(i16, u16)> {
        let allocation = self.allocation.filter(|_| self.mapping.is_dependent())?;
        allocation.delta.map(|delta| (delta, allocation.last))
    }
}

/// How two devices may find each other's port where neither a known address nor an answer from a surprising one helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortSearch {
    /// One NAT chooses ports at random: its device opens many sockets, the other one tries many ports.
    Birthday(Hard),
    /// Both NATs count: each device aims many sockets at the one port that the other's NAT is about to give out.
    Meeting,
    /// One NAT counts: its device opens a socket, the other one tries the ports that come next.
    Prediction(Hard),
}

/// Which of two devices is behind the NAT that maps each destination anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hard {
    /// The one whose report was given first.
    First,
    /// The other one.
    Second,
}

impl PortSearch {
    /// What two reports allow. Both ends and the rendezvous come to the same answer from the same reports.
    pub fn between(first: &NatReport, second: &NatReport) -> Option<Self> {
        if !(first.searches && second.searches) {
            return None;
        }
        let hard = match (first.mapping.is_dependent(), second.mapping.is_dependent()) {
            // the pairs of ports to be tried are the square of what one random NAT needs
            (true, true) => {
                first.sequence()?;
                second.sequence()?;
                return Some(Self::Meeting);
            }
            (true, false) if second.mapping != NatMapping::Unknown => Hard::First,
            (false, true) if first.mapping != NatMapping::Unknown => Hard::Second,
            // who is not seen to be mapped evenly may not be let out at all
            (false, _) | (true, false) => return None,
        };
        let sequence = match hard {
            Hard::First => first.sequence(),
            Hard::Second => second.sequence(),
        };
        Some(if sequence.is_some() { Self::Prediction(hard) } else { Self::Birthday(hard) })
    }

    /// Mappings that it may make in one NAT; what a common budget is charged with.
    pub const fn cost(self) -> u32 {
        match self {
            Self::Birthday(_) => BIRTHDAY_SOCKETS as u32,
            Self::Meeting | Self::Prediction(_) => PREDICTED_PORTS as u32,
        }
    }
}

/// Fresh mappings in a row that tell whether they are counted: three small steps one way do not happen by chance.
pub const ENOUGH_FRESH: usize = 4;
/// A NAT that counts ports skips few of them between two mappings.
pub const MAX_DELTA: i16 = 16;
/// Sockets of a birthday search: with 1,159 ports tried, 99 in 100 searches over all ports meet one of them.
pub const BIRTHDAY_SOCKETS: usize = 256;
/// How far ahead a counting NAT is followed: so many foreign mappings may come between the last look at it and ours.
pub const PREDICTED_PORTS: usize = 32;

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
    fn a_search_needs_exactly_one_random_nat_or_counting_ones() {
        let report = |mapping, delta| NatReport {
            mapping,
            allocation: Some(Allocation { delta, last: 40_000, lowest: 40_000, highest: 40_004 }),
            searches: true,
            ..NatReport::default()
        };
        let random = report(NatMapping::EndpointDependent, None);
        let counting = report(NatMapping::EndpointDependent, Some(1));
        let plain = report(NatMapping::EndpointIndependent, Some(1));

        assert_eq!(PortSearch::between(&plain, &plain), None);
        assert_eq!(PortSearch::between(&plain, &random), Some(PortSearch::Birthday(Hard::Second)));
        assert_eq!(PortSearch::between(&counting, &plain), Some(PortSearch::Prediction(Hard::First)));
        assert_eq!(PortSearch::between(&counting, &counting), Some(PortSearch::Meeting));
        assert_eq!(PortSearch::between(&counting, &random), None);
        assert_eq!(PortSearch::between(&random, &random), None);
        assert_eq!(PortSearch::between(&random, &report(NatMapping::Unknown, None)), None);
        assert_eq!(PortSearch::between(&plain, &NatReport { searches: false, ..random }), None);
    }

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
