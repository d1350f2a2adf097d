//! Where this device may be reached: addresses of its own interfaces, and what servers see of it.
//!
//! Candidates are hints; which of them work is decided by probing, in `warren_proto::path`. Asking servers is left to
//! `stun` and `control`, listing interfaces and noticing that the network changed to `netcfg`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use warren_proto::candidate::{Allocation, Candidate, CandidateKind, MAX_CANDIDATES, is_usable};
use warren_proto::control::{CandidateSet, NatMapping, NatReport};

/// What is known of this device's addresses.
#[derive(Debug)]
pub struct Gatherer {
    epoch: u64,
    port: u16,
    hosts: Vec<IpAddr>,
    /// Server asked -> our address as it saw us, on this network.
    seen_from: BTreeMap<SocketAddr, SocketAddr>,
    reflexive: Vec<Reflexive>,
    /// What the gateway says leads to our port.
    mapping: Option<SocketAddr>,
    /// External ports of mappings that did not exist before, on this network, in the order in which they were made.
    fresh: VecDeque<u16>,
}

#[derive(Debug)]
struct Reflexive {
    mapped: SocketAddr,
    at: Instant,
}

impl Gatherer {
    /// Knows nothing yet but its UDP port. Epochs grow from `epoch`, over restarts too when it is the time of day.
    pub fn new(port: u16, epoch: u64) -> Self {
        Self {
            epoch,
            port,
            hosts: Vec::new(),
            seen_from: BTreeMap::new(),
            reflexive: Vec::new(),
            mapping: None,
            fresh: VecDeque::new(),
        }
    }

    /// Replaces the interface addresses, best first.
    pub fn set_hosts(&mut self, hosts: Vec<IpAddr>) {
        self.hosts = hosts;
    }

    /// The network is another: what servers saw of us on the one before says nothing of this NAT.
    pub fn start_epoch(&mut self) {
        self.epoch += 1;
        self.seen_from.clear();
        self.fresh.clear();
    }

    /// Nothing of what servers saw of us is offered any more: UDP does not get out.
    pub fn forget_seen(&mut self) {
        self.start_epoch();
        self.reflexive.clear();
    }

    /// Notes how `server` sees us; `true` when that is news.
    pub fn note_seen(&mut self, server: SocketAddr, mapped: SocketAddr, now: Instant) -> bool {
        if !is_usable(mapped) || (self.seen_from.len() >= MAX_SERVERS && !self.seen_from.contains_key(&server)) {
            return false;
        }
        let news = self.seen_from.insert(server, mapped) != Some(mapped);
        self.reflexive.retain(|seen| seen.mapped != mapped && now < seen.at + KEEP_REFLEXIVE);
        self.reflexive.insert(0, Reflexive { mapped, at: now });
        self.reflexive.truncate(MAX_REFLEXIVE);
        news
    }

    /// Notes the port mapping that the gateway granted, or that there is none; `true` when that is news.
    pub fn set_mapping(&mut self, mapping: Option<SocketAddr>) -> bool {
        std::mem::replace(&mut self.mapping, mapping) != mapping
    }

    /// A mapping is worth the most under the address that servers see. Under another one the gateway itself sits behind
    /// a NAT, and only its neighbours there can use it.
    fn mapping_kind(&self, mapping: SocketAddr) -> CandidateKind {
        // until servers have answered on a network that may be new, the answers on the last one are all there is
        let lately = self.reflexive.iter().map(|seen| seen.mapped).filter(|_| self.seen_from.is_empty());
        let outermost = self.seen_from.values().copied().chain(lately).any(|seen| seen.ip() == mapping.ip());
        if outermost { CandidateKind::Mapped } else { CandidateKind::Inner }
    }

