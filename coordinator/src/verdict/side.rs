//! One end of a pair as its report, its candidates and its connection show it, and what two ends have in common.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use warren_proto::candidate::{Candidate, CandidateKind, CandidateSet, NatMapping, NatReport, PortSearch};
use warren_proto::control::{Attempt, AttemptReport};

use super::Blame;

/// One end of a pair, as it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) name: &'a str,
    pub(crate) online: bool,
    pub(crate) relay_only: bool,
    /// With its address as this server sees it.
    pub(crate) set: Option<&'a CandidateSet>,
    pub(crate) report: Option<&'a AttemptReport>,
    /// Whether a search for a port of the pair waits for its turn.
    pub(crate) waits: bool,
}

impl Side<'_> {
    pub(super) fn via(&self) -> &str {
        self.report.map_or("", |report| &report.via)
    }

    pub(super) fn is_direct(&self) -> bool {
        DIRECT.contains(&self.via())
    }

    pub(super) fn is_udp_blocked(&self) -> bool {
        // who is seen by STUN goes through a WebSocket for the relay's sake alone
        let unseen = self.mapping() == NatMapping::Unknown;
        self.report.is_some_and(|report| report.udp_blocked) || unseen && self.via() == "websocket-relay"
    }

    fn mapping(&self) -> NatMapping {
        self.set.map_or(NatMapping::Unknown, |set| set.nat.mapping)
    }

    pub(super) fn is_symmetric(&self) -> bool {
        self.mapping().is_dependent()
    }

    pub(super) fn has_nat(&self) -> bool {
        self.mapping() != NatMapping::None
    }

    /// Whether any attempt of the last common start, straight to an address, is so.
    pub(super) fn any(&self, so: impl Fn(&Attempt) -> bool) -> bool {
        let Some(report) = self.report else { return false };
        report
            .attempts
            .iter()
            .any(|attempt| attempt.attempt == report.attempt && attempt.technique != "relay" && so(attempt))
    }

    /// Whether a router, or a firewall of its own, says that it may not send to an address outside.
    pub(super) fn is_turned_away(&self) -> bool {
        let outside = |addr: SocketAddr| match addr.ip() {
            IpAddr::V4(ip) => !(ip.is_private() || ip.is_link_local() || is_shared(ip)),
            IpAddr::V6(ip) => !(ip.is_unique_local() || ip.is_unicast_link_local()),
        };
        !self.is_direct() && self.any(|attempt| attempt.result == "forbidden" && attempt.remote.is_some_and(outside))
    }

    /// Whether it waits for an answer at this moment, from whatever start.
    pub(super) fn is_trying(&self) -> bool {
        let mut attempts = self.report.into_iter().flat_map(|report| &report.attempts);
        attempts.any(|attempt| attempt.technique != "relay" && attempt.result == "pending")
    }

    fn heard(&self) -> bool {
        self.is_direct() || self.any(|attempt| attempt.heard > 0 || attempt.result == "answered")
    }

    fn addresses(&self, kind: CandidateKind) -> impl Iterator<Item = Ipv4Addr> {
        let candidates = self.set.into_iter().flat_map(|set| &set.candidates);
        let of_kind = candidates.filter(move |candidate| candidate.kind == kind);
        of_kind.filter_map(|candidate| match candidate.addr.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    }

    /// Whether anything says that it has IPv4, and IPv6, towards the outside.
    fn families(&self) -> [bool; 2] {
        let outside = |candidate: &Candidate| match (candidate.addr.ip(), candidate.kind) {
            (_, CandidateKind::Inner) => false,
            (IpAddr::V4(ip), CandidateKind::Host) => !ip.is_private(),
            (IpAddr::V6(ip), _) => !ip.is_unique_local(),
            (IpAddr::V4(_), _) => true,
        };
        let told = || self.set.into_iter().flat_map(|set| &set.candidates).filter(|candidate| outside(candidate));
        [told().any(|candidate| candidate.addr.is_ipv4()), told().any(|candidate| candidate.addr.is_ipv6())]
    }

    fn has_inner(&self) -> bool {
        self.addresses(CandidateKind::Inner).next().is_some()
    }

    fn is_seen_at(&self, ip: Ipv4Addr) -> bool {
        self.addresses(CandidateKind::Reflexive).any(|seen| seen == ip)
    }

    /// "port 41641" as a person needs it, or what stands for it.
    pub(super) fn port_words(&self) -> String {
        let candidates = self.set.into_iter().flat_map(|set| &set.candidates);
        let mut own = candidates.filter(|candidate| candidate.kind == CandidateKind::Host);
        own.next().map_or_else(|| "of the agent".to_owned(), |candidate| candidate.addr.port().to_string())
    }
}

