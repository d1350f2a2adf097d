//! The rendezvous and its relay as the world sees them: a map of who is there, candidate exchange, `Start` with both
//! round-trip times taken into account, and channels between bound addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use warren_proto::control::{CandidateSet, Map, Network, PairOpened, Peer, Relay, Start, ToAgent, ToServer, Welcome};
use warren_proto::keys::NodeId;

/// Everything the rendezvous knows.
pub(crate) struct Rendezvous {
    pub(crate) addr: SocketAddr,
    pub(crate) network: Network,
    members: BTreeMap<NodeId, Member>,
    pairs: BTreeMap<(NodeId, NodeId), Pair>,
    channels: BTreeMap<u32, Channel>,
    next_channel: u32,
    next_attempt: u64,
    pub(crate) up: bool,
    /// A device that no `Start` reaches.
    pub(crate) starless: Option<NodeId>,
}

struct Member {
    certificate: Vec<u8>,
    candidates: CandidateSet,
    one_way: Duration,
    online: bool,
    bound: Option<SocketAddr>,
}

#[derive(Clone, Copy)]
struct Pair {
    channels: (u32, u32),
}

struct Channel {
    owner: NodeId,
    peer: NodeId,
    peer_channel: u32,
}

/// A message for one agent.
pub(crate) type Outgoing = (NodeId, ToAgent);

impl Rendezvous {
    pub(crate) fn new(addr: SocketAddr, network: Network) -> Self {
        Self {
            addr,
            network,
            members: BTreeMap::new(),
            pairs: BTreeMap::new(),
            channels: BTreeMap::new(),
            next_channel: 1,
            next_attempt: 1,
            up: true,
            starless: None,
        }
    }

    /// A device connects: it learns the map, and the others learn of it.
    pub(crate) fn join(
        &mut self,
        node: NodeId,
        certificate: Vec<u8>,
        one_way: Duration,
        observed: SocketAddr,
    ) -> Vec<Outgoing> {
        let welcome = self.welcome(node, certificate.clone(), observed);
        let others = self.members.iter().filter(|(id, _)| **id != node);
        let peers = others.map(|(_, member)| entry(&member.certificate, member.online)).collect();
        let mut out =
            vec![(node, welcome), (node, ToAgent::Map(Map { revision: 1, full: true, peers, removed: vec![] }))];
        let member = Member { certificate, candidates: CandidateSet::default(), one_way, online: true, bound: None };
        self.members.insert(node, member);
        out.extend(self.tell_others(node));
        out
    }

    fn welcome(&self, node: NodeId, certificate: Vec<u8>, observed: SocketAddr) -> ToAgent {
        ToAgent::Welcome(Welcome {
            protocol: warren_proto::control::PROTOCOL,
            certificate,
            network: self.network.clone(),
            observed,
            relays: vec![Relay { addr: self.addr, token: *node.as_bytes() }],
            stun: Vec::new(),
            server_version: String::new(),
            dashboard: String::new(),
        })
    }

    /// A device connects again with a map of a large mesh: nothing changed since, and nobody else is online.
    pub(crate) fn rejoin_alone(&self, node: NodeId, certificate: Vec<u8>, observed: SocketAddr) -> Vec<Outgoing> {
        let map = Map { revision: 1, full: false, peers: vec![], removed: vec![] };
        vec![(node, self.welcome(node, certificate, observed)), (node, ToAgent::Map(map))]
    }

    /// A device's control connection is gone.
    pub(crate) fn leave(&mut self, node: NodeId) -> Vec<Outgoing> {
        let Some(member) = self.members.get_mut(&node) else { return Vec::new() };
        (member.online, member.bound) = (false, None);
        self.tell_others(node)
    }

    /// Everything that lived in memory is gone; members and their certificates are on disk.
    pub(crate) fn stop(&mut self) {
        self.up = false;
        self.pairs.clear();
        self.channels.clear();
        for member in self.members.values_mut() {
            (member.online, member.bound) = (false, None);
            member.candidates = CandidateSet::default();
        }
    }

    /// A device gets another certificate: it learns of it like everybody else.
    pub(crate) fn certify(&mut self, node: NodeId, certificate: Vec<u8>) -> Vec<Outgoing> {
        let Some(member) = self.members.get_mut(&node) else { return Vec::new() };
        member.certificate = certificate;
        let peers = vec![entry(&member.certificate, member.online)];
        let map = Map { revision: 2, full: false, peers, removed: vec![] };
        self.tell_others(node).into_iter().chain([(node, ToAgent::Map(map))]).collect()
    }

