//! A world: its hosts, its time, and the order of events.
//!
//! What befalls it is in `trouble`, the way between a host and the rendezvous in `attachment`, who is where in `net`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use warren_proto::certificate::{Certificate, IdentitySecret, NetworkSigner, VerifiedCertificate};
use warren_proto::config::Config;
use warren_proto::control::Network;
use warren_proto::control::PathReport;
use warren_proto::io::{RelayChannel, Remote};
use warren_proto::keys::{NetworkId, NodeId, StaticSecret, UnixTime};
use warren_proto::node::{Event, LocalDevice, Node};
use warren_proto::wire::relay;

use crate::attachment::Message;
use crate::host::{Host, HostId, Interface, Outbound};
use crate::link::{Link, chance};
use crate::nat::{Nat, NatKind};
use crate::net::{Flight, NatId, Net, Owner, Realm, USUAL_TTL};
use crate::oracle::{MINUTE, Oracle};
use crate::rendezvous::{RELAY, Rendezvous, SERVER};
use crate::rng::bytes;

/// The world.
pub struct World {
    /// The hosts, by `HostId`.
    pub hosts: Vec<Host>,
    /// Who is where, and the NATs between.
    pub net: Net,
    /// Every datagram that a host put on the wire after its NAT: source, destination, payload.
    pub captured: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// Whether datagrams are captured.
    pub captures: bool,
    /// How often a timer of any node fired.
    pub wakeups: u64,
    /// Checks what must always hold.
    pub oracle: Oracle,
    /// Datagrams of the slow path that went straight to other devices: openers, probes and their answers.
    pub probes: u64,
    /// Bytes that the relay sent on, frames included.
    pub relayed_bytes: u64,
    pub(crate) rendezvous: Rendezvous,
    pub(crate) signer: NetworkSigner,
    pub(crate) link: Link,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Instant,
    pub(crate) devices: Vec<Device>,
    /// How many addresses NATs were given after their first.
    pub(crate) renumbered: usize,
    begin: Instant,
    by_node: BTreeMap<NodeId, HostId>,
    queue: BinaryHeap<Reverse<Pending>>,
    sequence: u64,
    deadlines: BTreeSet<(Instant, HostId)>,
    deadline_of: Vec<Option<Instant>>,
}

/// What a host keeps on disk.
pub(crate) struct Device {
    pub(crate) config: Config,
    pub(crate) secret: StaticSecret,
    pub(crate) certificate: Certificate,
}

/// Where a host's interfaces of one family are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attachment {
    /// It has none.
    Absent,
    /// Behind this NAT or firewall.
    Behind(NatId),
    /// On the Internet, with nothing before it.
    Public,
}

/// Where a host is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Over IPv4.
    pub v4: Attachment,
    /// Over IPv6.
    pub v6: Attachment,
    /// By which wire.
    pub link: Link,
}

struct Pending {
    at: Instant,
    sequence: u64,
    what: What,
}

