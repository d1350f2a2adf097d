//! Two agents, their gateways, a relay and a rendezvous, on one clock.
//!
//! Probes travel as values: what seals them is not this module's business. Data is a counter and a number, so that a
//! test can say how long nobody heard anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::nat::Nat;
use super::{ESP_OVERHEAD, start};
use crate::candidate::{Allocation, Candidate, CandidateKind};
use crate::candidate::{CandidateSet, NatMapping, NatReport};
use crate::io::{Auxiliary, Obstacle, RelayChannel, Remote, SocketId};
use crate::path::tests::nat::Kind;
use crate::path::{Agent, PathEvent, Probe, ProbeBody, Settings, Via};
use crate::wire::path_probe::PathMessage;

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) began: Instant,
    pub(super) hosts: [Host; 2],
    pub(super) nats: Vec<Nat>,
    pub(super) link: Link,
    /// Bytes of UDP payload sent to addresses where nobody lives.
    pub(super) strays: BTreeMap<SocketAddr, usize>,
    /// When the first datagram in clear or sealed went straight to an address that is neither relay nor host.
    pub(super) direct_sends: Vec<Instant>,
    pub(super) rendezvous_up: bool,
    /// Whether ports are searched for.
    pub(super) searches: bool,
    /// Mappings that others make behind each counting NAT between a look at it and what follows.
    pub(super) foreign_mappings: u16,
    pub(super) starts: u64,
    queue: BTreeMap<(Instant, u64), Delivery>,
    serial: u64,
    rng: ChaCha8Rng,
    started_at: Option<Instant>,
    searched_at: Option<Instant>,
}

pub(super) struct Host {
    pub(super) agent: Agent,
    pub(super) inside: SocketAddr,
    pub(super) v6: Option<SocketAddr>,
    pub(super) nat: Option<usize>,
    /// Milliseconds between data packets.
    pub(super) sends_every: Option<u64>,
    /// How large what it sends is, if that is not all that fits.
    pub(super) packet: Option<usize>,
    sent_bytes: u64,
    pub(super) switches: Vec<(Instant, Option<Via>)>,
    pub(super) hedged: Vec<Instant>,
    pub(super) heard: Vec<Instant>,
    pub(super) reports: Vec<Instant>,
    pub(super) wakes: usize,
    pub(super) pings: Vec<(u64, Duration, Via)>,
    /// Sockets beside the one that everything uses, and their ports inside.
    pub(super) sockets: BTreeMap<SocketId, SocketAddr>,
    allocation: Option<Allocation>,
    session: bool,
    epoch: u64,
    offered: Vec<Candidate>,
    next_data: Option<Instant>,
    next_note: Instant,
    sealed: u64,
    opened: u64,
    seen: BTreeSet<u64>,
}

/// What the Internet between the gateways is like.
pub(super) struct Link {
    pub(super) delay: Duration,
    pub(super) v6_delay: Duration,
    pub(super) relay_delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss_percent: u64,
    /// Largest UDP payload that passes straight.
    pub(super) mtu: usize,
    /// Whether IPv4 passes straight at all.
    pub(super) cut: bool,
    /// Whose network turns straight datagrams away, and says so.
    pub(super) forbids: Option<usize>,
}

#[derive(Clone, Copy)]
enum Delivery {
    Datagram { to: usize, from: Remote, body: Body },
    Start { to: usize, attempt: u64, delay: Duration, search: Option<SocketAddr> },
    Candidates,
    Obstacle { to: usize, remote: Remote },
    Sample { host: usize },
    Session,
}

#[derive(Clone, Copy)]
enum Body {
    Message(PathMessage),
    Data(u64),
}

impl World {
    /// Host 0 behind the first NAT, host 1 behind the second; nothing connected yet.
    pub(super) fn new(seed: u64, nats: [Option<Nat>; 2]) -> Self {
        let began = start();
        let settings = |we_keepalive| Settings { we_keepalive, keepalive: Duration::from_secs(22) };
        let mut kept = Vec::new();
        let mut host = |index: usize, nat: Option<Nat>| {
            let nat = nat.map(|nat| {
                kept.push(nat);
                kept.len() - 1
            });
            let inside = match nat {
                Some(_) => format!("192.168.{index}.2:4{index}00"),
                None => format!("198.51.100.2{index}:4{index}00"),
            };
            Host::new(Agent::new(seed * 2 + index as u64, settings(index == 0), began), &inside, nat, began)
        };
        let nats = nats.map(|nat| nat.map(|nat| nat.seeded(seed)));
        let [first, second] = nats;
        let hosts = [host(0, first), host(1, second)];
        Self {
            now: began,
            began,
            hosts,
            nats: kept,
            link: Link::default(),
            strays: BTreeMap::new(),
            direct_sends: Vec::new(),
            rendezvous_up: true,
            searches: true,
            foreign_mappings: 0,
            starts: 0,
            queue: BTreeMap::new(),
            serial: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            started_at: None,
            searched_at: None,
        }
    }

