//! Time, wires and the order of events.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::certificate::{Certificate, IdentitySecret, NetworkSigner, VerifiedCertificate};
use warren_proto::config::Config;
use warren_proto::control::{CandidateSet, NatReport, Network, ToAgent, ToServer};
use warren_proto::io::{RelayChannel, Remote};
use warren_proto::keys::{NetworkId, NodeId, StaticSecret, UnixTime};
use warren_proto::node::{Event, LocalDevice, Node};
use warren_proto::wire::relay;

use crate::host::{Host, Outbound};
use crate::nat::{Nat, NatKind};
use crate::rendezvous::{Outgoing, Rendezvous};

/// Names a host of one world.
pub type HostId = usize;

/// What every wire does.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// From a host to the core, one way.
    pub one_way: Duration,
    /// Up to this much more, at random.
    pub jitter: Duration,
    /// Of a thousand datagrams, this many are lost.
    pub loss_per_mille: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { one_way: Duration::from_millis(10), jitter: Duration::ZERO, loss_per_mille: 0 }
    }
}

/// The world.
pub struct World {
    /// The hosts, by `HostId`.
    pub hosts: Vec<Host>,
    /// The NATs, by the order of `add_nat`.
    pub nats: Vec<Nat>,
    /// Every datagram that a host put on the wire after its NAT: source, destination, payload.
    pub captured: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// How often a timer of any node fired.
    pub wakeups: u64,
    rendezvous: Rendezvous,
    signer: NetworkSigner,
    link: Link,
    queue: BinaryHeap<Reverse<Pending>>,
    sequence: u64,
    rng: ChaCha20Rng,
    begin: Instant,
    now: Instant,
    devices: Vec<Device>,
}

/// What a host keeps on disk.
struct Device {
    config: Config,
    secret: StaticSecret,
    certificate: Certificate,
}

struct Pending {
    at: Instant,
    sequence: u64,
    what: What,
}

enum What {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Inside {
        from: SocketAddr,
        host: HostId,
        bytes: Vec<u8>,
    },
    /// With the number of the life that the host had when it was sent.
    ToAgent(HostId, u32, Box<ToAgent>),
    ToServer(NodeId, Box<ToServer>),
}

