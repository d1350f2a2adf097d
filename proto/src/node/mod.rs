//! The whole slow path as one value: feeds peers, merges what they want, and keeps no bytes and no policy of its own.
//!
//! ```text
//!   driver --handle_*--> Node --> Peer (by SPI base, by static key, by id) --> Shared queues --poll_*--> driver
//! ```
//!
//! After every `handle_*` the driver drains `poll_transmit` and `poll_event`, and sleeps until `poll_timeout`. Opening and
//! sealing data is the driver's packet path, by the table that `forwarding` returns.

mod admission;
mod introductions;
mod map;
mod memory;
mod relay_link;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::candidate::CandidateSet;
use crate::certificate::VerifiedCertificate;
use crate::config::Config;
use crate::control::{Preferences, Relay, ToAgent, ToServer, Welcome};
use crate::inner;
use crate::io::{Discard, Obstacle, RelayChannel, Remote, SocketId, Transmit};
use crate::keys::{NodeId, Spi, SpiBase, StaticPublic, UnixTime};
use crate::path::Allowance;
use crate::peer::{Peer, Shared};
use crate::wire::handshake::Message;
use crate::wire::relay;
use admission::Admission;
use introductions::Introductions;
use map::Unnamed;
use relay_link::RelayLink;

pub use crate::peer::{
    Event, Forwarding, HeldVerdict, LocalDevice, Memory, PeerMemory, PeerRoute, PeerStatus, Reason, RememberedEndpoint,
    SaKeys, SessionStatus,
};

/// One device's view of its mesh.
pub struct Node {
    shared: Shared,
    peers: BTreeMap<NodeId, Peer>,
    by_key: BTreeMap<StaticPublic, NodeId>,
    by_address: BTreeMap<IpAddr, NodeId>,
    deadlines: BTreeSet<(Instant, NodeId)>,
    deadline_of: BTreeMap<NodeId, Instant>,
    admission: Admission,
    /// Those of our own server first.
    relays: Vec<RelayLink>,
    own_relays: usize,
    introductions: Introductions,
    revision: u64,
    unnamed: Option<Unnamed>,
    /// Whether the map held names somebody whose certificate did not verify.
    disbelieved: bool,
    /// The next map is the first of its connection.
    is_first_map: bool,
}

impl Node {
    /// A node that knows nobody yet. `seed` is its only source of randomness.
    pub fn new(config: Config, local: LocalDevice, seed: [u8; 32], wall: UnixTime, now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let admission = Admission::new(local.static_secret.public(), &mut rng, now);
        Self {
            shared: Shared::new(config, local, rng, wall, now),
            peers: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_address: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: BTreeMap::new(),
            admission,
            relays: Vec::new(),
            own_relays: 0,
            introductions: Introductions::default(),
            revision: 0,
            unnamed: None,
            disbelieved: false,
            is_first_map: true,
        }
    }

    /// Takes on what an earlier node of this device has done to NATs and strangers: the budget is the device's.
    pub fn resume(&mut self, allowance: Allowance) {
        self.shared.allowance = allowance;
    }

    /// What it has done to them, for the next node of this device.
    pub fn into_allowance(self) -> Allowance {
        self.shared.allowance
    }

    /// The driver has made so many new mappings in our NAT by sockets of its own.
    pub fn note_mappings(&mut self, made: usize, now: Instant) {
        self.shared.allowance.note_made(made, now);
    }

    /// A message of the rendezvous.
    pub fn handle_control(&mut self, message: ToAgent, now: Instant) {
        match message {
            ToAgent::Welcome(welcome) => self.handle_welcome(welcome, now),
            ToAgent::Map(map) => self.apply_map(map, now),
            ToAgent::Presence(presence) => self.apply_presence(&presence, now),
            ToAgent::Servers(servers) => self.handle_servers(servers.relays, now),
            ToAgent::PairOpened(pair) => {
                let channel = RelayChannel { relay: pair.relay, channel: pair.channel };
                if channel.channel == 0 || !self.relays.iter().any(|link| link.addr() == channel.relay) {
                    return self.shared.count(Discard::RelayChannel);
                }
                self.with(pair.peer, now, |peer, shared| peer.handle_pair_opened(channel, shared, now));
            }
            ToAgent::PeerCandidates { peer, set } => {
                self.with(peer, now, |peer, _| peer.set_remote_candidates(&set, now));
            }
            ToAgent::Start(start) => {
                let delay = Duration::from_millis(start.delay_ms.into()).min(MAX_START_DELAY);
                self.shared.searching = self.peers.values().any(Peer::is_searching);
                self.shared.kept_sockets = self.peers.values().map(Peer::kept_sockets).sum();
                self.with(start.peer, now, |peer, shared| {
                    peer.handle_start(start.attempt, delay, start.search, shared, now);
                });
            }
            ToAgent::Verdict(verdict) => {
                self.with(verdict.peer, now, |peer, _| peer.handle_verdict(verdict, now));
            }
            ToAgent::Retry(peer) => self.with(peer, now, |peer, shared| peer.retry(shared, now)),
            ToAgent::Watch { peer, seconds } => {
                let within = Duration::from_secs(seconds.into());
                self.with(peer, now, |peer, _| peer.watch(within, now));
            }
            // the driver's, who has somebody to answer to
            ToAgent::Ping { .. } => {}
            ToAgent::Enrolled(_)
            | ToAgent::LoggedOut
            | ToAgent::Observed(_)
            | ToAgent::Pending(_)
            | ToAgent::Refused(_) => {}
        }
    }