    /// What happens when two devices want each other: a relay channel, candidates, a session, a start.
    pub(super) fn connect(&mut self) {
        self.open_relay();
        self.exchange_candidates();
        self.schedule(Duration::from_millis(40), Delivery::Session);
        self.send_start();
    }

    pub(super) fn open_relay(&mut self) {
        for index in 0..2 {
            let channel = channel(index);
            self.hosts[index].agent.set_relay(Some(channel), self.now);
            self.drain(index);
        }
    }

    pub(super) fn begin_session(&mut self) {
        for index in 0..2 {
            self.hosts[index].session = true;
            self.hosts[index].agent.session_ready(ESP_OVERHEAD, self.now);
            self.drain(index);
        }
    }

    /// Both learn what each is reachable at, as the rendezvous and STUN see it at this moment.
    pub(super) fn exchange_candidates(&mut self) {
        let sets = [self.candidates_of(0), self.candidates_of(1)];
        for index in 0..2 {
            self.hosts[index].agent.set_local(&sets[index], self.now);
            self.hosts[index].agent.set_remote_candidates(&sets[1 - index], self.now);
            self.drain(index);
        }
    }

    /// A start to both, a few milliseconds apart.
    pub(super) fn send_start(&mut self) {
        self.starts += 1;
        self.started_at = Some(self.now);
        for to in 0..2 {
            let skew = Duration::from_micros(self.rng.next_u64() % 5000);
            let delay = Duration::from_millis(10);
            let start = Delivery::Start { to, attempt: self.starts, delay, search: None };
            self.schedule(Duration::from_millis(20) + skew, start);
        }
    }

    pub(super) fn network_change(&mut self, index: usize) {
        self.hosts[index].epoch += 1;
        self.hosts[index].agent.handle_network_change(self.now);
        self.drain(index);
    }

    /// A person at host `index` pings the other one.
    pub(super) fn ping(&mut self, index: usize, token: u64) -> bool {
        let sent = self.hosts[index].agent.request_ping(token, self.now);
        self.drain(index);
        sent
    }

    pub(super) fn run(&mut self, length: Duration) {
        self.run_until(length, |_| false);
    }

    /// Runs until `done`, at most for `length`; returns the time that passed.
    pub(super) fn run_until(&mut self, length: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let (from, end) = (self.now, self.now + length);
        loop {
            if done(self) {
                return Some(self.now - from);
            }
            let Some(next) = self.next_event().filter(|at| *at <= end) else {
                self.now = end;
                return done(self).then(|| self.now - from);
            };
            self.now = self.now.max(next);
            self.step();
        }
    }

    pub(super) fn via(&self, index: usize) -> Option<Via> {
        self.hosts[index].agent.selection().map(|selection| selection.via)
    }

    pub(super) fn both_direct(&self) -> bool {
        (0..2).all(|index| self.via(index).is_some_and(|via| via.kind() == "direct"))
    }

