//! The peer map as a node takes it: in parts, with addresses and keys that change hands, and the word on relays.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::certificate::{Certificate, IdentitySecret, NetworkSigner, VerifiedCertificate};
use warren_proto::config::Config;
use warren_proto::control::{
    CandidateSet, Map, Network, Peer, Preferences, Presence, ToAgent, ToServer, Verdict, Welcome,
};
use warren_proto::keys::{NetworkId, NodeId, StaticSecret, UnixTime};
use warren_proto::node::{Event, LocalDevice, Node};

#[test]
fn an_address_that_went_to_another_device_stays_with_it() {
    let now = start();
    let mut node = node(now);
    node.handle_control(map(1, true, &[entry(2, 7, 2)]), now);

    node.handle_control(map(2, true, &[entry(3, 7, 3)]), now);

    assert_eq!(node.peer_at(IpAddr::V4(v4(7))), Some(id(3)));
    assert!(node.peer(id(2)).is_none());
}

#[test]
fn two_devices_may_exchange_their_addresses() {
    let now = start();
    let mut node = node(now);
    node.handle_control(map(1, true, &[entry(2, 7, 2), entry(3, 8, 3)]), now);

    node.handle_control(map(2, false, &[entry(2, 8, 2), entry(3, 7, 3)]), now);

    assert_eq!(node.peer_at(IpAddr::V4(v4(8))), Some(id(2)));
    assert_eq!(node.peer_at(IpAddr::V4(v4(7))), Some(id(3)));
}

#[test]
fn peers_that_no_part_of_a_full_map_names_are_gone_with_the_last_part() {
    let now = start();
    let mut node = node(now);
    node.handle_control(map(1, true, &[entry(2, 2, 2), entry(3, 3, 3), entry(4, 4, 4)]), now);

    node.handle_control(map(0, true, &[entry(2, 2, 2)]), now);
    node.handle_timeout(now + Duration::from_secs(60));
    assert!(node.peer(id(4)).is_some());
    node.handle_control(map(2, false, &[entry(3, 3, 3)]), now);

    assert!(node.peer(id(2)).is_some() && node.peer(id(3)).is_some());
    assert!(node.peer(id(4)).is_none());
}

#[test]
fn a_full_map_that_breaks_off_removes_nobody() {
    let now = start();
    let mut node = node(now);
    node.handle_control(map(1, true, &[entry(2, 2, 2), entry(3, 3, 3)]), now);

    node.handle_control(map(0, true, &[entry(2, 2, 2)]), now);
    node.handle_control_lost();
    node.handle_timeout(now + Duration::from_secs(60));

    assert!(node.peer(id(3)).is_some());
    assert_eq!(node.revision(), 0, "the next connection asks for everything");
}

#[test]
fn a_map_with_a_certificate_that_is_not_believed_is_asked_for_again() {
    let now = start();
    let mut node = node(now);
    node.handle_wall_clock(UnixTime::from_secs(5), now);

    node.handle_control(map(9, true, &[entry(2, 2, 2)]), now);

    assert!(node.peer(id(2)).is_none());
    assert_eq!(node.revision(), 0);
}

#[test]
fn a_census_of_the_map_that_is_held_says_who_is_online_and_one_of_another_says_nothing() {
    let now = start();
    let mut node = node(now);
    node.handle_control(map(4, true, &[entry(2, 2, 2), entry(3, 3, 3)]), now);
    let census = |revision, there: &[u8]| {
        let members = [1, 2, 3].map(|number| (id(number), there.contains(&number)));
        ToAgent::Presence(Presence::new(revision, members.into_iter()))
    };
    let online = |node: &Node| [2, 3].map(|number| node.peer(id(number)).unwrap().online);

    node.handle_control(census(3, &[1, 2, 3]), now);
    assert_eq!(online(&node), [false, false]);
    node.handle_control(census(4, &[1, 3]), now);
    assert_eq!(online(&node), [false, true]);
    node.handle_control(census(4, &[1, 2]), now);

    assert_eq!(online(&node), [true, false]);
}

#[test]
fn a_device_that_is_held_to_the_relay_offers_no_address_until_it_may_again() {
    let now = start();
    let mut node = node(now);
    node.handle_control(welcome(), now);
    let own = |relay_only| Peer { relay_only, ..entry(1, 1, 1) };

    node.handle_control(map(1, true, &[own(true), entry(2, 2, 2)]), now);
    node.handle_candidates(candidates(), now);
    assert_eq!(offers(&mut node), 0);
    assert_eq!(node.peer(id(2)).map(|peer| peer.relay_only), Some(true));
    node.handle_control(map(2, false, &[own(false)]), now);

    assert_eq!(offers(&mut node), 1);
    assert_eq!(node.peer(id(2)).map(|peer| peer.relay_only), Some(false));
}

#[test]
fn a_peer_that_is_held_to_the_relay_takes_its_pair_there_and_no_other() {
    let now = start();
    let mut node = node(now);

    node.handle_control(
        map(1, true, &[Peer { relay_only: true, online: true, ..entry(2, 2, 2) }, entry(3, 3, 3)]),
        now,
    );

    assert_eq!(node.peer(id(2)).map(|peer| (peer.relay_only, peer.reason.code)), Some((true, RELAY_ONLY.to_owned())));
    assert_eq!(node.peer(id(3)).map(|peer| peer.relay_only), Some(false));
}

