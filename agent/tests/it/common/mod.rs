//! Hosts in one process: a data plane each, over loopback UDP, with associations made by hand instead of a handshake.

pub(crate) mod packet;
pub(crate) mod reference;
pub(crate) mod relay;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use warren_agent::data_plane::{DataPlane, Fib, Upcall};
use warren_agent::tun::memory::{self, HostEnd};
use warren_agent::tun::{Joins, Tun};
use warren_agent::udp::{Layout, QuicSocket, Sockets, quic_socket};
use warren_proto::crypto::Suite;
use warren_proto::io::{Discard, RelayChannel, Remote};
use warren_proto::keys::{Family, NodeId, SpiBase};
use warren_proto::node::PeerRoute;
use warren_proto::session::{HEADROOM, InboundSa, OutboundSa, SaParams, TAILROOM};
use warren_proto::stats::PeerStats;

use relay::Relay;

/// How long something may take that takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for what must not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(200);

/// One host: its applications' end of the TUN, its data plane and what a slow path would hold.
pub(crate) struct Host {
    pub(crate) number: u8,
    pub(crate) end: HostEnd,
    pub(crate) node: Node,
}

/// A data plane with what a slow path would hold of it.
pub(crate) struct Node {
    pub(crate) plane: DataPlane,
    pub(crate) upcalls: mpsc::Receiver<Upcall>,
    pub(crate) fib: Arc<ArcSwap<Fib>>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) quic: Arc<QuicSocket>,
    pub(crate) stats: Arc<PeerStats>,
}

/// The associations of one session, as one of its two hosts holds them.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) outbound: [Arc<OutboundSa>; 2],
    pub(crate) inbound: Vec<Arc<InboundSa>>,
}

impl Host {
    /// Host `number` with a memory TUN that takes nothing joined, and an empty table.
    pub(crate) fn start(number: u8) -> Self {
        Self::with_offloads(number, Joins::default(), true)
    }

    /// Host `number` with a TUN that takes what `joins` says, and sockets that take runs or do not.
    pub(crate) fn with_offloads(number: u8, joins: Joins, runs: bool) -> Self {
        let (tun, end) = memory::pair(joins).unwrap();
        Self { number, end, node: Node::with_offload(Arc::new(tun), runs) }
    }

    /// What its applications receive next.
    pub(crate) fn receive(&self) -> Vec<u8> {
        self.end.receive(PATIENCE).unwrap().expect("a packet within the time")
    }

    pub(crate) fn receives_nothing(&self) -> bool {
        self.end.receive(SILENCE).unwrap().is_none()
    }
}

impl Node {
    pub(crate) fn start<T: Tun>(tun: Arc<T>) -> Self {
        Self::with_offload(tun, true)
    }

    fn with_offload<T: Tun>(tun: Arc<T>, offload: bool) -> Self {
        let sockets = Sockets::bind(None, Layout { offload, ..Layout::default() }).unwrap();
        let (quic, feed) = quic_socket(Arc::clone(&sockets));
        let fib = Arc::new(ArcSwap::from_pointee(Fib::default()));
        let (plane, upcalls) = DataPlane::start(tun, Arc::clone(&sockets), Arc::clone(&fib), feed).unwrap();
        Self { plane, upcalls, fib, sockets, quic, stats: Arc::default() }
    }

    /// Where others of this machine reach it.
    pub(crate) fn address(&self, family: Family) -> SocketAddr {
        let ip: IpAddr = match family {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        };
        (ip, self.sockets.port()).into()
    }

    /// Publishes a table with one peer.
    pub(crate) fn publish(&self, route: PeerRoute, inbound: Vec<Arc<InboundSa>>, relays: &[SocketAddr]) {
        self.fib.store(Arc::new(Fib::build(vec![route], inbound, relays.iter().copied())));
    }

    /// The next thing for the slow path.
    pub(crate) fn upcall(&mut self) -> Upcall {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.upcalls.recv()).await })
            .expect("an upcall within the time")
            .expect("a running data plane")
    }

    /// What was dropped, by reason, wherever it was counted.
    pub(crate) fn dropped(&self) -> BTreeMap<Discard, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.plane.counters().discards().chain(self.stats.dropped()) {
            *all.entry(reason).or_default() += count;
        }
        all
    }
}

/// How `of` reaches the host `to`: a route without prefixes and hedge, for the largest datagrams of a 1500-byte path.
pub(crate) fn route(of: &Node, to: u8, session: Option<&Session>, remote: Remote) -> PeerRoute {
    PeerRoute {
        node: node_id(to),
        v4: v4(to),
        v6: v6(to),
        routes: Vec::new(),
        outbound: session.map(|session| session.outbound.clone()),
        remote: Some(remote),
        hedge: None,
        udp_payload: 1472,
        stats: Arc::clone(&of.stats),
    }
}

/// The ESP datagram that carries `packet`.
pub(crate) fn seal(sa: &OutboundSa, packet: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + packet.len();
    buffer[range.clone()].copy_from_slice(packet);
    let sealed = sa.seal_packet(&mut buffer, range).expect("a sealable packet");
    buffer[sealed.datagram].to_vec()
}

