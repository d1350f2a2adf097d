//! The hub as one of several: what it tells other replicas of the devices attached here, what it takes from them, and to
//! whom it hands what is not its business. Where a device is and whose a pair is, `cluster::Places` says.

use std::net::SocketAddr;
use std::sync::MutexGuard;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use warren_coordinator::{Arrival, Presence};
use warren_proto::control::{Preferences, Relay, Servers, ToAgent, ToServer};
use warren_proto::keys::{NodeId, UnixTime};

use super::hub::{Hub, LiveEvent, State};
use super::queue::Outgoing;
use crate::cluster::{Arrived, Body, Greeting, Left, Measured, Place, ReplicaId, Said, Tell, micros};

/// A replica that speaks to us.
#[derive(Debug)]
pub(super) struct Other {
    session: u64,
    greeting: Greeting,
}

/// Our end of a link to a replica, which we speak on.
#[derive(Debug)]
pub(super) struct Link {
    number: u64,
    queue: mpsc::Sender<Bytes>,
}

/// Keeps a link in use; until it is dropped, or the other side is too slow.
#[derive(Debug)]
pub(crate) struct OpenLink<'a> {
    hub: &'a Hub,
    other: ReplicaId,
    number: u64,
}

impl Drop for OpenLink<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if state.links.get(&self.other).is_some_and(|link| link.number == self.number) {
            state.links.remove(&self.other);
        }
    }
}

impl Hub {
    /// This run of this server.
    pub fn replica(&self) -> ReplicaId {
        self.lock().places.own()
    }

    /// Where agents find this server, for them to hear of it from others.
    pub fn introduce(&self, control: String, relays: Vec<SocketAddr>) {
        let mut state = self.lock();
        state.greeting = Greeting {
            replica: state.places.own().as_bytes().to_vec(),
            control,
            relays: relays.iter().map(SocketAddr::to_string).collect(),
            stopping: false,
        };
    }

    /// Asks every device to go to another replica; false if there is none.
    pub fn drain(&self) -> bool {
        let mut state = self.lock();
        state.greeting.stopping = true;
        let greeting = Body::Greeting(state.greeting.clone()).into_bytes();
        state.tell_replicas(&greeting);
        let elsewhere = state.others.values().any(|other| !other.greeting.stopping);
        if elsewhere {
            state.tell_servers();
        }
        elsewhere
    }

    /// How many devices are attached here.
    pub fn attached(&self) -> usize {
        self.lock().connections.len()
    }

    /// Begins to speak to a replica: first of all that there is, and from then on of all that happens.
    pub(crate) fn open_link(&self, other: ReplicaId) -> (OpenLink<'_>, mpsc::Receiver<Bytes>) {
        let (queue, receiver) = mpsc::channel(LONGEST);
        let mut state = self.lock();
        state.last_link += 1;
        let number = state.last_link;
        for message in state.all_there_is() {
            // what does not fit breaks the link, which begins again
            let _ = queue.try_send(message);
        }
        state.links.insert(other, Link { number, queue });
        (OpenLink { hub: self, other, number }, receiver)
    }

    /// A replica begins to speak; what it said before is void. Gives the number of what it says from now on.
    pub(crate) fn greet(&self, replica: ReplicaId, greeting: Greeting) -> u64 {
        let mut state = self.lock();
        state.last_session += 1;
        let session = state.last_session;
        self.forget_attached(&mut state, replica);
        state.others.insert(replica, Other { session, greeting });
        state.tell_servers();
        self.carry_out(state);
        session
    }

    /// A replica's link ended. False if it has begun another since.
    pub(crate) fn part(&self, replica: ReplicaId, session: u64) -> bool {
        let mut state = self.lock();
        if !state.is_current(replica, session) {
            return false;
        }
        self.forget_attached(&mut state, replica);
        state.others.remove(&replica);
        state.tell_servers();
        self.carry_out(state);
        true
    }