    /// Our addresses as servers see them, without repetition.
    pub fn observed(&self) -> Vec<SocketAddr> {
        self.seen_from.values().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What the servers' views, put together, say of the NAT.
    pub fn nat(&self) -> NatReport {
        let v4: Vec<SocketAddr> = self.seen_from.values().copied().filter(SocketAddr::is_ipv4).collect();
        let Some(first) = v4.first() else { return NatReport::default() };
        let same = v4.iter().all(|mapped| mapped == first);
        let mapping = match (v4.len(), same) {
            _ if same && self.hosts.contains(&first.ip()) => NatMapping::None,
            (1, _) => NatMapping::Unknown,
            (_, true) => NatMapping::EndpointIndependent,
            (_, false) if self.differs_by_address_alone() => NatMapping::AddressDependent,
            (_, false) => NatMapping::EndpointDependent,
        };
        let preserves_port = v4.iter().all(|mapped| mapped.port() == self.port);
        let fresh: Vec<u16> = self.fresh.iter().copied().collect();
        // whether devices take part in searches is the core's to say
        NatReport { mapping, preserves_port, allocation: Allocation::of(&fresh), searches: false }
    }

    /// Notes the external ports of mappings made one after the other, none of which existed before.
    pub fn note_fresh(&mut self, ports: impl IntoIterator<Item = u16>) {
        self.fresh.extend(ports);
        self.fresh.drain(..self.fresh.len().saturating_sub(MAX_FRESH));
    }

    /// Servers at two addresses at least, and all ports of each of them see the same.
    fn differs_by_address_alone(&self) -> bool {
        let mut by_address: BTreeMap<IpAddr, BTreeSet<SocketAddr>> = BTreeMap::new();
        for (server, mapped) in self.seen_from.iter().filter(|(_, mapped)| mapped.is_ipv4()) {
            by_address.entry(server.ip()).or_default().insert(*mapped);
        }
        let servers = self.seen_from.values().filter(|mapped| mapped.is_ipv4()).count();
        // one port of each tells nothing of the other ports
        servers > by_address.len() && by_address.values().all(|seen| seen.len() == 1)
    }

    /// All addresses to offer, best first, without repetition, cut to the allowed number.
    pub fn candidates(&self) -> CandidateSet {
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut offer = |addr: SocketAddr, kind: CandidateKind| {
            if is_usable(addr)
                && !candidates.iter().any(|known| known.addr == addr)
                && candidates.len() < MAX_CANDIDATES
            {
                candidates.push(Candidate { addr, kind });
            }
        };
        let host_limit = MAX_CANDIDATES - RESERVED;
        for ip in self.hosts.iter().take(host_limit) {
            offer(SocketAddr::new(*ip, self.port), CandidateKind::Host);
        }
        // before what servers see: it may be the same address, and then this says more
        if let Some(mapping) = self.mapping {
            offer(mapping, self.mapping_kind(mapping));
        }
        for seen in &self.reflexive {
            offer(seen.mapped, CandidateKind::Reflexive);
        }
        if let Some(newest) = self.reflexive.iter().find(|seen| seen.mapped.is_ipv4()) {
            offer(SocketAddr::new(newest.mapped.ip(), self.port), CandidateKind::Guessed);
        }
        CandidateSet { epoch: self.epoch, candidates, nat: self.nat() }
    }
}

/// Puts the address the kernel uses `towards` the server first: the most likely to be reached by others.
pub fn preferred_first(mut hosts: Vec<IpAddr>, towards: Option<SocketAddr>) -> Vec<IpAddr> {
    let first = towards.and_then(source_towards);
    hosts.sort_by_key(|ip| (Some(*ip) != first, *ip));
    hosts.dedup();
    hosts
}

/// The source address the kernel would choose towards `server`; connecting a UDP socket sends nothing.
fn source_towards(server: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Places kept for a port mapping and what servers see, however many interfaces there are.
const RESERVED: usize = 5;
/// A NAT whose mapping we stopped refreshing forgets it by then (RFC 4787 section 4.3: five minutes is recommended).
const KEEP_REFLEXIVE: Duration = Duration::from_secs(310);
/// The current ones of two families and two vantage points, and as many from before.
const MAX_REFLEXIVE: usize = 6;
/// Vantage points: control plane and two STUN ports of every replica.
const MAX_SERVERS: usize = 24;
/// Fresh mappings that are remembered: their range is the guess of a carrier's block of ports.
const MAX_FRESH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_vantage_points_tell_the_mapping() {
        let cases = [
            ([40_000, 40_000], NatMapping::EndpointIndependent, true),
            ([51_000, 51_000], NatMapping::EndpointIndependent, false),
            ([51_000, 51_001], NatMapping::EndpointDependent, false),
        ];
        for (ports, mapping, preserves_port) in cases {
            let gatherer = behind_nat(&ports);

            assert_eq!(gatherer.nat(), NatReport { mapping, preserves_port, ..NatReport::default() }, "{ports:?}");
        }
    }

    #[test]
    fn one_vantage_point_tells_nothing_of_the_mapping() {
        assert_eq!(behind_nat(&[40_000]).nat().mapping, NatMapping::Unknown);
    }

    #[test]
    fn a_reflexive_address_that_is_our_own_means_no_nat() {
        let now = Instant::now();
        let mut gatherer = Gatherer::new(PORT, 1);
        gatherer.set_hosts(vec!["198.51.100.7".parse().unwrap()]);

        gatherer.note_seen(server(1), mapped(PORT), now);

        let expected = NatReport { mapping: NatMapping::None, preserves_port: true, ..NatReport::default() };
        assert_eq!(gatherer.nat(), expected);
        assert_eq!(gatherer.candidates().candidates.len(), 1);
    }

    #[test]
    fn a_nat_that_counts_ports_up_is_recognised() {
        let delta = |ports: &[u16]| {
            let mut gatherer = behind_nat(&[50_998, 50_999]);
            gatherer.note_fresh(ports.iter().copied());
            gatherer.nat().allocation.and_then(|allocation| allocation.delta)
        };

        assert_eq!(delta(&[51_000, 51_001, 51_002, 51_003]), Some(1));
        assert_eq!(delta(&[51_000, 51_002, 51_006, 51_008]), Some(2));
        assert_eq!(delta(&[9, 51_006, 51_004, 51_003, 51_000]), Some(-1));
        assert_eq!(delta(&[51_000, 40_002, 51_003, 51_004]), None);
        assert_eq!(delta(&[51_000, 51_001, 51_002]), None);
    }

    #[test]
    fn the_ports_of_fresh_mappings_show_the_block_they_come_from() {
        let mut gatherer = behind_nat(&[10_300, 11_200]);

        gatherer.note_fresh([10_500, 11_100, 10_260, 10_900]);

        let expected = Allocation { delta: None, last: 10_900, lowest: 10_260, highest: 11_100 };
        assert_eq!(gatherer.nat().allocation, Some(expected));
    }

    #[test]
    fn a_nat_that_looks_at_the_address_alone_is_told_from_one_that_looks_at_the_port_too() {
        let now = Instant::now();
        let seen = |ports: [u16; 4]| {
            let mut gatherer = Gatherer::new(PORT, 1);
            for (index, port) in ports.into_iter().enumerate() {
                let server = SocketAddr::from(([203, 0, 113, index as u8 / 2], 3478 + index as u16 % 2));
                gatherer.note_seen(server, mapped(port), now);
            }
            gatherer.nat().mapping
        };

        assert_eq!(seen([50_000, 50_000, 50_007, 50_007]), NatMapping::AddressDependent);
        assert_eq!(seen([50_000, 50_001, 50_007, 50_008]), NatMapping::EndpointDependent);
    }

    #[test]
    fn a_forwarded_port_is_guessed_when_the_nat_changes_ports() {
        let set = behind_nat(&[51_000]).candidates();

        let guessed = set.candidates.iter().find(|candidate| candidate.kind == CandidateKind::Guessed).unwrap();
        assert_eq!(guessed.addr, mapped(PORT));
    }

    #[test]
    fn a_mapping_is_offered_to_all_only_under_the_address_that_servers_see() {
        for (mapping, kind) in [
            ("198.51.100.7:40000", CandidateKind::Mapped),
            ("198.51.100.7:2000", CandidateKind::Mapped),
            ("100.64.0.9:40000", CandidateKind::Inner),
            ("198.51.100.8:40000", CandidateKind::Inner),
        ] {
            let mut gatherer = behind_nat(&[51_000, 51_001]);

            assert!(gatherer.set_mapping(Some(mapping.parse().unwrap())));

            let set = gatherer.candidates();
            let offered = set.candidates.iter().find(|candidate| candidate.addr.to_string() == mapping).unwrap();
            assert_eq!(offered.kind, kind, "{mapping}");
        }
    }

    #[test]
    fn a_mapping_keeps_its_worth_while_servers_are_asked_anew() {
        let mut gatherer = behind_nat(&[51_000]);
        gatherer.set_mapping(Some(mapped(2000)));

        gatherer.start_epoch();

        let set = gatherer.candidates();
        assert!(set.candidates.contains(&Candidate { addr: mapped(2000), kind: CandidateKind::Mapped }));
    }

    #[test]
    fn a_mapping_that_is_also_the_reflexive_address_is_offered_once() {
        let mut gatherer = behind_nat(&[PORT, PORT]);

        gatherer.set_mapping(Some(mapped(PORT)));

        let kinds: Vec<_> = gatherer.candidates().candidates.iter().map(|candidate| candidate.kind).collect();
        assert_eq!(kinds, [CandidateKind::Host, CandidateKind::Mapped]);
        assert!(gatherer.set_mapping(None) && !gatherer.set_mapping(None));
    }

    #[test]
    fn many_interfaces_leave_room_for_what_servers_see() {
        let mut gatherer = behind_nat(&[51_000]);
        gatherer.set_hosts((1..=40).map(|host| IpAddr::from([10, 0, 0, host])).collect());

        let set = gatherer.candidates();

        assert_eq!(set.candidates.len(), MAX_CANDIDATES - RESERVED + 2);
        assert!(set.candidates.iter().any(|candidate| candidate.kind == CandidateKind::Reflexive));
    }

    #[test]
    fn another_network_makes_a_new_epoch_and_another_nat() {
        let mut gatherer = behind_nat(&[51_000, 51_001]);

        gatherer.start_epoch();

        assert_eq!(gatherer.candidates().epoch, 2);
        assert_eq!(gatherer.nat(), NatReport::default());
        assert!(gatherer.candidates().candidates.iter().any(|candidate| candidate.kind == CandidateKind::Reflexive));
    }

    #[test]
    fn where_udp_is_blocked_nothing_is_offered_that_servers_saw() {
        let mut gatherer = behind_nat(&[51_000, 51_001]);

        gatherer.forget_seen();

        let set = gatherer.candidates();
        assert_eq!((set.epoch, set.nat, gatherer.observed()), (2, NatReport::default(), Vec::new()));
        assert!(set.candidates.iter().all(|candidate| candidate.kind == CandidateKind::Host));
    }

    #[test]
    fn an_old_view_of_us_is_forgotten() {
        let now = Instant::now();
        let mut gatherer = Gatherer::new(PORT, 1);
        gatherer.note_seen(server(1), mapped(50_000), now);

        gatherer.note_seen(server(1), mapped(50_001), now + KEEP_REFLEXIVE);

        let offered: Vec<u16> =
            gatherer.candidates().candidates.iter().map(|candidate| candidate.addr.port()).collect();
        assert_eq!(offered, [50_001, PORT]);
    }

    #[test]
    fn the_address_used_towards_the_server_comes_first() {
        let hosts = ["10.0.0.1", "127.0.0.1"].map(|ip| ip.parse().unwrap()).to_vec();

        let sorted = preferred_first(hosts, Some("127.0.0.1:443".parse().unwrap()));

        assert_eq!(sorted[0], "127.0.0.1".parse::<IpAddr>().unwrap());
    }

    fn behind_nat(ports: &[u16]) -> Gatherer {
        let now = Instant::now();
        let mut gatherer = Gatherer::new(PORT, 1);
        gatherer.set_hosts(vec!["192.168.1.2".parse().unwrap()]);
        for (index, port) in ports.iter().enumerate() {
            gatherer.note_seen(server(u8::try_from(index).unwrap()), mapped(*port), now);
        }
        gatherer
    }

    fn server(host: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, host], 3478))
    }

    fn mapped(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    const PORT: u16 = 40_000;
}
