//! Introductions among three nodes on one wire: what each part refuses, and how much anybody can make another one do.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::certificate::{Certificate, IdentitySecret, NetworkSigner, VerifiedCertificate};
use warren_proto::config::Config;
use warren_proto::control::{CandidateSet, NatReport, Network, encode_candidates};
use warren_proto::io::{Discard, Ecn, Remote};
use warren_proto::keys::{NetworkId, NodeId, StaticSecret, UnixTime};
use warren_proto::node::{Event, Forwarding, LocalDevice, Memory, Node, PeerMemory, RememberedEndpoint};
use warren_proto::session::{HEADROOM, Opened};
use warren_proto::wire::introduction::Introduction;
use warren_proto::wire::{Kind, classify};

#[test]
fn the_one_who_knows_both_is_asked_and_brings_them_together() {
    let mut wire = Wire::with_cut(Some((0, 1)));

    wire.run(Duration::from_secs(3));
    let asked = |from, to| {
        wire.said.iter().any(|said| matches!(said, (a, b, Introduction::Introduce { .. }) if (*a, *b) == (from, to)))
    };
    let told = |to| wire.said.iter().any(|said| matches!(said, (2, b, Introduction::Meet { .. }) if *b == to));

    assert!(asked(0, 2) && asked(1, 2));
    assert!(told(0) && told(1));
}

#[test]
fn a_meeting_that_was_neither_asked_for_nor_agreed_to_is_ignored() {
    let mut wire = Wire::new();
    wire.run(Duration::from_secs(3));
    let before = wire.discards(0, Discard::Unsolicited);

    wire.say(2, 0, &Introduction::Meet { peer: id(1), attempt: 1, delay_ms: 0, candidates: victim() });
    wire.run(Duration::from_secs(5));

    assert_eq!(wire.discards(0, Discard::Unsolicited), before + 1);
    assert!(wire.strays.is_empty(), "{:?}", wire.strays);
}

#[test]
fn a_device_says_where_it_is_for_no_stranger() {
    let mut wire = Wire::new();
    wire.run(Duration::from_secs(3));
    wire.said.clear();

    wire.say(2, 0, &Introduction::Wanted(id(9)));

    assert_eq!(wire.said, [(0, 2, Introduction::Decline(id(9)))]);
}

#[test]
fn nobody_is_introduced_to_a_stranger_to_himself_or_to_us() {
    let mut wire = Wire::new();
    wire.run(Duration::from_secs(3));
    wire.said.clear();

    for peer in [id(9), id(0), id(2)] {
        wire.say(0, 2, &Introduction::Introduce { peer, candidates: victim() });
    }

    assert_eq!(wire.said, [id(9), id(0), id(2)].map(|peer| (2, 0, Introduction::Decline(peer))));
}

#[test]
fn a_flood_of_requests_is_answered_no_faster_than_it_is_allowed() {
    let mut wire = Wire::new();
    wire.run(Duration::from_secs(3));
    wire.said.clear();

    (0..1000).for_each(|_| wire.say(0, 2, &Introduction::Introduce { peer: id(1), candidates: victim() }));

    assert!(wire.discards(2, Discard::RateLimited) >= 900);
    assert!(wire.said.len() < 300, "{}", wire.said.len());
}

#[test]
fn a_common_peer_that_lies_costs_a_victim_a_bounded_number_of_bytes() {
    let mut wire = Wire::with_cut(Some((0, 1)));
    wire.run(Duration::from_secs(3));

    for _ in 0..200 {
        wire.whisper(2, 0, &Introduction::Wanted(id(1)));
        wire.say(2, 0, &Introduction::Meet { peer: id(1), attempt: 7, delay_ms: 0, candidates: victim() });
        wire.run(Duration::from_secs(1));
    }

    let bytes: usize = wire.strays.iter().sum();
    assert!(bytes > 0 && bytes <= 4 * 2048, "{bytes} in 200 s");
}

/// Three nodes with addresses on one network and no rendezvous, each with the others in its memory.
struct Wire {
    nodes: Vec<(Node, Forwarding)>,
    now: Instant,
    /// Two that cannot reach each other.
    cut: Option<(usize, usize)>,
    /// Who said what to whom.
    said: Vec<(usize, usize, Introduction)>,
    /// Sizes of datagrams to addresses where nobody is.
    strays: Vec<usize>,
}

impl Wire {
    fn new() -> Self {
        Self::with_cut(None)
    }

    fn with_cut(cut: Option<(usize, usize)>) -> Self {
        let now = start();
        let nodes = (0..3).map(|number| (node(number, now), Forwarding::default())).collect();
        let mut wire = Self { nodes, now, cut, said: Vec::new(), strays: Vec::new() };
        wire.settle();
        wire
    }

    /// `from` seals a message for `to`, or somebody does who has its keys.
    fn say(&mut self, from: usize, to: usize, message: &Introduction) {
        self.whisper(from, to, message);
        self.settle();
    }

    /// The same, before anybody can answer.
    fn whisper(&mut self, from: usize, to: usize, message: &Introduction) {
        let sender = id(u8::try_from(from).expect("three nodes"));
        let spi = self.nodes[to].1.inbound.iter().find(|sa| sa.peer() == sender).map(|sa| sa.spi()).expect("a session");
        self.nodes[to].0.handle_opened(spi, Remote::Direct(address(from)), &message.encode(), self.now);
    }