    /// Whether a message is about a device that is not known here.
    pub(crate) fn names_stranger(&self, body: &Body) -> bool {
        let named = match body {
            Body::Arrived(arrived) => NodeId::from_slice(&arrived.device),
            Body::Said(said) => match ToServer::decode(&said.message) {
                Ok(ToServer::Connect(peer)) => Some(peer),
                Ok(_) | Err(_) => None,
            },
            Body::Greeting(_) | Body::Left(_) | Body::Measured(_) | Body::Tell(_) => None,
        };
        named.is_some_and(|device| self.member(device).is_none())
    }

    /// A replica said something.
    pub(crate) fn handle_replica(&self, replica: ReplicaId, session: u64, body: Body, at: UnixTime) {
        let mut state = self.lock();
        if !state.is_current(replica, session) {
            return;
        }
        let now = Instant::now();
        match body {
            Body::Greeting(greeting) => {
                state.others.insert(replica, Other { session, greeting });
                state.tell_servers();
            }
            Body::Arrived(arrived) => self.handle_arrived(&mut state, replica, &arrived, now),
            Body::Left(Left { device, stamp }) => {
                if let Some(device) = NodeId::from_slice(&device) {
                    self.handle_left(&mut state, replica, device, stamp);
                }
            }
            Body::Measured(measured) => self.handle_measured(&mut state, replica, &measured),
            Body::Said(said) => self.handle_said(&mut state, replica, &said, at),
            Body::Tell(tell) => state.pass_on(&tell),
        }
        self.carry_out(state);
    }

    fn handle_arrived(&self, state: &mut State, replica: ReplicaId, arrived: &Arrived, now: Instant) {
        let (Some(device), Ok(observed), Ok(token)) = (
            NodeId::from_slice(&arrived.device),
            arrived.observed.parse::<SocketAddr>(),
            <[u8; 16]>::try_from(&arrived.token[..]),
        ) else {
            return;
        };
        if !state.places.arrive(device, Place { replica, stamp: arrived.stamp, tunnelled: arrived.tunnelled }) {
            return;
        }
        // its older connection, which is ended by the loss of its queue
        state.connections.remove(&device);
        self.lock_relay().admit(device, token, observed.ip());
        let relay = relay_for(&state.greeting, observed);
        let presence = Presence { since: arrived.since(), observed, rtt: arrived.rtt() };
        state.release_pairs(device);
        state.coordinator.handle_arrival_elsewhere(Arrival { device, presence, relay, revision: 0 }, now);
        state.hand_on_wishes(device);
        self.tell(LiveEvent::Presence { device });
    }

    fn handle_left(&self, state: &mut State, replica: ReplicaId, device: NodeId, stamp: u64) {
        if state.places.leave(device, replica, stamp) {
            state.coordinator.handle_departure(device, Instant::now());
            self.lock_relay().dismiss(device);
            state.release_pairs(device);
            state.hand_on_wishes(device);
            self.tell(LiveEvent::Presence { device });
        }
    }

    fn handle_measured(&self, state: &mut State, replica: ReplicaId, measured: &Measured) {
        let device = NodeId::from_slice(&measured.device).filter(|device| state.is_at(*device, replica));
        if let (Some(device), Ok(observed)) = (device, measured.observed.parse::<SocketAddr>()) {
            let rtt = std::time::Duration::from_micros(measured.rtt_us);
            state.coordinator.handle_measurement(device, observed, rtt);
            self.lock_relay().set_validated(device, observed.ip());
        }
    }

