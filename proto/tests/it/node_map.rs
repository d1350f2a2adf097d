//! The peer map as a node takes it: in parts, with addresses and keys that change hands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use warren_proto::certificate::{Certificate, IdentitySecret, NetworkSigner, VerifiedCertificate};
use warren_proto::config::Config;
use warren_proto::control::{Map, Network, Peer, ToAgent};
use warren_proto::keys::{NetworkId, NodeId, StaticSecret, UnixTime};
use warren_proto::node::{LocalDevice, Node};

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

#[expect(clippy::disallowed_methods, reason = "the first moment of a test")]
fn start() -> Instant {
    Instant::now()
}

/// Device 1.
fn node(now: Instant) -> Node {
    let network = Network {
        id: network(),
        signing_key: signer().public(),
        v4: String::new(),
        v6: String::new(),
        name: String::new(),
    };
    let encoded = entry(1, 1, 1).certificate;
    let certificate = VerifiedCertificate::verify(&encoded, &network.id, &network.signing_key, TODAY)
        .expect("it has just been signed");
    let local = LocalDevice { static_secret: StaticSecret::new([1; 32]), certificate, network };
    Node::new(Config::default(), local, [9; 32], TODAY, now)
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
    Peer { certificate: certificate.sign(&signer()).expect("it is well-formed"), online: false }
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
