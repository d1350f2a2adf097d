//! One device: the real `Node`, and the agent's packet path in miniature.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use warren_proto::inner;
use warren_proto::io::{Ecn, RelayChannel, Remote};
use warren_proto::keys::{Family, NodeId};
use warren_proto::node::{Event, Forwarding, Node};
use warren_proto::session::{HEADROOM, InboundSa, Opened, TAILROOM};
use warren_proto::wire::{self, Kind, relay};

/// One device of the world.
pub struct Host {
    /// The slow path.
    pub node: Node,
    /// Inner packets that arrived, in order.
    pub received: Vec<Vec<u8>>,
    /// Events other than control messages, with the time since the world began.
    pub events: Vec<(Duration, Event)>,
    pub(crate) id: NodeId,
    pub(crate) certificate: Vec<u8>,
    pub(crate) addr: SocketAddr,
    pub(crate) nat: Option<usize>,
    pub(crate) one_way: Duration,
    pub(crate) forwarding: Forwarding,
    pub(crate) dropped: u64,
    /// Off: it neither sends nor hears, and its timers stand still.
    pub(crate) up: bool,
    /// How often it was started: what was under way to an earlier life does not reach this one.
    pub(crate) life: u32,
    /// Of its candidates.
    pub(crate) epoch: u64,
    /// Of a thousand datagrams that it sends, this many are lost beyond what every link loses.
    pub upload_loss_per_mille: u32,
}

/// A datagram to put on the wire.
pub(crate) struct Outbound {
    pub(crate) to: Remote,
    pub(crate) ttl: Option<u8>,
    pub(crate) datagram: Vec<u8>,
}

impl Host {
    pub(crate) fn new(
        node: Node,
        certificate: Vec<u8>,
        addr: SocketAddr,
        nat: Option<usize>,
        one_way: Duration,
    ) -> Self {
        let id = node.certificate().node;
        Self {
            node,
            received: Vec::new(),
            events: Vec::new(),
            id,
            certificate,
            addr,
            nat,
            one_way,
            forwarding: Forwarding::default(),
            dropped: 0,
            up: true,
            life: 0,
            epoch: 1,
            upload_loss_per_mille: 0,
        }
    }

    /// Starts anew with `node`: everything that lived in memory is gone.
    pub(crate) fn start(&mut self, node: Node) {
        self.node = node;
        self.forwarding = Forwarding::default();
        self.up = true;
        self.life += 1;
        self.epoch += 1;
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

    /// A datagram arrives on the socket.
    pub(crate) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        match wire::classify(datagram) {
            Ok(Kind::Relay) => {
                let Ok((channel, inside)) = relay::decode(datagram) else { return };
                self.receive_from(Remote::Relay(RelayChannel { relay: from, channel }), inside, now);
            }
            _ => self.receive_from(Remote::Direct(from), datagram, now),
        }
    }

    fn receive_from(&mut self, from: Remote, datagram: &[u8], now: Instant) {
        if let Remote::Relay(RelayChannel { channel: relay::RELAY_ITSELF, .. }) = from {
            return self.node.handle_datagram(from, datagram, now);
        }
        match wire::classify(datagram) {
            Ok(Kind::Esp(spi)) => {
                let sa = self.forwarding.inbound.iter().find(|sa| sa.spi() == spi).map(Arc::clone);
                match sa {
                    Some(sa) => self.open(&sa, from, datagram, now),
                    None => self.dropped += 1,
                }
            }
            Ok(Kind::Handshake) => self.node.handle_datagram(from, datagram, now),
            Ok(Kind::Keepalive | Kind::Quic | Kind::Relay | Kind::Stun) | Err(_) => {}
        }
    }

    fn open(&mut self, sa: &InboundSa, from: Remote, datagram: &[u8], now: Instant) {
        let mut buffer = vec![0; HEADROOM + datagram.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + datagram.len()].copy_from_slice(datagram);
        let opened = sa.open(&mut buffer, HEADROOM..HEADROOM + datagram.len(), Ecn::NotEct);
        match opened {
            Ok(Opened::Packet(range)) => {
                if let Some(route) = self.forwarding.peers.iter().find(|route| route.node == sa.peer()) {
                    route.stats.count_received(1, range.len());
                }
                self.received.push(buffer[range].to_vec());
            }
            Ok(Opened::Control(range)) => self.node.handle_opened(sa.spi(), from, &buffer[range], now),
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