impl World {
    /// An empty world; `begin` is its first moment.
    pub fn new(seed: u64, link: Link, begin: Instant) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let signer = NetworkSigner::new(&bytes(&mut rng));
        let network = Network {
            id: NetworkId::new([0x4e; 16]),
            signing_key: signer.public(),
            v4: "100.64.0.0/10".to_owned(),
            v6: "fd00:4e::/48".to_owned(),
            name: "sim".to_owned(),
        };
        Self {
            hosts: Vec::new(),
            nats: Vec::new(),
            captured: Vec::new(),
            wakeups: 0,
            rendezvous: Rendezvous::new(RENDEZVOUS, network),
            signer,
            link,
            queue: BinaryHeap::new(),
            sequence: 0,
            rng,
            begin,
            now: begin,
            devices: Vec::new(),
        }
    }

    /// The present moment, since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now - self.begin
    }

    /// Puts up a NAT.
    pub fn add_nat(&mut self, kind: NatKind) -> usize {
        let index = u8::try_from(self.nats.len() + 1).expect("a test has fewer than 255 NATs");
        self.nats.push(Nat::new(kind, IpAddr::V4(Ipv4Addr::new(203, 0, 113, index))));
        self.nats.len() - 1
    }

    /// Adds a device behind `nat`, or a public one; it joins at once.
    pub fn add_host(&mut self, config: Config, nat: Option<usize>) -> HostId {
        let index = u8::try_from(self.hosts.len() + 1).expect("a test has fewer than 255 hosts");
        let secret = StaticSecret::new(bytes(&mut self.rng));
        let certificate = self.certificate(index, &secret);
        self.devices.push(Device { config, secret, certificate });
        let (node, encoded) = self.boot(self.devices.len() - 1, BEGIN);
        let port = 50_000 + u16::from(index);
        let ip = match nat {
            Some(nat) => Ipv4Addr::new(192, 168, u8::try_from(nat).expect("few NATs"), index),
            None => Ipv4Addr::new(198, 51, 100, index),
        };
        let addr = SocketAddr::new(IpAddr::V4(ip), port);
        let one_way = self.link.one_way;
        self.hosts.push(Host::new(node, encoded, addr, nat, one_way));
        let host = self.hosts.len() - 1;
        self.join(host);
        host
    }

    fn boot(&mut self, host: HostId, wall: UnixTime) -> (Node, Vec<u8>) {
        let device = &self.devices[host];
        let encoded = device.certificate.sign(&self.signer).expect("the certificate is well-formed");
        let network = self.rendezvous.network.clone();
        let verified = VerifiedCertificate::verify(&encoded, &network.id, &network.signing_key, BEGIN)
            .expect("we have just signed it");
        let local = LocalDevice { static_secret: device.secret.clone(), certificate: verified, network };
        let (config, seed) = (device.config.clone(), bytes(&mut self.rng));
        (Node::new(config, local, seed, wall, self.now), encoded)
    }

    /// Power goes: a device says nothing more. The rendezvous notices at once.
    pub fn crash(&mut self, host: HostId) {
        self.hosts[host].up = false;
        if self.rendezvous.up {
            let out = self.rendezvous.leave(self.hosts[host].id);
            self.deliver_control(out);
        }
    }

    /// A device comes up with what it has on disk, its clock off by `clock` seconds, and connects.
    pub fn restart(&mut self, host: HostId, clock: i64) {
        let wall = BEGIN.as_secs().saturating_add(self.elapsed().as_secs()).saturating_add_signed(clock);
        let (node, _) = self.boot(host, UnixTime::from_secs(wall));
        self.hosts[host].start(node);
        self.join(host);
    }

    /// A device goes down and comes up while the rendezvous is away, with what it had written down of its peers, and on
    /// another port if one is given.
    pub fn restart_from_memory(&mut self, host: HostId, port: Option<u16>) {
        let memory = self.hosts[host].node.memory(self.now);
        let (node, _) = self.boot(host, BEGIN.plus(self.elapsed()));
        let now = self.now;
        let device = &mut self.hosts[host];
        device.start(node);
        device.addr.set_port(port.unwrap_or_else(|| device.addr.port()));
        let candidates = vec![Candidate { addr: device.addr, kind: CandidateKind::Host }];
        device.node.handle_candidates(CandidateSet { epoch: device.epoch, candidates, nat: NatReport::default() }, now);
        device.node.restore(&memory, now);
        self.drain(host);
    }

    /// Moves a device behind another NAT, or none: another address, and a rendezvous that sees it there.
    pub fn move_to(&mut self, host: HostId, nat: Option<usize>) {
        let index = u8::try_from(host + 1).expect("few hosts");
        let moves = u8::try_from(self.hosts[host].epoch % 100).expect("below 256");
        let ip = match nat {
            Some(nat) => Ipv4Addr::new(192, 168, u8::try_from(nat).expect("few NATs"), index),
            None => Ipv4Addr::new(198, 51, moves, index),
        };
        let device = &mut self.hosts[host];
        device.addr = SocketAddr::new(IpAddr::V4(ip), device.addr.port());
        (device.nat, device.epoch) = (nat, device.epoch + 1);
        device.node.handle_network_change(self.now);
        self.gather(host);
    }

    /// Gives a device another name, which is told to everybody.
    pub fn rename(&mut self, host: HostId, name: &str) {
        let certificate = &mut self.devices[host].certificate;
        certificate.name = name.to_owned();
        certificate.epoch += 1;
        let encoded = certificate.sign(&self.signer).expect("the certificate is well-formed");
        self.hosts[host].certificate.clone_from(&encoded);
        let out = self.rendezvous.certify(self.hosts[host].id, encoded);
        self.deliver_control(out);
    }

    /// Changes what every wire does from now on, but for the delay of hosts that are there.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// A device connects to the rendezvous (again).
    pub fn join(&mut self, host: HostId) {
        let observed = self.source_of(host, RENDEZVOUS);
        let (id, certificate, one_way) = {
            let host = &self.hosts[host];
            (host.id, host.certificate.clone(), host.one_way)
        };
        if !self.rendezvous.up {
            return;
        }
        let out = self.rendezvous.join(id, certificate, one_way, observed);
        self.deliver_control(out);
        self.gather(host);
    }

    fn gather(&mut self, host: HostId) {
        let observed = self.source_of(host, RENDEZVOUS);
        let (addr, epoch) = (self.hosts[host].addr, self.hosts[host].epoch);
        let mut candidates = vec![Candidate { addr, kind: CandidateKind::Host }];
        if observed != addr {
            candidates.push(Candidate { addr: observed, kind: CandidateKind::Reflexive });
        }
        let set = CandidateSet { epoch, candidates, nat: NatReport::default() };
        self.hosts[host].node.handle_candidates(set, self.now);
        self.drain(host);
    }

    /// A device connects again to a large mesh in which, by now, nobody else is online.
    pub fn rejoin_alone(&mut self, host: HostId) {
        let observed = self.source_of(host, RENDEZVOUS);
        let (id, certificate) = (self.hosts[host].id, self.hosts[host].certificate.clone());
        let out = self.rendezvous.rejoin_alone(id, certificate, observed);
        self.deliver_control(out);
    }

    /// The rendezvous and its relay stop, or come back with nothing but their database; devices reconnect at once.
    pub fn set_rendezvous(&mut self, up: bool) {
        if up {
            self.rendezvous.up = true;
            (0..self.hosts.len()).filter(|host| self.hosts[*host].up).collect::<Vec<_>>().into_iter().for_each(
                |host| {
                    self.join(host);
                },
            );
        } else {
            self.rendezvous.stop();
            self.hosts.iter_mut().for_each(|host| host.node.handle_control_lost());
        }
    }

    /// No `Start` reaches `host`, so the other end begins alone.
    pub fn lose_starts(&mut self, host: HostId) {
        self.rendezvous.starless = Some(self.hosts[host].id);
    }

    /// One device loses its control connection.
    pub fn lose_control(&mut self, host: HostId) {
        self.hosts[host].node.handle_control_lost();
        let out = self.rendezvous.leave(self.hosts[host].id);
        self.deliver_control(out);
    }

    /// Takes a device out of the network.
    pub fn revoke(&mut self, host: HostId) {
        let out = self.rendezvous.revoke(self.hosts[host].id);
        self.deliver_control(out);
    }

    /// A program of `host` sends an inner packet.
    pub fn send(&mut self, host: HostId, packet: &[u8]) {
        if !self.hosts[host].up {
            return;
        }
        let out = self.hosts[host].send(packet, self.now);
        out.into_iter().for_each(|outbound| self.put_on_wire(host, outbound));
        self.drain(host);
    }

    /// A stranger sends a datagram to the outer address of `host`, from an address of its own.
    pub fn inject(&mut self, host: HostId, from: SocketAddr, datagram: &[u8]) {
        self.hand_over(host, from, datagram);
    }

    /// Runs until `until` after the beginning.
    pub fn run_until(&mut self, until: Duration) {
        let end = self.begin + until;
        loop {
            let event = self.queue.peek().map(|Reverse(pending)| pending.at);
            let timer = self.next_timer();
            let at = [event, timer.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(at) = at.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            if event == Some(at) {
                let Some(Reverse(pending)) = self.queue.pop() else { break };
                self.happen(pending.what);
            } else if let Some((_, host)) = timer {
                self.hosts[host].node.handle_timeout(self.now);
                self.wakeups += 1;
                assert!(self.hosts[host].node.poll_timeout().is_none_or(|at| at > self.now), "a timer that is done");
                self.drain(host);
            }
        }
        self.now = end;
    }

    fn next_timer(&self) -> Option<(Instant, HostId)> {
        let up = self.hosts.iter().enumerate().filter(|(_, host)| host.up);
        let timers = up.filter_map(|(id, host)| Some((host.node.poll_timeout()?, id)));
        timers.min()
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Datagram { from, to, bytes } => self.arrive(from, to, &bytes),
            What::Inside { from, host, bytes } => self.hand_over(host, from, &bytes),
            What::ToAgent(host, life, message) => {
                if !self.hosts[host].up || self.hosts[host].life != life {
                    return;
                }
                self.hosts[host].node.handle_control(*message, self.now);
                self.drain(host);
            }
            What::ToServer(node, message) => {
                if self.rendezvous.up {
                    let out = self.rendezvous.handle(node, *message);
                    self.deliver_control(out);
                }
            }
        }
    }

    /// A datagram reaches the public address it was sent to.
    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to == RENDEZVOUS {
            return self.relay(from, bytes);
        }
        if let Some(nat) = self.nats.iter().position(|nat| nat.address() == to.ip()) {
            let Some(inside) = self.nats[nat].inbound(from, to.port(), self.now) else { return };
            if let Some(host) = self.hosts.iter().position(|host| host.addr == inside) {
                self.hand_over(host, from, bytes);
            }
        } else if let Some(host) = self.hosts.iter().position(|host| host.addr == to && host.nat.is_none()) {
            self.hand_over(host, from, bytes);
        }
    }

    fn relay(&mut self, from: SocketAddr, frame: &[u8]) {
        let Ok((channel, inside)) = relay::decode(frame) else { return };
        if !self.rendezvous.up {
            return;
        }
        if channel == relay::RELAY_ITSELF {
            if let Ok(relay::Message::Bind(token)) = relay::Message::decode(inside)
                && self.rendezvous.bind(token, from)
            {
                self.enqueue_datagram(RENDEZVOUS, from, relay::Message::Bound.encode(), self.link.one_way);
            }
        } else if let Some((to, channel)) = self.rendezvous.forward(from, channel) {
            let frame = [&relay::encode_header(channel)[..], inside].concat();
            self.enqueue_datagram(RENDEZVOUS, to, frame, self.link.one_way);
        }
    }

    fn hand_over(&mut self, host: HostId, from: SocketAddr, bytes: &[u8]) {
        if !self.hosts[host].up {
            return;
        }
        self.hosts[host].receive(from, bytes, self.now);
        self.drain(host);
    }

    /// Moves everything that a node wants to the outside.
    fn drain(&mut self, host: HostId) {
        let mut outbound = Vec::new();
        let elapsed = self.elapsed();
        let device = &mut self.hosts[host];
        while let Some(event) = device.node.poll_event() {
            match event {
                Event::ForwardingChanged => device.forwarding = device.node.forwarding(),
                Event::Control(message) => outbound.push(message),
                Event::CertificateReplaced(_)
                | Event::PathChanged { .. }
                | Event::PingReply { .. }
                | Event::SaKeys(_) => device.events.push((elapsed, event)),
            }
        }
        let (id, delay) = (device.id, device.one_way);
        let mut transmits = Vec::new();
        while let Some(transmit) = device.node.poll_transmit() {
            transmits.push(Outbound { to: transmit.to, ttl: transmit.ttl, datagram: transmit.datagram });
        }
        transmits.into_iter().for_each(|transmit| self.put_on_wire(host, transmit));
        if self.rendezvous.up {
            outbound.into_iter().for_each(|message| self.enqueue(delay, What::ToServer(id, Box::new(message))));
        }
    }

    fn put_on_wire(&mut self, host: HostId, outbound: Outbound) {
        let (to, datagram) = match outbound.to {
            Remote::Direct(to) => (to, outbound.datagram),
            Remote::Relay(RelayChannel { relay, channel }) => {
                (relay, [&relay::encode_header(channel)[..], &outbound.datagram].concat())
            }
        };
        let own = self.hosts[host].addr;
        let neighbour = self.hosts.iter().position(|other| other.addr == to && other.nat.is_some());
        if let Some(other) = neighbour {
            if self.hosts[other].nat == self.hosts[host].nat {
                self.enqueue(LAN_DELAY, What::Inside { from: own, host: other, bytes: datagram });
            }
            return;
        }
        let source = self.source_of(host, to);
        let dies_on_the_way = outbound.ttl.is_some_and(|ttl| ttl < HOPS_BETWEEN_NATS);
        self.captured.push((source, to, datagram.clone()));
        let hairpin = self.hosts[host].nat.is_some_and(|nat| self.nats[nat].address() == to.ip());
        let lost = self.rng.next_u32() % 1000 < self.link.loss_per_mille + self.hosts[host].upload_loss_per_mille;
        if dies_on_the_way || hairpin || lost {
            return;
        }
        self.enqueue_datagram(source, to, datagram, self.hosts[host].one_way);
    }

    /// The address a host has toward `to`: its own, or what its NAT maps it to.
    fn source_of(&mut self, host: HostId, to: SocketAddr) -> SocketAddr {
        let (addr, nat) = (self.hosts[host].addr, self.hosts[host].nat);
        match nat {
            Some(nat) => self.nats[nat].outbound(addr, to, self.now),
            None => addr,
        }
    }

    fn deliver_control(&mut self, out: Vec<Outgoing>) {
        for (node, message) in out {
            if let Some(host) = self.hosts.iter().position(|host| host.id == node) {
                let (delay, life) = (self.hosts[host].one_way, self.hosts[host].life);
                self.enqueue(delay, What::ToAgent(host, life, Box::new(message)));
            }
        }
    }

    fn enqueue_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>, delay: Duration) {
        let jitter = u64::try_from(self.link.jitter.as_micros()).unwrap_or(0);
        let extra = if jitter == 0 { 0 } else { self.rng.next_u64() % jitter };
        let far_side = self.link.one_way;
        self.enqueue(delay + far_side + Duration::from_micros(extra), What::Datagram { from, to, bytes });
    }

    fn enqueue(&mut self, delay: Duration, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse(Pending { at: self.now + delay, sequence: self.sequence, what }));
    }

    fn certificate(&mut self, index: u8, secret: &StaticSecret) -> Certificate {
        let identity = IdentitySecret::new(&bytes(&mut self.rng));
        let mut id = [0; 16];
        id[15] = index;
        Certificate {
            network: self.rendezvous.network.id,
            node: NodeId::new(id),
            name: format!("host-{index}"),
            v4: Ipv4Addr::new(100, 64, 0, index),
            v6: Ipv6Addr::new(0xfd00, 0x4e, 0, 0, 0, 0, 0, index.into()),
            static_key: secret.public(),
            identity_key: identity.public(),
            routes: Vec::new(),
            not_before: UnixTime::from_secs(BEGIN.as_secs() - 60),
            not_after: UnixTime::from_secs(BEGIN.as_secs() + 86_400),
            epoch: 1,
        }
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

fn bytes(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

const RENDEZVOUS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3480);
/// Any day will do; certificates are valid around it.
const BEGIN: UnixTime = UnixTime::from_secs(1_800_000_000);
/// An opener with a smaller TTL has left its own NAT and not reached the other.
const HOPS_BETWEEN_NATS: u8 = 8;
const LAN_DELAY: Duration = Duration::from_micros(300);