/// The side, or both, of which something is true.
pub(super) fn one<'a>(sides: &[Side<'a>; 2], so: impl Fn(&Side<'a>) -> bool) -> Option<Blame> {
    match [so(&sides[0]), so(&sides[1])] {
        [true, true] => Some(Blame::Both),
        [true, false] => Some(Blame::First),
        [false, true] => Some(Blame::Second),
        [false, false] => None,
    }
}

pub(super) fn both<'a>(sides: &[Side<'a>; 2], so: impl Fn(&Side<'a>) -> bool) -> Option<Blame> {
    one(sides, so).filter(|blame| *blame == Blame::Both)
}

pub(super) fn any(sides: &[Side<'_>; 2], so: impl Fn(&Attempt) -> bool) -> bool {
    sides.iter().any(|side| side.any(&so))
}

pub(super) fn blamed<'a, 'b>(sides: &'a [Side<'b>; 2], blame: Blame) -> Option<&'a Side<'b>> {
    match blame {
        Blame::Both => None,
        Blame::First => Some(&sides[0]),
        Blame::Second => Some(&sides[1]),
    }
}

/// Who does not take part in a search that the two NATs would allow.
pub(super) fn refuse_search(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let nats = sides.each_ref().map(|side| side.set.map(|set| set.nat).unwrap_or_default());
    let [first, second] = nats.map(|nat| NatReport { searches: true, ..nat });
    PortSearch::between(&first, &second)?;
    match nats.map(|nat| nat.searches) {
        [true, true] => None,
        [false, true] => Some(Blame::First),
        [true, false] => Some(Blame::Second),
        [false, false] => Some(Blame::Both),
    }
}

/// The one that hears nothing although the other hears it. Only reports of one start can be compared.
pub(super) fn deaf(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let [Some(first), Some(second)] = [sides[0].report, sides[1].report] else { return None };
    let comparable = first.attempt == second.attempt && first.attempt != 0;
    one(sides, |side| comparable && !side.heard()).filter(|blame| *blame != Blame::Both)
}

/// Whether each can be reached from outside, but one over IPv4 only and the other over IPv6 only.
pub(super) fn have_no_family(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let [first, second] = sides.each_ref().map(Side::families);
    let apart = first[0] != first[1] && second[0] != second[1] && first != second;
    apart.then_some(Blame::Both)
}

/// Whether the outside sees both at one IPv4 address.
pub(super) fn is_one_address(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let [first, second] = sides;
    let mut seen = first.addresses(CandidateKind::Reflexive);
    seen.any(|ip| second.is_seen_at(ip) && first.has_nat() && second.has_nat()).then_some(Blame::Both)
}

/// Whether two devices behind one public address are surely not in one local network: a gateway has another NAT before
/// it, or no address of one is in a network of the other.
pub(super) fn are_apart(sides: &[Side<'_>; 2]) -> bool {
    let [first, second] = sides;
    let network = |ip: Ipv4Addr| u32::from(ip) & LOCAL_NETWORK;
    let near = |ip: Ipv4Addr| second.addresses(CandidateKind::Host).any(|other| network(other) == network(ip));
    first.has_inner() || second.has_inner() || !first.addresses(CandidateKind::Host).any(near)
}

/// Whether an address is of those that carriers give to subscribers (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
}

/// The values of `via` that are no relay.
const DIRECT: [&str; 3] = ["ipv4", "ipv6", "lan"];
/// What most local networks share of an address: its first 24 bits.
const LOCAL_NETWORK: u32 = 0xffff_ff00;