    /// The control connection is gone. Tunnels go on; nothing can be asked until the next Welcome.
    pub fn handle_control_lost(&mut self) {
        self.shared.control_up = false;
        // what was right when it was said is nobody's to correct any more
        self.peers.values_mut().for_each(Peer::forget_verdict);
        // the rest of a full map will not come; the next connection brings another one
        self.unnamed = None;
    }

    /// Our own addresses, gathered anew.
    pub fn handle_candidates(&mut self, mut set: CandidateSet, now: Instant) {
        set.nat.searches = self.shared.config.port_search;
        self.shared.candidates = set;
        self.offer_candidates();
        let set = self.shared.candidates.clone();
        self.for_each(now, |peer, _| peer.set_local(&set, now));
    }

    /// A handshake message, or the inner datagram of a relay frame on channel 0.
    pub fn handle_datagram(&mut self, from: Remote, datagram: &[u8], now: Instant) {
        if let Remote::Relay(RelayChannel { relay, channel: 0 }) = from {
            return self.handle_relay_control(relay, datagram, now);
        }
        match Message::parse(datagram) {
            Ok(Message::Init(_)) => self.handle_init(from, datagram, now),
            Ok(Message::Response(response)) => {
                self.with_handshake(response.spi_i, now, |peer, base, shared| {
                    peer.handle_response(base, datagram, from, shared, now);
                });
            }
            Ok(Message::Confirm(confirm)) => {
                self.with_handshake(confirm.spi_r, now, |peer, base, shared| {
                    peer.handle_confirm(base, datagram, from, shared, now);
                });
            }
            Ok(Message::Cookie(cookie)) => {
                self.with_handshake(cookie.spi_i, now, |peer, base, shared| {
                    peer.handle_cookie(base, datagram, from, shared, now);
                });
            }
            Err(reason) => self.shared.count(reason),
        }
    }

    /// The payload of an opened ESP packet with Next Header 253.
    pub fn handle_opened(&mut self, spi: Spi, from: Remote, payload: &[u8], now: Instant) {
        self.with_base(SpiBase::of(spi), now, |peer, _, shared| {
            peer.handle_opened(spi, from, payload, shared, now);
        });
        self.handle_introductions(now);
    }

    /// An inner packet that the packet path found no SA or path for.
    pub fn handle_packet(&mut self, packet: Vec<u8>, now: Instant) {
        let destination = match inner::addresses(&packet) {
            Ok(addresses) => addresses.destination,
            Err(reason) => return self.shared.count(reason),
        };
        match self.peer_at(destination) {
            Some(id) => self.with(id, now, |peer, shared| peer.handle_packet(packet, shared, now)),
            None => self.shared.count(Discard::NoRoute),
        }
    }

    /// This host or a router on the way would not carry what was sent to `remote`.
    pub fn handle_obstacle(&mut self, remote: Remote, obstacle: Obstacle, now: Instant) {
        let concerned = self.peers.iter().filter(|(_, peer)| peer.probes(remote)).map(|(id, _)| *id);
        for id in concerned.collect::<Vec<_>>() {
            self.with(id, now, |peer, _| peer.handle_obstacle(remote, obstacle, now));
        }
    }

    /// The packet path saw the first packet since it was asked to look out (`take_wake`).
    pub fn handle_wake(&mut self, spi: Spi, now: Instant) {
        self.with_base(SpiBase::of(spi), now, |peer, _, shared| peer.handle_wake(spi, shared, now));
    }

    /// The packet path saw the first outbound packet to `peer` since it was asked to look out.
    pub fn handle_wake_outbound(&mut self, peer: NodeId, now: Instant) {
        self.with(peer, now, |peer, _| peer.watch_traffic(now));
    }