    fn run(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.nodes.iter().filter_map(|(node, _)| node.poll_timeout()).min().filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            self.nodes.iter_mut().for_each(|(node, _)| node.handle_timeout(self.now));
            self.settle();
        }
        self.now = end;
    }

    /// Carries datagrams until there are none.
    fn settle(&mut self) {
        loop {
            let mut carried = Vec::new();
            for (from, (node, forwarding)) in self.nodes.iter_mut().enumerate() {
                while let Some(event) = node.poll_event() {
                    if matches!(event, Event::ForwardingChanged) {
                        *forwarding = node.forwarding();
                    }
                }
                while let Some(transmit) = node.poll_transmit() {
                    carried.push((from, transmit.to, transmit.datagram));
                }
            }
            if carried.is_empty() {
                return;
            }
            carried.into_iter().for_each(|(from, to, datagram)| self.carry(from, to, &datagram));
        }
    }

    fn carry(&mut self, from: usize, to: Remote, datagram: &[u8]) {
        let Some(host) = (0..3).find(|host| Remote::Direct(address(*host)) == to) else {
            return self.strays.push(datagram.len());
        };
        if self.cut == Some((from, host)) || self.cut == Some((host, from)) {
            return;
        }
        let (node, forwarding) = &mut self.nodes[host];
        let source = Remote::Direct(address(from));
        match classify(datagram) {
            Ok(Kind::Handshake) => node.handle_datagram(source, datagram, self.now),
            Ok(Kind::Esp(spi)) => {
                *forwarding = node.forwarding();
                let Some(sa) = forwarding.inbound.iter().find(|sa| sa.spi() == spi) else { return };
                let mut buffer = vec![0; HEADROOM];
                buffer.extend_from_slice(datagram);
                let range = HEADROOM..buffer.len();
                let Ok(Opened::Control(range)) = sa.open(&mut buffer, range, Ecn::NotEct) else { return };
                if let Ok(message) = Introduction::decode(&buffer[range.clone()]) {
                    self.said.push((from, host, message));
                }
                node.handle_opened(spi, source, &buffer[range], self.now);
            }
            _ => {}
        }
    }

    fn discards(&self, node: usize, reason: Discard) -> u64 {
        self.nodes[node].0.discards().find(|(discard, _)| *discard == reason).map_or(0, |(_, count)| count)
    }
}

#[expect(clippy::disallowed_methods, reason = "the first moment of a test")]
fn start() -> Instant {
    Instant::now()
}

fn node(number: u8, now: Instant) -> Node {
    let signer = NetworkSigner::new(&[5; 32]);
    let network = Network {
        id: NetworkId::new([0x4e; 16]),
        signing_key: signer.public(),
        v4: String::new(),
        v6: String::new(),
        name: String::new(),
    };
    let certificate = VerifiedCertificate::verify(&certificate(number), &network.id, &network.signing_key, TODAY)
        .expect("it has just been signed");
    let local = LocalDevice { static_secret: StaticSecret::new([number + 1; 32]), certificate, network };
    let mut node = Node::new(Config::default(), local, [number; 32], TODAY, now);
    let candidates = vec![Candidate { addr: address(number.into()), kind: CandidateKind::Host }];
    node.handle_candidates(CandidateSet { epoch: 1, candidates, nat: NatReport::default() }, now);
    let peer = |other: u8| PeerMemory {
        certificate: self::certificate(other),
        relay_only: false,
        endpoints: vec![RememberedEndpoint {
            candidate: Candidate { addr: address(other.into()), kind: CandidateKind::Host },
            answered_at: TODAY,
        }],
    };
    let peers = (0..3).filter(|other| *other != number).map(peer).collect();
    assert_eq!(node.restore(&Memory { relay_only: false, peers }, now), 2);
    node
}

fn certificate(number: u8) -> Vec<u8> {
    let certificate = Certificate {
        network: NetworkId::new([0x4e; 16]),
        node: id(number),
        name: format!("device-{number}"),
        v4: Ipv4Addr::new(100, 64, 0, number + 1),
        v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number) + 1),
        static_key: StaticSecret::new([number + 1; 32]).public(),
        identity_key: IdentitySecret::new(&[number + 1; 32]).public(),
        routes: Vec::new(),
        not_before: UnixTime::from_secs(TODAY.as_secs() - 60),
        not_after: UnixTime::from_secs(TODAY.as_secs() + 86_400),
        epoch: 1,
    };
    certificate.sign(&NetworkSigner::new(&[5; 32])).expect("it is well-formed")
}

/// Candidates that name an address where nobody is.
fn victim() -> Vec<u8> {
    let candidate = Candidate { addr: ([203, 0, 113, 99], 9999).into(), kind: CandidateKind::Host };
    encode_candidates(&CandidateSet { epoch: u64::MAX, candidates: vec![candidate], nat: NatReport::default() })
}

fn id(number: u8) -> NodeId {
    NodeId::new([number + 1; 16])
}

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([192, 168, 0, u8::try_from(number).expect("three nodes") + 1], 40_000))
}

const TODAY: UnixTime = UnixTime::from_secs(1_800_000_000);
