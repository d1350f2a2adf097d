//! The rendezvous: the real coordinator, its database, and a relay that forwards between bound addresses.
//!
//! Stands where `rendezvous/src/control/hub.rs` stands: carries out what the coordinator decides, decides nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use warren_coordinator::{Arrival, Coordinator, Ended, Member, Output, Presence, RosterChange};
use warren_proto::certificate::Certificate;
use warren_proto::control::{Network, PathReport, Relay, ToAgent, ToServer, Welcome};
use warren_proto::keys::{NodeId, UnixTime};
use warren_proto::wire::relay;

use crate::rng::bytes;

/// Everything the rendezvous knows.
pub(crate) struct Rendezvous {
    pub(crate) network: Network,
    /// What is on disk: who is a member, and since which revision as they are.
    members: BTreeMap<NodeId, (Member, u64)>,
    revision: u64,
    /// Running, while it does.
    running: Option<Running>,
    /// A device that no `Start` reaches.
    pub(crate) starless: Option<NodeId>,
    /// Path reports that came.
    pub(crate) path_reports: u64,
}

/// What lives in memory.
struct Running {
    coordinator: Coordinator,
    relay: RelayTable,
}

/// A message for one agent, and whether its connection ends with it.
pub(crate) struct Outgoing {
    pub(crate) to: NodeId,
    pub(crate) message: ToAgent,
    pub(crate) is_last: bool,
}

/// A device that proved itself.
pub(crate) struct Visitor {
    pub(crate) node: NodeId,
    pub(crate) observed: SocketAddr,
    pub(crate) rtt: Duration,
    /// The revision of the map it holds.
    pub(crate) revision: u64,
}

impl Rendezvous {
    pub(crate) fn new(network: Network) -> Self {
        Self { network, members: BTreeMap::new(), revision: 0, running: None, starless: None, path_reports: 0 }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Comes up with what is on disk.
    pub(crate) fn start(&mut self, rng: &mut ChaCha20Rng, now: Instant) {
        let mut coordinator = Coordinator::new(bytes(rng));
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(_, (_, revision))| *revision);
        for (node, (member, revision)) in members {
            coordinator.handle_roster_change(*node, RosterChange::Active(member.clone()), *revision, now);
        }
        self.running = Some(Running { coordinator, relay: RelayTable::default() });
    }

    /// Everything that lived in memory is gone.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Commits a device, or another certificate of one.
    pub(crate) fn enrol(&mut self, certificate: &Certificate, encoded: Vec<u8>, now: Instant) -> Vec<Outgoing> {
        self.revision += 1;
        let (identity_key, not_after) = (certificate.identity_key, certificate.not_after);
        let name = certificate.name.clone();
        let member = Member { name, certificate: encoded, identity_key, not_after, relay_only: false };
        self.members.insert(certificate.node, (member.clone(), self.revision));
        self.change(certificate.node, RosterChange::Active(member), now)
    }

    /// Revokes a device: everybody closes their SAs with it.
    pub(crate) fn revoke(&mut self, node: NodeId, now: Instant) -> Vec<Outgoing> {
        self.revision += 1;
        self.members.remove(&node);
        self.change(node, RosterChange::Ended(Ended::Revoked), now)
    }

    fn change(&mut self, node: NodeId, change: RosterChange, now: Instant) -> Vec<Outgoing> {
        let revision = self.revision;
        self.decide(|running| running.coordinator.handle_roster_change(node, change, revision, now))
    }

