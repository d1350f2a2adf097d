//! One device: the real `Node`, and the agent's packet path in miniature.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use warren_proto::inner;
use warren_proto::io::{Auxiliary, Ecn, RelayChannel, Remote, SocketId};
use warren_proto::keys::{Family, NodeId};
use warren_proto::node::{Event, Forwarding, Node};
use warren_proto::session::{HEADROOM, InboundSa, Opened, TAILROOM};
use warren_proto::wire::{self, Kind, relay};

use crate::gather::Surroundings;
use crate::link::Link;
use crate::net::Realm;
use crate::oracle::{Content, Oracle};

/// Names a host of one world.
pub type HostId = usize;

/// One device of the world.
pub struct Host {
    /// The slow path.
    pub node: Node,
    /// Inner packets that arrived, in order.
    pub received: Vec<Vec<u8>>,
    /// Events other than control messages, with the time since the world began.
    pub events: Vec<(Duration, Event)>,
    /// Its wire.
    pub link: Link,
    /// Of a thousand datagrams that it sends, this many are lost beyond what its wire loses.
    pub upload_loss_per_mille: u32,
    pub(crate) id: NodeId,
    pub(crate) port: u16,
    /// Ports of the sockets beside the one that everything uses.
    pub(crate) auxiliaries: BTreeMap<SocketId, u16>,
    /// The port of the next one.
    next_port: u16,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) surroundings: Surroundings,
    pub(crate) forwarding: Forwarding,
    pub(crate) dropped: u64,
    /// Off: it neither sends nor hears, and its timers stand still.
    pub(crate) up: bool,
    /// The number of its control connection; while it has none, of the next one.
    pub(crate) connection: u32,
    pub(crate) is_connected: bool,
}

/// An address of a host, and where it means something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface {
    pub(crate) realm: Realm,
    pub(crate) ip: IpAddr,
}

/// A datagram to put on the wire.
pub(crate) struct Outbound {
    pub(crate) to: Remote,
    pub(crate) ttl: Option<u8>,
    pub(crate) datagram: Vec<u8>,
}

impl Host {
    pub(crate) fn new(node: Node, port: u16, interfaces: Vec<Interface>, link: Link) -> Self {
        let id = node.certificate().node;
        let hosts = interfaces.iter().map(|interface| interface.ip).collect();
        Self {
            node,
            received: Vec::new(),
            events: Vec::new(),
            link,
            upload_loss_per_mille: 0,
            id,
            port,
            auxiliaries: BTreeMap::new(),
            next_port: FIRST_AUXILIARY,
            interfaces,
            surroundings: Surroundings::new(port, hosts),
            forwarding: Forwarding::default(),
            dropped: 0,
            up: true,
            connection: 0,
            is_connected: false,
        }
    }

    /// Starts anew with `node`: everything that lived in memory is gone. Gives the one before.
    pub(crate) fn start(&mut self, node: Node) -> Node {
        let before = std::mem::replace(&mut self.node, node);
        self.auxiliaries.clear();
        self.forwarding = Forwarding::default();
        self.up = true;
        self.surroundings.start_epoch(self.port, self.ips());
        before
    }

    pub(crate) fn ips(&self) -> Vec<IpAddr> {
        self.interfaces.iter().map(|interface| interface.ip).collect()
    }

    /// The interface that packets to `to` leave by.
    pub(crate) fn interface(&self, to: IpAddr) -> Option<Interface> {
        self.interfaces.iter().find(|interface| interface.ip.is_ipv4() == to.is_ipv4()).copied()
    }

    /// Whether the path in use to a peer is straight.
    pub fn is_direct_to(&self, peer: NodeId) -> bool {
        let selection = self.node.peer(peer).and_then(|status| status.selection);
        selection.is_some_and(|selection| selection.remote.straight().is_some())
    }

    /// The port of a socket, which is opened if it is not.
    pub(crate) fn port_of(&mut self, socket: SocketId) -> u16 {
        let next = &mut self.next_port;
        let open = || {
            let port = *next;
            *next = port.checked_add(1).unwrap_or(FIRST_AUXILIARY);
            port
        };
        *self.auxiliaries.entry(socket).or_insert_with(open)
    }

    /// Closes the sockets that the node has no use for any more.
    pub(crate) fn close_unused_sockets(&mut self) {
        self.auxiliaries.retain(|socket, _| self.node.uses(*socket));
    }

    /// How the node calls what comes from `from` to one of our ports; nothing, if no socket is there.
    pub(crate) fn remote(&self, from: SocketAddr, port: u16) -> Option<Remote> {
        if port == self.port {
            return Some(Remote::Direct(from));
        }
        let (socket, _) = self.auxiliaries.iter().find(|(_, open)| **open == port)?;
        Some(Remote::Auxiliary(Auxiliary { socket: *socket, peer: from }))
    }