/// What will happen.
pub(crate) enum What {
    /// A datagram has crossed the middle of its way.
    Datagram(Flight, Vec<u8>),
    /// Something about the control connection.
    Control(HostId, Message),
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
        let mut rendezvous = Rendezvous::new(network);
        rendezvous.start(&mut rng, begin);
        let mut net = Net::default();
        net.add_server(SERVER);
        Self {
            hosts: Vec::new(),
            net,
            captured: Vec::new(),
            captures: true,
            wakeups: 0,
            oracle: Oracle::new(seed, begin),
            probes: 0,
            relayed_bytes: 0,
            rendezvous,
            signer,
            link,
            rng,
            now: begin,
            devices: Vec::new(),
            renumbered: 0,
            begin,
            by_node: BTreeMap::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            deadlines: BTreeSet::new(),
            deadline_of: Vec::new(),
        }
    }

    /// The present moment, since the world began.
    pub fn elapsed(&self) -> Duration {
        self.now - self.begin
    }

    /// What every wire does, where nothing else was said.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Puts up a NAT on the Internet.
    pub fn add_nat(&mut self, kind: NatKind) -> NatId {
        let address = self.public_address(self.net.nats.len());
        self.put_up(kind, Realm::Public, address, self.link.one_way)
    }

    /// Puts up a NAT on the Internet at the end of a wire that is so long.
    pub fn add_nat_at(&mut self, kind: NatKind, distance: Duration) -> NatId {
        let address = self.public_address(self.net.nats.len());
        self.put_up(kind, Realm::Public, address, distance)
    }

    /// Puts up a NAT behind another one, as a subscriber's is behind its carrier's.
    pub fn add_nat_behind(&mut self, kind: NatKind, carrier: NatId) -> NatId {
        let index = self.net.nats.len();
        let address = Ipv4Addr::new(100, 64, byte(carrier), byte(index)).into();
        let distance = self.net.distance(carrier);
        self.put_up(kind, Realm::Inside(carrier), address, distance)
    }

    fn put_up(&mut self, kind: NatKind, outside: Realm, address: IpAddr, distance: Duration) -> NatId {
        let seed = rand_core::Rng::next_u64(&mut self.rng);
        self.net.add_nat(Nat::new(kind, address, seed, self.now), outside, distance)
    }

    /// Another address for each index, in networks that nobody in these worlds has.
    pub(crate) fn public_address(&self, index: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(203, 0, 113 + byte(index / 250), 1 + byte(index % 250)))
    }

    /// Adds a device behind `nat`, or a public one, with IPv4 only; it joins at once.
    pub fn add_host(&mut self, config: Config, nat: Option<NatId>) -> HostId {
        let v4 = nat.map_or(Attachment::Public, Attachment::Behind);
        self.add_host_at(config, Place { v4, v6: Attachment::Absent, link: self.link })
    }

    /// Adds a device; it joins at once.
    pub fn add_host_at(&mut self, config: Config, place: Place) -> HostId {
        let host = self.enrol(config);
        let node = self.boot(host, BEGIN);
        let interfaces = self.interfaces(host, &place, 0);
        for interface in &interfaces {
            self.net.attach(host, interface.realm, interface.ip);
        }
        let port = 50_000 + u16::from(byte(host));
        self.by_node.insert(node.certificate().node, host);
        self.hosts.push(Host::new(node, port, interfaces, place.link));
        self.deadline_of.push(None);
        self.join(host);
        self.keep_control(host);
        host
    }

    /// Makes members of so many devices that are never switched on. After the last host was added.
    pub fn add_absent(&mut self, count: usize) {
        (0..count).for_each(|_| {
            self.enrol(Config::default());
        });
    }

    /// The addresses of a host at `place`, other ones after each of its moves.
    pub(crate) fn interfaces(&self, host: HostId, place: &Place, moves: u64) -> Vec<Interface> {
        let (index, moves) = (byte(host) + 1, u8::try_from(moves % 100).expect("below 100"));
        let v4 = match place.v4 {
            Attachment::Absent => None,
            // few networks, so that one private address is several devices'
            Attachment::Behind(nat) => Some((Realm::Inside(nat), Ipv4Addr::new(192, 168, byte(nat % 3), index))),
            Attachment::Public => Some((Realm::Public, Ipv4Addr::new(198, 51, 100 + moves, index))),
        };
        let of_site = |site: u16| Ipv6Addr::new(0x2001, 0xdb8, site, moves.into(), 0, 0, 0, index.into());
        let v6 = match place.v6 {
            Attachment::Absent => None,
            Attachment::Behind(nat) => Some((Realm::Inside(nat), of_site(1 + u16::from(byte(nat))))),
            Attachment::Public => Some((Realm::Public, of_site(0))),
        };
        let v4 = v4.map(|(realm, ip)| Interface { realm, ip: ip.into() });
        let v6 = v6.map(|(realm, ip)| Interface { realm, ip: ip.into() });
        v4.into_iter().chain(v6).collect()
    }

    fn enrol(&mut self, config: Config) -> usize {
        let secret = StaticSecret::new(bytes(&mut self.rng));
        let certificate = self.certificate(self.devices.len() + 1, &secret);
        let encoded = certificate.sign(&self.signer).expect("the certificate is well-formed");
        let out = self.rendezvous.enrol(&certificate, encoded, self.now);
        self.devices.push(Device { config, secret, certificate });
        self.post(out);
        self.devices.len() - 1
    }

    /// Starts the program of a device whose clock says `wall`.
    pub(crate) fn boot(&mut self, host: HostId, wall: UnixTime) -> Node {
        let device = &self.devices[host];
        let encoded = device.certificate.sign(&self.signer).expect("the certificate is well-formed");
        let network = self.rendezvous.network.clone();
        let verified = VerifiedCertificate::verify(&encoded, &network.id, &network.signing_key, BEGIN)
            .expect("we have just signed it");
        let local = LocalDevice { static_secret: device.secret.clone(), certificate: verified, network };
        // for the oracle, which sees that none comes twice
        let config = Config { export_sa_keys: true, ..device.config.clone() };
        Node::new(config, local, bytes(&mut self.rng), wall, self.now)
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

    /// Somebody looks at the pair of two hosts at the dashboard.
    pub fn watch(&mut self, one: HostId, other: HostId) {
        let out = self.rendezvous.watch(self.hosts[one].id(), self.hosts[other].id(), self.now);
        self.post(out);
    }

    /// How many path reports the rendezvous was sent.
    pub fn path_reports(&self) -> u64 {
        self.rendezvous.path_reports
    }

    /// What a host last reported of its paths.
    pub fn reported(&self, host: HostId) -> Vec<PathReport> {
        self.rendezvous.reported(self.hosts[host].id())
    }

    /// Runs until `until` after the beginning.
    pub fn run_until(&mut self, until: Duration) {
        let end = self.begin + until;
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Runs for so long.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.elapsed() + time);
    }

    fn next_at(&self) -> Option<Instant> {
        let event = self.queue.peek().map(|Reverse(pending)| pending.at);
        let timer = self.deadlines.first().map(|(at, _)| *at);
        [event, timer, self.rendezvous.poll_timeout()].into_iter().flatten().min()
    }

    /// Does the one thing that is due first: events, then the rendezvous's timer, then a host's.
    fn step(&mut self) {
        if self.queue.peek().is_some_and(|Reverse(pending)| pending.at <= self.now) {
            let Some(Reverse(pending)) = self.queue.pop() else { return };
            match pending.what {
                What::Datagram(flight, datagram) => self.arrive(flight, &datagram),
                What::Control(host, message) => self.handle_message(host, message),
            }
        } else if self.rendezvous.poll_timeout().is_some_and(|at| at <= self.now) {
            let out = self.rendezvous.handle_timeout(self.now);
            self.post(out);
        } else if let Some((_, host)) = self.deadlines.first().copied() {
            self.hosts[host].node.handle_timeout(self.now);
            self.wakeups += 1;
            assert!(self.hosts[host].node.poll_timeout().is_none_or(|at| at > self.now), "a timer that is done");
            self.drain(host);
        }
    }

    /// A datagram has come to the realm of its destination.
    fn arrive(&mut self, flight: Flight, datagram: &[u8]) {
        if flight.to.ip() == SERVER {
            return self.relay(flight.from, datagram);
        }
        let Some((Owner::Host(host), to)) = self.net.descend(flight, self.now) else { return };
        let fits = self.hosts[host].link.fits(datagram.len(), to.is_ipv4());
        let remote = self.hosts[host].remote(flight.from, to.port()).filter(|_| fits);
        if let Some(remote) = remote {
            self.receive(host, remote, datagram);
        }
    }

    /// The relay sends a datagram.
    pub(crate) fn answer(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        let flight = Flight { realm: Realm::Public, from: RELAY, to, ttl: USUAL_TTL };
        self.fly(flight, datagram, self.link);
    }

    pub(crate) fn hand_over(&mut self, host: HostId, from: SocketAddr, datagram: &[u8]) {
        self.receive(host, Remote::Direct(from), datagram);
    }

    fn receive(&mut self, host: HostId, from: Remote, datagram: &[u8]) {
        if !self.hosts[host].up {
            return;
        }
        if let Some(from) = straight(from) {
            self.oracle.received(self.hosts[host].id, from, datagram, self.now);
        }
        self.hosts[host].receive(from, datagram, &mut self.oracle, self.now);
        self.drain(host);
    }

    /// Moves everything that a node wants to the outside.
    pub(crate) fn drain(&mut self, host: HostId) {
        let elapsed = self.elapsed();
        let (device, mut messages, mut wants_look) = (&mut self.hosts[host], Vec::new(), false);
        while let Some(event) = device.node.poll_event() {
            match event {
                Event::ForwardingChanged => device.forwarding = device.node.forwarding(),
                Event::Control(message) => messages.push(message),
                Event::SocketsChanged => device.close_unused_sockets(),
                Event::WantSample => wants_look = true,
                Event::SaKeys(keys) => self.oracle.keyed(device.id, &keys, self.now),
                Event::CertificateReplaced(_) | Event::PathChanged { .. } | Event::PingReply { .. } => {
                    device.events.push((elapsed, event));
                }
            }
        }
        while let Some(transmit) = self.hosts[host].node.poll_transmit() {
            self.probes += u64::from(straight(transmit.to).is_some());
            let outbound = Outbound { to: transmit.to, ttl: transmit.ttl, datagram: transmit.datagram };
            self.put_on_wire(host, outbound);
        }
        messages.into_iter().for_each(|message| self.tell_server(host, &message));
        if wants_look {
            self.look_at_nat(host);
        }
        self.set_deadline(host);
    }

    pub(crate) fn set_deadline(&mut self, host: HostId) {
        let next = Some(&self.hosts[host]).filter(|device| device.up).and_then(|device| device.node.poll_timeout());
        if let Some(old) = std::mem::replace(&mut self.deadline_of[host], next) {
            self.deadlines.remove(&(old, host));
        }
        self.deadlines.extend(next.map(|at| (at, host)));
    }

    fn put_on_wire(&mut self, host: HostId, outbound: Outbound) {
        let id = self.hosts[host].id;
        self.oracle.sent(id, remote_of_peer(outbound.to), &outbound.datagram, self.now);
        let mut port = self.hosts[host].port;
        let (to, datagram) = match outbound.to {
            Remote::Auxiliary(auxiliary) => {
                port = self.hosts[host].port_of(auxiliary.socket);
                (auxiliary.peer, outbound.datagram)
            }
            Remote::Direct(to) => (to, outbound.datagram),
            Remote::Relay(RelayChannel { relay, channel }) => {
                (relay, [&relay::encode_header(channel)[..], &outbound.datagram].concat())
            }
        };
        if to == RELAY && !self.has_udp(host) {
            return self.stream(host, datagram);
        }
        let Some(flight) = self.leave_by(host, port, to, outbound.ttl.unwrap_or(USUAL_TTL)) else { return };
        if self.captures {
            self.captured.push((flight.from, to, datagram.clone()));
        }
        let link = self.hosts[host].link;
        let lost = chance(self.hosts[host].upload_loss_per_mille, &mut self.rng);
        if !lost && link.fits(datagram.len(), to.is_ipv4()) {
            self.fly(flight, datagram, link);
        }
    }

    /// Takes a datagram of a host out through its NATs, as far as it must go.
    pub(crate) fn leave(&mut self, host: HostId, to: SocketAddr, ttl: u8) -> Option<Flight> {
        self.leave_by(host, self.hosts[host].port, to, ttl)
    }

    /// The same from another port.
    pub(crate) fn leave_by(&mut self, host: HostId, port: u16, to: SocketAddr, ttl: u8) -> Option<Flight> {
        let (interface, id) = (self.hosts[host].interface(to.ip())?, self.hosts[host].id);
        let from = SocketAddr::new(interface.ip, port);
        let flight = self.net.ascend(interface.realm, from, to, ttl, self.now);
        if let Realm::Inside(nat) = interface.realm {
            let made = self.net.nats[nat].made_within(interface.ip, MINUTE, self.now);
            self.oracle.mapped(id, made, self.now);
        }
        flight
    }

    /// Carries a datagram over a wire, and over that of its receiver.
    fn fly(&mut self, flight: Flight, datagram: Vec<u8>, link: Link) {
        let far_side = match (flight.realm, self.net.owner(flight.realm, flight.to.ip())) {
            (Realm::Inside(_), Some(Owner::Host(_))) => {
                return self.enqueue(LAN_DELAY, What::Datagram(flight, datagram));
            }
            (Realm::Inside(_), _) => Duration::ZERO,
            (Realm::Public, Some(Owner::Host(host))) => self.hosts[host].link.one_way,
            (Realm::Public, Some(Owner::Nat(nat))) => self.net.distance(nat),
            (Realm::Public, Some(Owner::Server)) => self.link.one_way,
            (Realm::Public, None) => return,
        };
        for delay in link.carry(&mut self.rng) {
            self.enqueue(delay + far_side, What::Datagram(flight, datagram.clone()));
        }
    }

    pub(crate) fn enqueue(&mut self, delay: Duration, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse(Pending { at: self.now + delay, sequence: self.sequence, what }));
    }

    pub(crate) fn host_of(&self, node: NodeId) -> Option<HostId> {
        self.by_node.get(&node).copied()
    }

    fn certificate(&mut self, index: usize, secret: &StaticSecret) -> Certificate {
        let identity = IdentitySecret::new(&bytes(&mut self.rng));
        let index = u16::try_from(index).expect("a world has fewer than 65,536 devices");
        let [high, low] = index.to_be_bytes();
        let mut id = [0; 16];
        id[14..].copy_from_slice(&[high, low]);
        Certificate {
            network: self.rendezvous.network.id,
            node: NodeId::new(id),
            name: format!("host-{index}"),
            v4: Ipv4Addr::new(100, 64, high, low),
            v6: Ipv6Addr::new(0xfd00, 0x4e, 0, 0, 0, 0, 0, index),
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

/// A remote that stands for another device itself.
fn remote_of_peer(remote: Remote) -> Option<Remote> {
    Some(remote).filter(|remote| straight(*remote).is_some())
}

/// The address of another device that a remote stands for.
fn straight(remote: Remote) -> Option<SocketAddr> {
    remote.straight().filter(|addr| *addr != RELAY)
}

fn byte(index: usize) -> u8 {
    u8::try_from(index).expect("a world has fewer than 255 hosts and NATs")
}

/// Any day will do; certificates are valid around it.
pub(crate) const BEGIN: UnixTime = UnixTime::from_secs(1_800_000_000);
/// One switch, or one access point.
const LAN_DELAY: Duration = Duration::from_micros(300);