/// A session between two hosts, as the first and as the second holds it; each `seed` has keys and SPIs of its own.
pub(crate) fn session(first: u8, second: u8, seed: u8) -> (Session, Session) {
    let (one, other) = (u32::from(seed) << 8 | 1, u32::from(seed) << 8 | 2);
    let (to_first, to_second) = (SpiBase::from_random(one << 4), SpiBase::from_random(other << 4));
    let families = [Family::V4, Family::V6];
    let hold = |own: u8, peer: u8, own_base: SpiBase, peer_base: SpiBase| Session {
        outbound: families.map(|family| Arc::new(OutboundSa::new(params(own, peer, peer_base, family, seed)))),
        inbound: families
            .iter()
            .map(|family| Arc::new(InboundSa::new(params(own, peer, own_base, *family, seed))))
            .collect(),
    };
    (hold(first, second, to_first, to_second), hold(second, first, to_second, to_first))
}

fn params(own: u8, peer: u8, base: SpiBase, family: Family, seed: u8) -> SaParams {
    let spi = base.spi(family);
    let mut key_material = [seed; 36];
    key_material[..4].copy_from_slice(&spi.get().to_be_bytes());
    let (local, remote): (IpAddr, IpAddr) = match family {
        Family::V4 => (v4(own).into(), v4(peer).into()),
        Family::V6 => (v6(own).into(), v6(peer).into()),
    };
    SaParams {
        suite: Suite::Aes256GcmIiv,
        spi,
        key_material: key_material.into(),
        peer: node_id(peer),
        local,
        remote,
        ttl: 64,
        routes: Vec::new(),
    }
}

/// Two hosts with a session and a direct path over this outer family.
pub(crate) fn pair(family: Family) -> (Host, Host) {
    let (one, two) = (Host::start(1), Host::start(2));
    connect(&one, &two, family);
    (one, two)
}

/// Gives hosts 1 and 2 a session and a direct path over this outer family.
pub(crate) fn connect(one: &Host, two: &Host, family: Family) {
    connect_nodes(&one.node, &two.node, family);
}

/// As [`connect`], whatever devices they have.
pub(crate) fn connect_nodes(one: &Node, two: &Node, family: Family) {
    let (of_one, of_two) = session(1, 2, 1);
    let (to_one, to_two) = (Remote::Direct(one.address(family)), Remote::Direct(two.address(family)));
    one.publish(route(one, 2, Some(&of_one), to_two), of_one.inbound, &[]);
    two.publish(route(two, 1, Some(&of_two), to_one), of_two.inbound, &[]);
}

/// Gives hosts 1 and 2 a session, and a path by this relay alone.
pub(crate) fn connect_by(relay: &Relay, one: &Host, two: &Host) {
    let (of_one, of_two) = session(1, 2, 1);
    relay.pair((one.node.address(Family::V4), 0x1111), (two.node.address(Family::V4), 0x2222));
    let via = |channel| Remote::Relay(RelayChannel { relay: relay.address, channel });
    one.node.publish(route(&one.node, 2, Some(&of_one), via(0x1111)), of_one.inbound, &[relay.address]);
    two.node.publish(route(&two.node, 1, Some(&of_two), via(0x2222)), of_two.inbound, &[relay.address]);
}

/// Gives hosts 1 and 2 a session and a direct path; what 1 sends goes by the relay, too.
pub(crate) fn connect_hedged(relay: &Relay, one: &Host, two: &Host) {
    relay.pair((one.node.address(Family::V4), 5), (two.node.address(Family::V4), 6));
    let (of_one, of_two) = session(1, 2, 9);
    let mut doubted = route(&one.node, 2, Some(&of_one), Remote::Direct(two.node.address(Family::V4)));
    doubted.hedge = Some(Remote::Relay(RelayChannel { relay: relay.address, channel: 5 }));
    one.node.publish(doubted, of_one.inbound, &[]);
    let answer = route(&two.node, 1, Some(&of_two), Remote::Direct(one.node.address(Family::V4)));
    two.node.publish(answer, of_two.inbound, &[relay.address]);
}

/// A pair whose path carries so many bytes of UDP payload.
pub(crate) fn narrow_pair(udp_payload: usize) -> (Host, Host) {
    let (one, two) = pair(Family::V4);
    let (of_one, _) = session(1, 2, 1);
    let mut narrow = route(&one.node, 2, Some(&of_one), Remote::Direct(two.node.address(Family::V4)));
    narrow.udp_payload = udp_payload;
    one.node.publish(narrow, of_one.inbound, &[]);
    (one, two)
}

pub(crate) fn node_id(number: u8) -> NodeId {
    NodeId::new([number; 16])
}

/// Overlay address of a host.
pub(crate) fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, 0, number)
}

/// Overlay address of a host.
pub(crate) fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into())
}

/// Whether this machine can send IPv6 at all; prints why a test does less if not.
pub(crate) fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        println!("without its IPv6 half: this machine has no IPv6");
    }
    has
}

/// The outer families that this machine can test with.
pub(crate) fn outer_families() -> Vec<Family> {
    if has_ipv6() { vec![Family::V4, Family::V6] } else { vec![Family::V4] }
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("what was waited for did not come about in 5 s");
}