    /// A device connects. Empty if it is no member.
    pub(crate) fn arrive(&mut self, visitor: &Visitor, rng: &mut ChaCha20Rng, now: Instant) -> Vec<Outgoing> {
        let Some((member, _)) = self.members.get(&visitor.node) else { return Vec::new() };
        let Some(running) = &mut self.running else { return Vec::new() };
        let mut token = [0; 16];
        rng.fill_bytes(&mut token);
        running.relay.admit(visitor.node, token, visitor.observed.ip());
        let welcome = ToAgent::Welcome(Welcome {
            protocol: warren_proto::control::PROTOCOL,
            certificate: member.certificate.clone(),
            network: self.network.clone(),
            observed: visitor.observed,
            relays: vec![Relay { addr: RELAY, token }],
            stun: STUN.to_vec(),
            server_version: String::new(),
            dashboard: String::new(),
        });
        let presence = Presence { since: UnixTime::from_secs(0), observed: visitor.observed, rtt: visitor.rtt };
        let (device, revision) = (visitor.node, visitor.revision);
        let arrival = Arrival { device, presence, relay: Some(RELAY), revision };
        let mut out = vec![Outgoing { to: visitor.node, message: welcome, is_last: false }];
        out.extend(self.decide(|running| running.coordinator.handle_arrival(arrival, now)));
        out
    }

    /// A device's control connection is gone.
    pub(crate) fn leave(&mut self, node: NodeId, now: Instant) -> Vec<Outgoing> {
        self.decide(|running| {
            running.coordinator.handle_departure(node, now);
            running.relay.dismiss(node);
        })
    }

    /// A device's connection comes from another address than before, or has.
    pub(crate) fn measure(&mut self, node: NodeId, observed: SocketAddr, rtt: Duration) -> Vec<Outgoing> {
        self.decide(|running| {
            running.coordinator.handle_measurement(node, observed, rtt);
            running.relay.set_validated(node, observed.ip());
        })
    }

    /// Somebody looks at a pair.
    pub(crate) fn watch(&mut self, device: NodeId, peer: NodeId, now: Instant) -> Vec<Outgoing> {
        self.decide(|running| running.coordinator.watch_pair(device, peer, now))
    }

    /// What a device last said of its paths.
    pub(crate) fn reported(&self, device: NodeId) -> Vec<PathReport> {
        let running = self.running.iter();
        running.flat_map(|running| running.coordinator.paths(device)).map(|path| path.report.clone()).collect()
    }

    /// A message of a connected device.
    pub(crate) fn handle(&mut self, from: NodeId, message: ToServer, now: Instant) -> Vec<Outgoing> {
        self.path_reports += u64::from(matches!(message, ToServer::PathReport(_)));
        self.decide(|running| match message {
            ToServer::Connect(peer) => running.coordinator.handle_connect(from, peer, now),
            ToServer::Candidates(set) => running.coordinator.handle_candidates(from, set, now),
            ToServer::PathReport(report) => {
                running.coordinator.handle_path_report(from, report, UnixTime::from_secs(0));
            }
            ToServer::AttemptReport(report) => {
                running.coordinator.handle_attempt_report(from, report, now);
            }
            ToServer::Preferences(preferences) => running.coordinator.handle_preferences(from, preferences, now),
            ToServer::Search(peer) => running.coordinator.handle_search(from, peer, now),
            // members exist from the start and go by `revoke`; nobody looks; the one server has no IPv6 address to be seen at
            ToServer::Enroll(_)
            | ToServer::Hello(_)
            | ToServer::Logout
            | ToServer::Pinged(_)
            | ToServer::Alive
            | ToServer::Vouched(_) => {}
        })
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<Outgoing> {
        self.decide(|running| running.coordinator.handle_timeout(now))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.running.as_ref()?.coordinator.poll_timeout()
    }

    /// A frame at the relay: where it goes on to, or what is answered.
    pub(crate) fn relay(&mut self, from: SocketAddr, frame: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        self.running.as_mut()?.relay.handle(from, frame)
    }

    fn decide(&mut self, act: impl FnOnce(&mut Running)) -> Vec<Outgoing> {
        let Some(running) = &mut self.running else { return Vec::new() };
        act(running);
        let mut out = Vec::new();
        while let Some(output) = running.coordinator.poll_output() {
            match output {
                Output::Broadcast(message) => {
                    let online = self.members.keys().filter(|node| running.coordinator.presence(**node).is_some());
                    out.extend(online.map(|to| Outgoing { to: *to, message: message.clone(), is_last: false }));
                }
                Output::CloseChannel(numbers) => running.relay.close(numbers),
                Output::End { device, farewell } => {
                    running.relay.dismiss(device);
                    out.push(Outgoing { to: device, message: farewell, is_last: true });
                }
                Output::OpenChannel(ends) => running.relay.open(ends),
                Output::Send { to, message } => out.push(Outgoing { to, message, is_last: false }),
            }
        }
        let starless = self.starless;
        out.retain(|out| Some(out.to) != starless || !matches!(out.message, ToAgent::Start(_)));
        out
    }
}

/// The relay: who is bound where, and which channel leads where.
#[derive(Default)]
struct RelayTable {
    /// Token and validated address of each connection.
    connections: BTreeMap<NodeId, ([u8; 16], IpAddr)>,
    bound: BTreeMap<NodeId, SocketAddr>,
    /// Number -> owner, peer, the peer's number.
    channels: BTreeMap<u32, (NodeId, NodeId, u32)>,
}

impl RelayTable {
    fn admit(&mut self, node: NodeId, token: [u8; 16], validated: IpAddr) {
        self.bound.remove(&node);
        self.connections.insert(node, (token, validated));
    }

