//! The forwarding table: overlay destination -> peer, SPI -> association. Built once, never changed, replaced whole.
//!
//! Exact addresses are one hash look-up; prefixes behind peers are few and are tried longest first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use warren_proto::io::Remote;
use warren_proto::keys::{Family, NodeId, Spi};
use warren_proto::node::PeerRoute;
use warren_proto::session::{InboundSa, OutboundSa};
use warren_proto::stats::PeerStats;

/// An immutable snapshot of everything the fast path decides by.
#[derive(Default)]
pub struct Fib {
    peers: Vec<Peer>,
    v4: HashMap<u32, usize, Hash>,
    v6: HashMap<u128, usize, Hash>,
    /// Longest first.
    prefixes: Vec<(IpNet, usize)>,
    receivers: HashMap<u32, Receiver, Hash>,
    relays: Vec<SocketAddr>,
}

/// A peer, as a destination.
pub(super) struct Peer {
    pub(super) node: NodeId,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    lanes: Option<[Lane; 2]>,
    pub(super) stats: Arc<PeerStats>,
}

/// All that a packet to a peer needs, for its family.
pub(super) struct Lane {
    pub(super) sa: Arc<OutboundSa>,
    pub(super) to: Remote,
    pub(super) hedge: Option<Remote>,
    /// The largest inner packet in transport form.
    pub(super) transport_mtu: usize,
    /// The largest inner packet that travels whole.
    pub(super) whole_mtu: usize,
}

/// An association to receive by, with its peer's counters.
pub(super) struct Receiver {
    pub(super) sa: Arc<InboundSa>,
    pub(super) stats: Arc<PeerStats>,
}

impl Fib {
    /// Builds the table. Relay frames are taken from `relays` alone.
    pub fn build(
        peers: Vec<PeerRoute>,
        inbound: Vec<Arc<InboundSa>>,
        relays: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        let stats: HashMap<NodeId, Arc<PeerStats>> =
            peers.iter().map(|route| (route.node, Arc::clone(&route.stats))).collect();
        let receiver = |sa: Arc<InboundSa>| {
            let stats = stats.get(&sa.peer()).cloned().unwrap_or_default();
            (sa.spi().get(), Receiver { sa, stats })
        };
        let mut fib = Self {
            receivers: inbound.into_iter().map(receiver).collect(),
            relays: relays.into_iter().collect(),
            ..Self::default()
        };
        peers.into_iter().for_each(|route| fib.add(route));
        fib.prefixes.sort_by_key(|(net, _)| Reverse(net.prefix_len()));
        fib
    }

    fn add(&mut self, route: PeerRoute) {
        let index = self.peers.len();
        self.v4.insert(route.v4.to_bits(), index);
        self.v6.insert(route.v6.to_bits(), index);
        let nets = route.routes.iter().filter_map(|(address, len)| IpNet::new(*address, *len).ok());
        self.prefixes.extend(nets.map(|net| (net.trunc(), index)));
        self.peers.push(Peer::new(route));
    }

    /// The peer that a packet to `destination` goes to.
    pub(super) fn peer(&self, destination: IpAddr) -> Option<&Peer> {
        let exact = match destination {
            IpAddr::V4(ip) => self.v4.get(&ip.to_bits()),
            IpAddr::V6(ip) => self.v6.get(&ip.to_bits()),
        };
        let behind = || self.prefixes.iter().find(|(net, _)| net.contains(&destination)).map(|(_, index)| index);
        self.peers.get(*exact.or_else(behind)?)
    }

    /// The association that a datagram with `spi` is to be opened by.
    pub(super) fn receiver(&self, spi: Spi) -> Option<&Receiver> {
        self.receivers.get(&spi.get())
    }

    /// Whether relay frames are taken from this address.
    pub(super) fn is_relay(&self, from: SocketAddr) -> bool {
        self.relays.contains(&from)
    }
}

impl Peer {
    fn new(route: PeerRoute) -> Self {
        let hedge = route.hedge.filter(|hedge| Some(*hedge) != route.remote);
        let lane = |sa: Arc<OutboundSa>, to| {
            let (transport_mtu, whole_mtu) = sa.inner_mtu(route.udp_payload);
            Lane { sa, to, hedge, transport_mtu, whole_mtu }
        };
        let lanes = route.outbound.zip(route.remote).map(|(sas, to)| sas.map(|sa| lane(sa, to)));
        Self { node: route.node, v4: route.v4, v6: route.v6, lanes, stats: route.stats }
    }

    /// How packets of this family go to it; `None` while there is no session or no path.
    pub(super) fn lane(&self, family: Family) -> Option<&Lane> {
        self.lanes.as_ref().map(|lanes| &lanes[family as usize])
    }

    /// Its overlay address in a family: the source of what is answered in its name.
    pub(super) fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }
}

type Hash = BuildHasherDefault<Fold>;

/// Multiplies and folds. Keys are SPIs that we drew at random and addresses from signed certificates: nobody can choose
/// them to collide, so there is no need for a keyed hash.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(ODD);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }
}

/// 2^64 divided by the golden ratio, made odd: spreads neighbouring keys over all bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_address_comes_before_a_prefix_and_the_longer_prefix_before_the_shorter() {
        let fib = Fib::build(
            vec![
                peer(1, &[("10.0.0.0", 8), ("100.64.0.2", 32)]),
                peer(2, &[("10.1.0.0", 16), ("fd00:1::", 64)]),
                peer(3, &[("10.1.0.0", 99)]),
            ],
            Vec::new(),
            [],
        );
        let found = |address: &str| fib.peer(address.parse().unwrap()).map(|peer| peer.node.as_bytes()[0]);

        assert_eq!(found("100.64.0.2"), Some(2));
        assert_eq!(found("10.1.2.3"), Some(2));
        assert_eq!(found("10.2.2.3"), Some(1));
        assert_eq!(found("fd00:1::9"), Some(2));
        assert_eq!(found("fd00::3"), Some(3));
        assert_eq!(found("192.0.2.1"), None);
    }

    #[test]
    fn a_peer_without_a_session_has_no_lane() {
        let fib = Fib::build(vec![peer(1, &[])], Vec::new(), []);

        assert!(fib.peer("100.64.0.1".parse().unwrap()).unwrap().lane(Family::V4).is_none());
    }

    fn peer(number: u8, routes: &[(&str, u8)]) -> PeerRoute {
        PeerRoute {
            node: NodeId::new([number; 16]),
            v4: Ipv4Addr::new(100, 64, 0, number),
            v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
            routes: routes.iter().map(|(address, len)| (address.parse().unwrap(), *len)).collect(),
            outbound: None,
            remote: None,
            hedge: None,
            udp_payload: 1200,
            stats: Arc::default(),
        }
    }
}