    fn handle_said(&self, state: &mut State, replica: ReplicaId, said: &Said, at: UnixTime) {
        let Some(device) = NodeId::from_slice(&said.device).filter(|device| state.is_at(*device, replica)) else {
            return;
        };
        let Ok(message) = ToServer::decode(&said.message) else { return };
        let now = Instant::now();
        match message {
            ToServer::AttemptReport(report) => {
                let to = report.peer;
                if state.coordinator.handle_attempt_report(device, report, now) {
                    self.tell(LiveEvent::Path { from: device, to });
                }
            }
            ToServer::Candidates(set) => state.coordinator.handle_candidates(device, set, now),
            ToServer::Connect(peer) => state.coordinator.handle_connect(device, peer, now),
            ToServer::PathReport(report) => {
                let to = report.peer;
                if state.coordinator.handle_path_report(device, report, at) {
                    self.tell(LiveEvent::Path { from: device, to });
                }
            }
            ToServer::Pinged(pinged) => {
                let to = pinged.peer;
                if state.coordinator.handle_pinged(device, pinged) {
                    self.tell(LiveEvent::Path { from: device, to });
                }
            }
            ToServer::Preferences(preferences) => state.coordinator.handle_preferences(device, preferences, now),
            ToServer::Search(peer) => state.coordinator.handle_search(device, peer, now),
            // its own replica has checked the voucher
            ToServer::Vouched(vouched) => state.coordinator.handle_vouched(device, vouched.addr),
            ToServer::Alive | ToServer::Enroll(_) | ToServer::Hello(_) | ToServer::Logout => {}
        }
    }

    fn forget_attached(&self, state: &mut MutexGuard<'_, State>, replica: ReplicaId) {
        for (device, stamp) in state.places.attached_to(replica) {
            self.handle_left(state, replica, device, stamp);
        }
    }
}

impl State {
    /// A device attached here wants a peer, now or later.
    pub(super) fn wish(&mut self, device: NodeId, peer: NodeId) {
        if self.coordinator.member(peer).is_some() && self.places.wish(device, peer) {
            self.hand_on(device, &ToServer::Connect(peer), peer);
        }
    }

    /// Has whoever owns the pair do what a device attached here asked for.
    pub(super) fn hand_on(&mut self, device: NodeId, message: &ToServer, peer: NodeId) {
        let owner = self.places.owner(device, peer);
        if owner != self.places.own() {
            return self.tell_replica(owner, Body::said(device, message.encode()));
        }
        let now = Instant::now();
        if let ToServer::Search(_) = message {
            self.coordinator.handle_search(device, peer, now);
        } else {
            self.coordinator.handle_connect(device, peer, now);
        }
    }

    /// After a device has come or gone, wishes about it may be another replica's to fulfil.
    pub(super) fn hand_on_wishes(&mut self, device: NodeId) {
        for (who, whom) in self.places.wishes_about(device) {
            self.hand_on(who, &ToServer::Connect(whom), whom);
        }
    }

    /// After a device has come or gone, pairs of it may be another replica's.
    pub(super) fn release_pairs(&mut self, device: NodeId) {
        for peer in self.coordinator.peers(device) {
            if self.places.owner(device, peer) != self.places.own() {
                self.coordinator.release(device, peer);
            }
        }
    }

    /// Tells every replica what a device attached here said.
    pub(super) fn repeat(&mut self, device: NodeId, message: impl FnOnce() -> ToServer) {
        if !self.links.is_empty() {
            let message = Body::said(device, message().encode());
            self.tell_replicas(&message);
        }
    }

    pub(super) fn tell_replicas(&mut self, message: &Bytes) {
        // one that does not take it hears everything anew when it is dialled again
        self.links.retain(|_, link| link.queue.try_send(message.clone()).is_ok());
    }

    pub(super) fn tell_replica(&mut self, replica: ReplicaId, message: Bytes) {
        if self.links.get(&replica).is_some_and(|link| link.queue.try_send(message).is_err()) {
            self.links.remove(&replica);
        }
    }

    /// What replicas hear of a device attached here.
    pub(super) fn arrived(&self, device: NodeId) -> Option<Bytes> {
        let (connection, presence) = (self.connections.get(&device)?, self.coordinator.presence(device)?);
        let since = u64::try_from(presence.since.since_epoch().as_millis()).unwrap_or(u64::MAX);
        let arrived = Arrived {
            device: device.as_bytes().to_vec(),
            stamp: connection.stamp,
            since_unix_ms: since,
            observed: presence.observed.to_string(),
            rtt_us: micros(presence.rtt),
            token: connection.token.to_vec(),
            tunnelled: is_tunnelled(presence.observed),
        };
        Some(Body::Arrived(arrived).into_bytes())
    }