    fn dismiss(&mut self, node: NodeId) {
        self.bound.remove(&node);
        self.connections.remove(&node);
    }

    fn set_validated(&mut self, node: NodeId, validated: IpAddr) {
        if let Some(connection) = self.connections.get_mut(&node) {
            connection.1 = validated;
        }
    }

    fn open(&mut self, ends: [(NodeId, u32); 2]) {
        let [(low, low_number), (high, high_number)] = ends;
        self.channels.insert(low_number, (low, high, high_number));
        self.channels.insert(high_number, (high, low, low_number));
    }

    fn close(&mut self, numbers: [u32; 2]) {
        numbers.iter().for_each(|number| {
            self.channels.remove(number);
        });
    }

    fn handle(&mut self, from: SocketAddr, frame: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        let (channel, inside) = relay::decode(frame).ok()?;
        if channel == relay::RELAY_ITSELF {
            return Some((from, self.bind(from, inside)?.encode()));
        }
        let (owner, peer, number) = self.channels.get(&channel)?;
        if self.bound.get(owner) != Some(&from) {
            return None;
        }
        let frame = [&relay::encode_header(*number)[..], inside].concat();
        Some((*self.bound.get(peer)?, frame))
    }

    fn bind(&mut self, from: SocketAddr, message: &[u8]) -> Option<relay::Message> {
        let (token, proof) = match relay::Message::decode(message).ok()? {
            relay::Message::Bind(token) => (token, None),
            relay::Message::BindProof(token, nonce) => (token, Some(nonce)),
            relay::Message::Bound | relay::Message::Challenge(_) => return None,
        };
        let (node, (_, validated)) = self.connections.iter().find(|(_, (held, _))| *held == token)?;
        let challenge = challenge(from);
        if *validated != from.ip() && proof != Some(challenge) && self.bound.get(node) != Some(&from) {
            return Some(relay::Message::Challenge(challenge));
        }
        self.bound.insert(*node, from);
        Some(relay::Message::Bound)
    }
}

/// What only somebody at `from` can repeat. Nobody in these worlds forges one, so it need not be secret.
fn challenge(from: SocketAddr) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..2].copy_from_slice(&from.port().to_be_bytes());
    if let IpAddr::V4(ip) = from.ip() {
        nonce[2..6].copy_from_slice(&ip.octets());
    }
    nonce
}

/// The server's only address.
pub(crate) const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// Control plane.
pub(crate) const CONTROL: SocketAddr = SocketAddr::new(SERVER, 443);
/// Relay.
pub(crate) const RELAY: SocketAddr = SocketAddr::new(SERVER, 3480);
/// Vantage points.
pub(crate) const STUN: [SocketAddr; 2] = [SocketAddr::new(SERVER, 3478), SocketAddr::new(SERVER, 3479)];