    /// The longest time in which `index` heard no data, from `since` to now.
    pub(super) fn longest_silence(&self, index: usize, since: Instant) -> Duration {
        let heard = self.hosts[index].heard.iter().copied().filter(|at| *at >= since);
        let marks: Vec<Instant> = std::iter::once(since).chain(heard).chain([self.now]).collect();
        marks.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    fn next_event(&self) -> Option<Instant> {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let hosts = self.hosts.iter().flat_map(|host| {
            let sends = host.session && host.sends_every.is_some();
            let (data, note) = (host.next_data.filter(|_| sends), sends.then_some(host.next_note));
            [host.agent.poll_timeout(), data, note]
        });
        hosts.chain([queued]).flatten().min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let delivery = entry.remove();
            self.deliver(delivery);
        }
        for index in 0..2 {
            self.send_data(index);
            self.note(index);
            if self.hosts[index].agent.poll_timeout().is_some_and(|at| at <= self.now) {
                self.hosts[index].wakes += 1;
                self.hosts[index].agent.handle_timeout(self.now);
                let next = self.hosts[index].agent.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a deadline that was met must move on");
                self.drain(index);
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Candidates => self.exchange_candidates(),
            Delivery::Session => self.begin_session(),
            Delivery::Obstacle { to, remote } => {
                self.hosts[to].agent.handle_obstacle(remote, Obstacle::Forbidden, self.now);
                self.drain(to);
            }
            Delivery::Sample { host } => self.sample(host),
            Delivery::Start { to, attempt, delay, search } => {
                self.hosts[to].agent.handle_start(attempt, delay, search, self.now);
                self.drain(to);
            }
            Delivery::Datagram { to, from, body } => {
                let host = &mut self.hosts[to];
                if !host.session {
                    return;
                }
                match body {
                    Body::Data(serial) if host.seen.insert(serial) => {
                        host.opened += 1;
                        host.heard.push(self.now);
                    }
                    Body::Data(_) => {}
                    Body::Message(message) => {
                        host.opened += 1;
                        match message {
                            PathMessage::Ping(ping) => host.agent.handle_ping(from, &ping, self.now),
                            PathMessage::Pong(pong) => _ = host.agent.handle_pong(from, &pong, self.now),
                            PathMessage::Close => {}
                        }
                    }
                }
                self.drain(to);
            }
        }
    }

    fn send_data(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let Some(every) = host.sends_every else { return };
        if !host.session || *host.next_data.get_or_insert(self.now) > self.now {
            return;
        }
        host.next_data = Some(self.now + Duration::from_millis(every));
        let Some(selection) = host.agent.selection() else { return };
        host.sealed += 1;
        let length = host.packet.unwrap_or(selection.udp_payload);
        host.sent_bytes += length as u64;
        let hedge = host.agent.hedge();
        if hedge.is_some() {
            host.hedged.push(self.now);
        }
        self.serial += 1;
        let body = Body::Data(self.serial);
        for to in [Some(selection.remote), hedge].into_iter().flatten() {
            self.transmit(index, to, None, length, Some(body));
        }
    }

    fn note(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if host.session && host.sends_every.is_some() && host.next_note <= self.now {
            host.next_note = self.now + Duration::from_secs(1);
            host.agent.note_load(host.sent_bytes, self.now);
            host.agent.note_traffic(host.sealed, host.opened, self.now);
            self.drain(index);
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(Probe { to, ttl, body, .. }) = self.hosts[index].agent.poll_probe() {
            let message = match body {
                ProbeBody::Knock | ProbeBody::Opener => None,
                ProbeBody::Ping(ping) => Some(PathMessage::Ping(ping)),
                ProbeBody::Pong(pong) => Some(PathMessage::Pong(pong)),
            };
            let length = message.map_or(1, |message| (message.encode().len() + 2).next_multiple_of(4) + 24);
            self.hosts[index].sealed += u64::from(message.is_some());
            assert!(message.is_none() || self.hosts[index].session, "nothing can be sealed without a session");
            self.transmit(index, to, ttl, length, message.map(Body::Message));
        }
        while let Some(event) = self.hosts[index].agent.poll_event() {
            match event {
                PathEvent::Selected => {
                    let via = self.via(index);
                    let host = &mut self.hosts[index];
                    if host.switches.last().is_none_or(|(_, last)| *last != via) {
                        host.switches.push((self.now, via));
                    }
                }
                PathEvent::WantReport => self.hosts[index].reports.push(self.now),
                PathEvent::SocketsChanged => {
                    let Host { agent, sockets, .. } = &mut self.hosts[index];
                    sockets.retain(|socket, _| agent.uses(*socket));
                }
                PathEvent::WantSample => {
                    self.schedule(Duration::from_millis(20), Delivery::Sample { host: index });
                }
                PathEvent::WantSearch => self.want_search(),
                PathEvent::WantStart => self.want_start(),
                PathEvent::PingReply { token, rtt, via, .. } => self.hosts[index].pings.push((token, rtt, via)),
            }
        }
    }

    /// The rendezvous gathers candidates anew and starts both, at most once in ten seconds.
    fn want_start(&mut self) {
        let lately = self.started_at.is_some_and(|at| self.now - at < Duration::from_secs(10));
        if self.rendezvous_up && !lately {
            self.schedule(Duration::from_millis(40), Delivery::Candidates);
            self.send_start_later(Duration::from_millis(60));
        }
    }

    /// The rendezvous lets both search, where it sees each itself.
    fn want_search(&mut self) {
        let lately = self.searched_at.is_some_and(|at| self.now - at < Duration::from_secs(10));
        if !self.rendezvous_up || lately {
            return;
        }
        self.starts += 1;
        self.searched_at = Some(self.now);
        let observed = [self.observed(0), self.observed(1)];
        for to in 0..2 {
            let (attempt, search) = (self.starts, Some(observed[1 - to]));
            let start = Delivery::Start { to, attempt, delay: Duration::from_millis(10), search };
            self.schedule(Duration::from_millis(40), start);
        }
    }

    fn observed(&mut self, index: usize) -> SocketAddr {
        let inside = self.hosts[index].inside;
        let server = "198.51.100.1:443".parse().unwrap();
        self.hosts[index].nat.map_or(inside, |nat| self.nats[nat].outbound(inside, server, self.now))
    }

    /// A fresh look at a NAT, and then word of it.
    fn sample(&mut self, index: usize) {
        self.look_at_nat(index);
        let set = self.candidates_of(index);
        self.hosts[index].agent.set_local(&set, self.now);
        self.drain(index);
        self.schedule(Duration::from_millis(20), Delivery::Candidates);
    }

    /// Four new sockets ask.
    fn look_at_nat(&mut self, index: usize) {
        let Some(nat) = self.hosts[index].nat else { return };
        let ports: Vec<u16> = (0..4).map(|_| self.nats[nat].fresh_port()).collect();
        self.nats[nat].made.extend([self.now; 4]);
        let counted = self.nats[nat].kind == Kind::Symmetric;
        self.hosts[index].allocation = Some(Allocation {
            delta: counted.then(|| i16::try_from(self.nats[nat].step).unwrap()),
            last: ports[3],
            lowest: *ports.iter().min().unwrap(),
            highest: *ports.iter().max().unwrap(),
        });
        if counted {
            (0..self.foreign_mappings).for_each(|_| _ = self.nats[nat].fresh_port());
        }
    }

    fn send_start_later(&mut self, wait: Duration) {
        self.starts += 1;
        self.started_at = Some(self.now);
        for to in 0..2 {
            let delay = Duration::from_millis(10);
            self.schedule(wait, Delivery::Start { to, attempt: self.starts, delay, search: None });
        }
    }

    fn transmit(&mut self, index: usize, to: Remote, ttl: Option<u8>, length: usize, body: Option<Body>) {
        if self.link.forbids == Some(index) && to.straight().is_some() {
            self.direct_sends.push(self.now);
            return self.schedule(Duration::from_millis(1), Delivery::Obstacle { to: index, remote: to });
        }
        match to {
            Remote::Relay(_) => {
                if let (Some(body), false) = (body, self.is_lost()) {
                    let from = Remote::Relay(channel(1 - index));
                    let delay = self.link.relay_delay;
                    self.schedule(delay, Delivery::Datagram { to: 1 - index, from, body });
                }
            }
            Remote::Auxiliary(Auxiliary { socket, peer }) => {
                let Host { inside, sockets, .. } = &mut self.hosts[index];
                self.serial += 1;
                // never a port that was used before, as the kernel's choice seldom is
                let fresh = SocketAddr::new(inside.ip(), 10_000 + u16::try_from(self.serial % 50_000).unwrap());
                let source = *sockets.entry(socket).or_insert(fresh);
                self.transmit_straight(index, source, peer, ttl, length, body);
            }
            Remote::Direct(addr) => self.transmit_straight(index, self.hosts[index].inside, addr, ttl, length, body),
        }
    }

    fn transmit_straight(
        &mut self,
        index: usize,
        inside: SocketAddr,
        to: SocketAddr,
        ttl: Option<u8>,
        length: usize,
        body: Option<Body>,
    ) {
        self.direct_sends.push(self.now);
        let host = &self.hosts[index];
        let peer = &self.hosts[1 - index];
        if let (Some(from), true) = (host.v6, peer.v6 == Some(to)) {
            return self.arrive(1 - index, from, self.link.v6_delay, length, body);
        }
        if to == peer.inside && host.nat.is_some() && host.nat == peer.nat {
            return self.arrive(1 - index, host.inside, Duration::from_millis(1), length, body);
        }
        let private = crate::path::score::is_private(to.ip());
        let (source, nat) = (inside, host.nat);
        let source = match nat {
            Some(nat) if !private => self.nats[nat].outbound(source, to, self.now),
            Some(_) | None => source,
        };
        if private || self.link.cut || !self.lives(to) {
            *self.strays.entry(to).or_default() += length;
            return;
        }
        if ttl.is_some() || self.is_lost() {
            return;
        }
        let inside = match self.hosts[1 - index].nat {
            Some(nat) if self.nats[nat].public == to.ip() => self.nats[nat].inbound(source, to.port(), self.now),
            Some(_) => None,
            None => (self.hosts[1 - index].inside == to).then_some(to),
        };
        let host = &self.hosts[1 - index];
        let auxiliary = host.sockets.iter().find(|(_, at)| Some(**at) == inside).map(|(socket, _)| *socket);
        let from = match auxiliary {
            Some(socket) => Remote::Auxiliary(Auxiliary { socket, peer: source }),
            None if inside == Some(host.inside) => Remote::Direct(source),
            None => return,
        };
        self.arrive_late(1 - index, from, self.link.delay, length, body);
    }

    /// Loss was decided before the far gateway saw it.
    fn arrive_late(&mut self, to: usize, from: Remote, delay: Duration, length: usize, body: Option<Body>) {
        if let (Some(body), true) = (body, length <= self.link.mtu) {
            let jitter = self.jitter();
            self.schedule(delay + jitter, Delivery::Datagram { to, from, body });
        }
    }

    fn arrive(&mut self, to: usize, from: SocketAddr, delay: Duration, length: usize, body: Option<Body>) {
        if !self.is_lost() {
            self.arrive_late(to, Remote::Direct(from), delay, length, body);
        }
    }

    fn lives(&self, addr: SocketAddr) -> bool {
        self.nats.iter().any(|nat| nat.public == addr.ip()) || self.hosts.iter().any(|host| host.inside == addr)
    }

    fn is_lost(&mut self) -> bool {
        self.rng.next_u64() % 100 < self.link.loss_percent
    }

    fn jitter(&mut self) -> Duration {
        let span = u64::try_from(self.link.jitter.as_micros()).unwrap();
        Duration::from_micros(if span == 0 { 0 } else { self.rng.next_u64() % span })
    }

    fn schedule(&mut self, after: Duration, delivery: Delivery) {
        self.serial += 1;
        self.queue.insert((self.now + after, self.serial), delivery);
    }

    fn candidates_of(&mut self, index: usize) -> CandidateSet {
        let dependent = self.hosts[index].nat.is_some_and(|nat| self.nats[nat].maps_each_anew());
        if dependent && self.hosts[index].allocation.is_none() {
            self.look_at_nat(index);
        }
        let host = &self.hosts[index];
        let mut candidates = vec![Candidate { addr: host.inside, kind: CandidateKind::Host }];
        candidates.extend(host.v6.map(|addr| Candidate { addr, kind: CandidateKind::Host }));
        let mut mapping = NatMapping::None;
        if let Some(nat) = host.nat {
            let inside = host.inside;
            let server = "198.51.100.1:3478".parse().unwrap();
            let addr = self.nats[nat].outbound(inside, server, self.now);
            candidates.push(Candidate { addr, kind: CandidateKind::Reflexive });
            mapping = match self.nats[nat].kind {
                Kind::FullCone | Kind::PortRestricted => NatMapping::EndpointIndependent,
                Kind::Random | Kind::Symmetric => NatMapping::EndpointDependent,
            };
        }
        let host = &mut self.hosts[index];
        if host.offered != candidates {
            host.epoch += 1;
            host.offered.clone_from(&candidates);
        }
        let nat = NatReport { mapping, preserves_port: true, allocation: host.allocation, searches: self.searches };
        CandidateSet { epoch: host.epoch, candidates, nat }
    }
}

impl Host {
    fn new(agent: Agent, inside: &str, nat: Option<usize>, now: Instant) -> Self {
        Self {
            agent,
            inside: inside.parse().unwrap(),
            v6: None,
            nat,
            sends_every: None,
            packet: None,
            sent_bytes: 0,
            switches: Vec::new(),
            hedged: Vec::new(),
            heard: Vec::new(),
            reports: Vec::new(),
            wakes: 0,
            pings: Vec::new(),
            sockets: BTreeMap::new(),
            allocation: None,
            session: false,
            epoch: 0,
            offered: Vec::new(),
            next_data: None,
            next_note: now,
            sealed: 0,
            opened: 0,
            seen: BTreeSet::new(),
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(20),
            v6_delay: Duration::from_millis(20),
            relay_delay: Duration::from_millis(40),
            jitter: Duration::from_millis(2),
            loss_percent: 0,
            mtu: 1472,
            cut: false,
            forbids: None,
        }
    }
}

pub(super) fn channel(index: usize) -> RelayChannel {
    let channel = u32::try_from(index).unwrap() + 1;
    RelayChannel { relay: "198.51.100.1:3480".parse().unwrap(), channel }
}

pub(super) fn nat(kind: Kind, index: usize) -> Option<Nat> {
    Some(Nat::new(kind, &format!("203.0.113.{}", index + 1)))
}

pub(super) fn port_restricted() -> [Option<Nat>; 2] {
    [nat(Kind::PortRestricted, 0), nat(Kind::PortRestricted, 1)]
}