    fn tell_others(&self, node: NodeId) -> Vec<Outgoing> {
        let Some(member) = self.members.get(&node) else { return Vec::new() };
        let peers = vec![entry(&member.certificate, member.online)];
        let map = Map { revision: 2, full: false, peers, removed: vec![] };
        let others = self.members.iter().filter(|(id, other)| **id != node && other.online);
        others.map(|(id, _)| (*id, ToAgent::Map(map.clone()))).collect()
    }

    /// Revokes a device: everybody closes their SAs with it.
    pub(crate) fn revoke(&mut self, node: NodeId) -> Vec<Outgoing> {
        self.members.remove(&node);
        self.members
            .keys()
            .map(|id| (*id, ToAgent::Map(Map { revision: 2, full: false, peers: vec![], removed: vec![node] })))
            .collect()
    }

    pub(crate) fn handle(&mut self, from: NodeId, message: ToServer) -> Vec<Outgoing> {
        match message {
            ToServer::Connect(peer) if self.members.contains_key(&peer) => self.connect(from, peer),
            ToServer::Candidates(set) => self.share(from, set),
            ToServer::Connect(_)
            | ToServer::Enroll(_)
            | ToServer::Hello(_)
            | ToServer::PathReport(_)
            | ToServer::AttemptReport(_)
            | ToServer::Preferences(_)
            | ToServer::Logout => Vec::new(),
        }
    }

    fn share(&mut self, from: NodeId, set: CandidateSet) -> Vec<Outgoing> {
        if let Some(member) = self.members.get_mut(&from) {
            member.candidates = set.clone();
        }
        let partners = self.pairs.keys().filter_map(|(a, b)| match (*a == from, *b == from) {
            (true, _) => Some(*b),
            (_, true) => Some(*a),
            _ => None,
        });
        partners.map(|partner| (partner, ToAgent::PeerCandidates { peer: from, set: set.clone() })).collect()
    }

    fn connect(&mut self, from: NodeId, peer: NodeId) -> Vec<Outgoing> {
        let (a, b) = (from.min(peer), from.max(peer));
        if ![a, b].iter().all(|id| self.members.get(id).is_some_and(|member| member.online)) {
            return Vec::new();
        }
        let (channel_a, channel_b) = self.channels(a, b);
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        let (Some(member_a), Some(member_b)) = (self.members.get(&a), self.members.get(&b)) else { return Vec::new() };
        let slowest = member_a.one_way.max(member_b.one_way);
        let relay = self.addr;
        let side = |id: NodeId, other: NodeId, channel: u32, own: &Member, others: &Member| {
            let delay_ms = u32::try_from((slowest - own.one_way).as_millis()).unwrap_or(0);
            [
                (id, ToAgent::PairOpened(PairOpened { peer: other, relay, channel, attempt })),
                (id, ToAgent::PeerCandidates { peer: other, set: others.candidates.clone() }),
                (id, ToAgent::Start(Start { peer: other, attempt, delay_ms })),
            ]
        };
        let of_a = side(a, b, channel_a, member_a, member_b);
        let of_b = side(b, a, channel_b, member_b, member_a);
        let mut out: Vec<Outgoing> = of_a.into_iter().chain(of_b).collect();
        if let Some(starless) = self.starless {
            out.retain(|(to, message)| *to != starless || !matches!(message, ToAgent::Start(_)));
        }
        out
    }

    fn channels(&mut self, a: NodeId, b: NodeId) -> (u32, u32) {
        if let Some(pair) = self.pairs.get(&(a, b)) {
            return pair.channels;
        }
        let channels = (self.next_channel, self.next_channel + 1);
        self.next_channel += 2;
        self.channels.insert(channels.0, Channel { owner: a, peer: b, peer_channel: channels.1 });
        self.channels.insert(channels.1, Channel { owner: b, peer: a, peer_channel: channels.0 });
        self.pairs.insert((a, b), Pair { channels });
        channels
    }

    /// Binds the sender of a BIND with this token.
    pub(crate) fn bind(&mut self, token: [u8; 16], from: SocketAddr) -> bool {
        let Some(member) = self.members.get_mut(&NodeId::new(token)) else { return false };
        member.bound = Some(from);
        true
    }

    /// Where a frame goes, and under which channel number, if its sender owns the channel.
    pub(crate) fn forward(&self, from: SocketAddr, channel: u32) -> Option<(SocketAddr, u32)> {
        let channel = self.channels.get(&channel)?;
        let sender = self.members.get(&channel.owner)?;
        let receiver = self.members.get(&channel.peer)?;
        (sender.bound == Some(from)).then_some((receiver.bound?, channel.peer_channel))
    }
}

fn entry(certificate: &[u8], online: bool) -> Peer {
    Peer { certificate: certificate.to_vec(), online, relay_only: false }
}