#[test]
fn an_owner_who_wants_the_relay_only_says_so_before_anything_else() {
    let now = start();
    let mut node = node_with(Config { relay_only: true, ..Config::default() }, now);

    node.handle_candidates(candidates(), now);
    node.handle_control(welcome(), now);
    node.handle_control(map(1, true, &[entry(1, 1, 1)]), now);

    let said: Vec<ToServer> = said(&mut node);
    assert_eq!(said, [ToServer::Preferences(Preferences { relay_only: true })]);
}

#[test]
fn the_joined_verdict_is_believed_while_the_server_that_could_correct_it_is_there() {
    let now = start();
    let mut node = node(now);
    node.handle_control(welcome(), now);
    node.handle_control(map(1, true, &[Peer { online: true, ..entry(2, 2, 2) }]), now);
    let code = |node: &Node| node.peer(id(2)).map(|peer| (peer.reason.code, peer.reason.joined));

    // this end sees for itself that it is still trying
    node.handle_control(verdict("cgn"), now);
    assert_eq!(code(&node), Some(("probing".to_owned(), false)));
    node.handle_control(map(2, false, &[Peer { online: true, relay_only: true, ..entry(2, 2, 2) }]), now);
    assert_eq!(code(&node), Some(("cgn".to_owned(), true)));
    node.handle_control(verdict("direct"), now);
    assert_eq!(code(&node), Some((RELAY_ONLY.to_owned(), false)));
    node.handle_control(verdict("cgn"), now);
    node.handle_control_lost();

    assert_eq!(code(&node), Some((RELAY_ONLY.to_owned(), false)));
}

fn verdict(code: &str) -> ToAgent {
    let (text, remedy) = ("why".to_owned(), "what to do".to_owned());
    ToAgent::Verdict(Verdict { peer: id(2), attempt: 1, code: code.to_owned(), text, remedy, attempts: Vec::new() })
}

fn welcome() -> ToAgent {
    ToAgent::Welcome(Welcome {
        protocol: 1,
        certificate: Vec::new(),
        network: network_of_all(),
        observed: "203.0.113.1:4000".parse().expect("an address"),
        relays: Vec::new(),
        stun: Vec::new(),
        server_version: String::new(),
        dashboard: String::new(),
    })
}

fn candidates() -> CandidateSet {
    let addr = "203.0.113.1:4000".parse().expect("an address");
    let candidates = vec![Candidate { addr, kind: CandidateKind::Host }];
    CandidateSet { epoch: 1, candidates, ..CandidateSet::default() }
}

fn offers(node: &mut Node) -> usize {
    said(node).iter().filter(|message| matches!(message, ToServer::Candidates(_))).count()
}

fn said(node: &mut Node) -> Vec<ToServer> {
    let events = std::iter::from_fn(|| node.poll_event());
    let message = |event| if let Event::Control(message) = event { Some(message) } else { None };
    events.filter_map(message).collect()
}

const RELAY_ONLY: &str = "relay-only-policy";

#[expect(clippy::disallowed_methods, reason = "the first moment of a test")]
fn start() -> Instant {
    Instant::now()
}

/// Device 1.
fn node(now: Instant) -> Node {
    node_with(Config::default(), now)
}

fn node_with(config: Config, now: Instant) -> Node {
    let network = network_of_all();
    let encoded = entry(1, 1, 1).certificate;
    let certificate = VerifiedCertificate::verify(&encoded, &network.id, &network.signing_key, TODAY)
        .expect("it has just been signed");
    let local = LocalDevice { static_secret: StaticSecret::new([1; 32]), certificate, network };
    Node::new(config, local, [9; 32], TODAY, now)
}

fn network_of_all() -> Network {
    Network { id: network(), signing_key: signer().public(), v4: String::new(), v6: String::new(), name: String::new() }
}

fn map(revision: u64, full: bool, peers: &[Peer]) -> ToAgent {
    ToAgent::Map(Map { revision, full, peers: peers.to_vec(), removed: Vec::new() })
}

/// An entry for device `number` with the overlay address `address` and the key `key`.
fn entry(number: u8, address: u8, key: u8) -> Peer {
    let certificate = Certificate {
        network: network(),
        node: id(number),
        name: format!("device-{number}"),
        v4: v4(address),
        v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, address.into()),
        static_key: StaticSecret::new([key; 32]).public(),
        identity_key: IdentitySecret::new(&[key; 32]).public(),
        routes: Vec::new(),
        not_before: UnixTime::from_secs(TODAY.as_secs() - 60),
        not_after: UnixTime::from_secs(TODAY.as_secs() + 86_400),
        epoch: 1,
    };
    Peer { certificate: certificate.sign(&signer()).expect("it is well-formed"), online: false, relay_only: false }
}

fn id(number: u8) -> NodeId {
    NodeId::new([number; 16])
}

fn v4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, 0, host)
}

fn network() -> NetworkId {
    NetworkId::new([0x4e; 16])
}

fn signer() -> NetworkSigner {
    NetworkSigner::new(&[5; 32])
}

const TODAY: UnixTime = UnixTime::from_secs(1_800_000_000);