    /// Its name among peers.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The overlay address of this device.
    pub fn overlay(&self, family: Family) -> IpAddr {
        let certificate = self.node.certificate();
        match family {
            Family::V4 => IpAddr::V4(certificate.v4),
            Family::V6 => IpAddr::V6(certificate.v6),
        }
    }

    /// A program of this device sends an inner packet.
    pub(crate) fn send(&mut self, packet: &[u8], now: Instant) -> Vec<Outbound> {
        let destination = inner::addresses(packet).expect("the test builds well-formed packets").destination;
        let route = self.forwarding.peers.iter().find(|route| destination == route.v4 || destination == route.v6);
        let ready = route.and_then(|route| Some((route, route.outbound.as_ref()?, route.remote?)));
        let Some((route, outbound, remote)) = ready else {
            self.node.handle_packet(packet.to_vec(), now);
            return Vec::new();
        };
        let sa = &outbound[usize::from(destination.is_ipv6())];
        let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + packet.len()].copy_from_slice(packet);
        let Ok(sealed) = sa.seal_packet(&mut buffer, HEADROOM..HEADROOM + packet.len()) else {
            self.dropped += 1;
            return Vec::new();
        };
        route.stats.count_sent(1, packet.len(), sealed.form);
        let datagram = buffer[sealed.datagram].to_vec();
        let remotes = std::iter::once(remote).chain(route.hedge);
        let out = remotes.map(|to| Outbound { to, ttl: None, datagram: datagram.clone() }).collect();
        if sa.take_wake() {
            let peer = route.node;
            self.node.handle_wake_outbound(peer, now);
        }
        out
    }

    /// A datagram arrives on one of the sockets.
    pub(crate) fn receive(&mut self, from: Remote, datagram: &[u8], oracle: &mut Oracle, now: Instant) {
        match (wire::classify(datagram), from) {
            (Ok(Kind::Relay), Remote::Direct(relay)) => {
                let Ok((channel, inside)) = relay::decode(datagram) else { return };
                self.receive_from(Remote::Relay(RelayChannel { relay, channel }), inside, oracle, now);
            }
            _ => self.receive_from(from, datagram, oracle, now),
        }
    }

    fn receive_from(&mut self, from: Remote, datagram: &[u8], oracle: &mut Oracle, now: Instant) {
        if let Remote::Relay(RelayChannel { channel: relay::RELAY_ITSELF, .. }) = from {
            return self.node.handle_datagram(from, datagram, now);
        }
        match wire::classify(datagram) {
            Ok(Kind::Esp(spi)) => {
                let sa = self.forwarding.inbound.iter().find(|sa| sa.spi() == spi).map(Arc::clone);
                match sa {
                    Some(sa) => self.open(&sa, from, datagram, oracle, now),
                    None => self.dropped += 1,
                }
            }
            Ok(Kind::Handshake) => self.node.handle_datagram(from, datagram, now),
            Ok(Kind::Keepalive | Kind::Quic | Kind::Relay | Kind::Stun) | Err(_) => {}
        }
    }

    fn open(&mut self, sa: &InboundSa, from: Remote, datagram: &[u8], oracle: &mut Oracle, now: Instant) {
        let Some(header) = datagram.first_chunk().copied() else { return };
        let mut buffer = vec![0; HEADROOM + datagram.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + datagram.len()].copy_from_slice(datagram);
        let opened = sa.open(&mut buffer, HEADROOM..HEADROOM + datagram.len(), Ecn::NotEct);
        match opened {
            Ok(Opened::Packet(range)) => {
                oracle.opened(self.id, from, sa.peer(), header, &Content::Data, now);
                if let Some(route) = self.forwarding.peers.iter().find(|route| route.node == sa.peer()) {
                    route.stats.count_received(1, range.len());
                }
                self.received.push(buffer[range].to_vec());
            }
            Ok(Opened::Control(range)) => {
                oracle.opened(self.id, from, sa.peer(), header, &Content::Control(&buffer[range.clone()]), now);
                self.node.handle_opened(sa.spi(), from, &buffer[range], now);
            }
            Ok(Opened::Dummy) => {}
            Err(_) => {
                self.dropped += 1;
                return;
            }
        }
        if sa.take_wake() {
            self.node.handle_wake(sa.spi(), now);
        }
    }
}

/// Above the ports that hosts have; a NAT gives out any.
const FIRST_AUXILIARY: u16 = 52_000;