    fn all_there_is(&self) -> Vec<Bytes> {
        let mut all = vec![Body::Greeting(self.greeting.clone()).into_bytes()];
        for device in self.connections.keys().copied() {
            all.extend(self.arrived(device));
            let Some((candidates, relay_only)) = self.coordinator.said(device) else { continue };
            let candidates = candidates.cloned().map(ToServer::Candidates);
            let preferences = relay_only.then_some(ToServer::Preferences(Preferences { relay_only }));
            all.extend(preferences.into_iter().chain(candidates).map(|message| Body::said(device, message.encode())));
        }
        // last, for whoever hears the candidates can do something with them
        for device in self.connections.keys().copied() {
            for (who, whom) in self.places.wishes_about(device) {
                if who == device && self.places.owner(who, whom) != self.places.own() {
                    all.push(Body::said(who, ToServer::Connect(whom).encode()));
                }
            }
        }
        all
    }

    /// A replica has something to say to a device attached here.
    fn pass_on(&mut self, tell: &Tell) {
        let Some(device) = NodeId::from_slice(&tell.device) else { return };
        let Ok(mut message) = ToAgent::decode(&tell.message) else { return };
        if let ToAgent::Map(map) = &mut message {
            // of what changed it has been told by us alone
            map.revision = self.coordinator.told();
        }
        self.post(device, Outgoing::Message(message.encode().into()));
    }

    /// Tells every device attached here which servers there are.
    fn tell_servers(&mut self) {
        let devices: Vec<NodeId> = self.connections.keys().copied().collect();
        for device in devices {
            if let Some(servers) = self.servers_for(device) {
                self.post(device, Outgoing::Message(ToAgent::Servers(servers).encode().into()));
            }
        }
    }

    /// The servers, as a device attached here is told of them.
    pub(super) fn servers_for(&self, device: NodeId) -> Option<Servers> {
        let (connection, presence) = (self.connections.get(&device)?, self.coordinator.presence(device)?);
        let own = Some(&self.greeting).filter(|greeting| !greeting.stopping);
        let others = self.others.values().map(|other| &other.greeting).filter(|greeting| !greeting.stopping);
        let servers: Vec<String> = own.into_iter().chain(others).map(|greeting| greeting.control.clone()).collect();
        let relays = self.others.values().filter_map(|other| relay_for(&other.greeting, presence.observed));
        let relays = relays.map(|addr| Relay { addr, token: connection.token }).collect();
        let leave = self.greeting.stopping && !servers.is_empty();
        Some(Servers { servers, relays, leave })
    }

    pub(super) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    fn is_current(&self, replica: ReplicaId, session: u64) -> bool {
        self.others.get(&replica).is_some_and(|other| other.session == session)
    }

    fn is_at(&self, device: NodeId, replica: ReplicaId) -> bool {
        self.places.of(device).is_some_and(|place| place.replica == replica)
    }
}

/// Whether the connection from this address is inside a WebSocket: TCP's port is nobody's UDP port, and is left out.
pub(super) fn is_tunnelled(observed: SocketAddr) -> bool {
    observed.port() == 0
}

/// The relay of a replica for a device seen at an address: of its own family, if there is one.
fn relay_for(greeting: &Greeting, observed: SocketAddr) -> Option<SocketAddr> {
    let relays = || greeting.relays.iter().filter_map(|relay| relay.parse::<SocketAddr>().ok());
    relays().find(|relay| relay.is_ipv4() == observed.is_ipv4()).or_else(|| relays().next())
}

/// Everything about 20,000 devices, and minutes of news beside.
const LONGEST: usize = 1 << 17;