    /// The machine's addresses or routes changed: paths are unproven, sessions stay.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.relays.iter_mut().for_each(|link| link.rebind(now));
        // first of all: what goes by a relay from an address that is not bound is lost
        self.bind_relays(now);
        self.for_each(now, |peer, shared| peer.handle_network_change(shared, now));
    }

    /// What the wall clock says now; to be repeated now and then, because it may be set.
    pub fn handle_wall_clock(&mut self, wall: UnixTime, now: Instant) {
        self.shared.set_wall(wall, now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut keeps_alive = false;
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.with(id, now, |peer, shared| {
                keeps_alive |= peer.keepalive_within(Duration::ZERO, now);
                peer.handle_timeout(shared, now);
            });
        }
        if keeps_alive {
            self.keep_alive_early(now);
        }
        self.run_introductions(now);
        self.bind_relays(now);
    }

    /// Wants a session and a path to a peer. False if there is no such peer.
    pub fn connect(&mut self, peer: NodeId, now: Instant) -> bool {
        let known = self.peers.contains_key(&peer);
        self.with(peer, now, |peer, shared| peer.connect(shared, now));
        known
    }

    /// Sends an authenticated ping over the path in use; answered by `Event::PingReply` with the same token. False if
    /// there is no such peer, or no path to it yet: it is being connected then.
    pub fn ping(&mut self, peer: NodeId, token: u64, now: Instant) -> bool {
        let mut sent = false;
        self.with(peer, now, |peer, shared| sent = peer.ping(token, shared, now));
        sent
    }

    /// Says CLOSE to every peer and ends all sessions.
    pub fn close(&mut self, now: Instant) {
        self.for_each(now, |peer, shared| {
            peer.say_close(shared);
            peer.close(shared, now);
        });
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.shared.poll_transmit()
    }

    /// The next thing to tell the driver.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.poll_event()
    }

    /// When `handle_timeout` next has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let peers = self.deadlines.first().map(|(at, _)| *at);
        let relays = self.relays.iter().map(RelayLink::poll_timeout).min();
        [peers, relays, self.introductions.poll_timeout()].into_iter().flatten().min()
    }

    /// What the packet path decides by.
    pub fn forwarding(&self) -> Forwarding {
        Forwarding {
            peers: self.peers.values().map(Peer::route).collect(),
            inbound: self
                .peers
                .values()
                .flat_map(Peer::sessions)
                .flat_map(|session| session.inbound().iter().cloned())
                .collect(),
        }
    }

    /// Every peer, by id.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> {
        self.peers.values().map(|peer| peer.status(&self.shared))
    }

    /// One peer.
    pub fn peer(&self, id: NodeId) -> Option<PeerStatus> {
        self.peers.get(&id).map(|peer| peer.status(&self.shared))
    }

    /// The peer with an overlay address, or behind which a prefix lies that covers it (longest first).
    pub fn peer_at(&self, address: IpAddr) -> Option<NodeId> {
        self.by_address.get(&address).copied()
    }

    /// How often each reason threw something away that could not be laid at one peer's door.
    pub fn discards(&self) -> impl Iterator<Item = (Discard, u64)> {
        Discard::ALL.iter().copied().zip(self.shared.discards().iter().copied())
    }

    /// Whether a socket beside the one that everything uses is still needed.
    pub fn uses(&self, socket: SocketId) -> bool {
        self.peers.values().any(|peer| peer.uses(socket))
    }

    /// The revision of the peer map held, for `Hello`. Whoever was not believed may be, once this clock is right, so then
    /// it is 0: everything is asked for again.
    pub fn revision(&self) -> u64 {
        if self.disbelieved { 0 } else { self.revision }
    }

    /// Whether the rendezvous named relays and none of them answers.
    pub fn are_relays_silent(&self) -> bool {
        !self.relays.is_empty() && self.relays.iter().all(RelayLink::is_silent)
    }

    /// Whether this device uses relays only, so that nobody is to learn where it is.
    pub fn is_relay_only(&self) -> bool {
        self.shared.relay_only
    }

    /// This device's certificate as last issued.
    pub fn certificate(&self) -> &VerifiedCertificate {
        &self.shared.local.certificate
    }

    fn handle_welcome(&mut self, welcome: Welcome, now: Instant) {
        self.shared.control_up = true;
        self.introductions.clear_wishes();
        self.is_first_map = true;
        self.own_relays = welcome.relays.len();
        self.relays = welcome.relays.into_iter().map(|relay| RelayLink::new(relay, now)).collect();
        self.replace_certificate(&welcome.certificate, now);
        self.handle_timeout(now);
        if self.shared.config.relay_only {
            // before anything that could make a peer aim at us
            self.shared.event(Event::Control(ToServer::Preferences(Preferences { relay_only: true })));
        }
        self.offer_candidates();
        self.for_each(now, |peer, shared| peer.control_renewed(shared, now));
    }

    /// The relays of the mesh's other servers, as of now: a pair may be given a channel at any.
    fn handle_servers(&mut self, relays: Vec<Relay>, now: Instant) {
        let (mut links, others) = {
            let mut links = std::mem::take(&mut self.relays);
            let others = links.split_off(self.own_relays.min(links.len()));
            (links, others)
        };
        links.extend(others.into_iter().filter(|link| relays.contains(link.relay())));
        for relay in relays {
            if !links.iter().any(|link| link.addr() == relay.addr) {
                links.push(RelayLink::new(relay, now));
            }
        }
        self.relays = links;
        self.bind_relays(now);
    }

    /// Sends with one keepalive those that would be due soon: however many peers there are, an idle device wakes a few times
    /// in an interval. All that went together stay together, because their jitter is no more than what is soon.
    fn keep_alive_early(&mut self, now: Instant) {
        let soon: Vec<NodeId> =
            self.deadlines.iter().take_while(|(at, _)| *at <= now + KEEPALIVE_EARLY).map(|(_, id)| *id).collect();
        for id in soon {
            self.with(id, now, |peer, _| {
                if peer.keepalive_within(KEEPALIVE_EARLY, now) {
                    peer.keep_alive(now);
                }
            });
        }
    }

    fn bind_relays(&mut self, now: Instant) {
        for link in &mut self.relays {
            if let Some(bind) = link.handle_timeout(now) {
                self.shared.transmit(link.remote(), bind);
            }
        }
    }

    fn offer_candidates(&mut self) {
        let offers = self.shared.control_up && !self.shared.relay_only;
        if offers && !self.shared.own_candidates().is_empty() {
            let set = self.shared.candidates.clone();
            self.shared.event(Event::Control(ToServer::Candidates(set)));
        }
    }

    fn handle_relay_control(&mut self, relay: std::net::SocketAddr, payload: &[u8], now: Instant) {
        let keepalive = self.shared.config.keepalive;
        let Some(link) = self.relays.iter_mut().find(|link| link.addr() == relay) else {
            return self.shared.count(Discard::RelayChannel);
        };
        let message = match relay::Message::decode(payload) {
            Ok(message) => message,
            Err(reason) => return self.shared.count(reason),
        };
        let was_bound = link.is_bound();
        if let Some(answer) = link.handle(&message, keepalive, now) {
            self.shared.transmit(link.remote(), answer);
        }
        if link.is_bound() && !was_bound {
            self.for_each(now, |peer, _| peer.handle_relay_bound(relay, now));
        }
    }

    /// Runs `act` on a peer, then moves its output out and its deadline in.
    fn with(&mut self, id: NodeId, now: Instant, act: impl FnOnce(&mut Peer, &mut Shared)) {
        let Some(peer) = self.peers.get_mut(&id) else { return self.shared.count(Discard::UnknownPeer) };
        let was_reachable = peer.is_reachable(&self.shared);
        act(peer, &mut self.shared);
        peer.drain(&mut self.shared, now);
        let next = peer.poll_timeout();
        if peer.take_wish() {
            self.introductions.wish(id, now);
        }
        if peer.is_reachable(&self.shared) && !was_reachable {
            self.introductions.introducer_came(now);
        }
        self.set_deadline(id, next);
        if std::mem::take(&mut self.shared.relays_doubted) {
            self.relays.iter_mut().for_each(|link| link.ask(now));
            self.bind_relays(now);
        }
    }

    fn with_base(&mut self, base: SpiBase, now: Instant, act: impl FnOnce(&mut Peer, SpiBase, &mut Shared)) {
        self.with_base_or(Discard::UnknownSpi, base, now, act);
    }

    /// For an answer in a handshake: when both sides initiate, one of them answers what is settled already.
    fn with_handshake(&mut self, base: SpiBase, now: Instant, act: impl FnOnce(&mut Peer, SpiBase, &mut Shared)) {
        self.with_base_or(Discard::Unsolicited, base, now, act);
    }

    fn with_base_or(
        &mut self,
        missing: Discard,
        base: SpiBase,
        now: Instant,
        act: impl FnOnce(&mut Peer, SpiBase, &mut Shared),
    ) {
        match self.shared.peer_of(base) {
            Some(id) => self.with(id, now, |peer, shared| act(peer, base, shared)),
            None => self.shared.count(missing),
        }
    }

    fn for_each(&mut self, now: Instant, mut act: impl FnMut(&mut Peer, &mut Shared)) {
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.with(id, now, &mut act));
    }

    fn set_deadline(&mut self, id: NodeId, next: Option<Instant>) {
        if let Some(old) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(at) = next {
            self.deadlines.insert((at, id));
            self.deadline_of.insert(id, at);
        }
    }
}

/// The jitter of a keepalive, from the earliest to the latest: a fifth of 22 s.
const KEEPALIVE_EARLY: Duration = Duration::from_millis(4400);
/// A start further off than this is no synchronisation: both round-trip times together are far below it.
const MAX_START_DELAY: Duration = Duration::from_secs(3);
