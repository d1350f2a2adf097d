//! Two devices find each other: through the relay at once, directly as soon as the NATs permit.

use std::time::{Duration, Instant};

use warren_proto::config::Config;
use warren_proto::io::Remote;
use warren_sim::{Link, NatKind, World};

use crate::packets::{numbered, numbers};

#[test]
fn the_first_packet_arrives_by_relay_within_two_round_trips() {
    let config = Config { small_mesh: 0, ..Config::default() };
    let mut world =
        pair_with(config, 1, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());
    world.run_until(Duration::from_secs(1));
    let packet = numbered(&world, 0, 1, 7);

    world.send(0, &packet);
    // asking for the pair 20 ms, INIT and RESP through the relay 80 ms, the packet 40 ms
    world.run_until(Duration::from_millis(1_145));

    assert_eq!(world.hosts[1].received, [packet]);
}

#[test]
fn nat_none_x_none_is_direct_within_a_second() {
    assert_direct(None, None);
}

#[test]
fn nat_port_restricted_x_port_restricted_is_direct_within_a_second() {
    assert_direct(Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED));
}

#[test]
fn nat_full_cone_x_port_restricted_is_direct_within_a_second() {
    assert_direct(Some(NatKind::FULL_CONE), Some(NatKind::PORT_RESTRICTED));
}

#[test]
fn nat_symmetric_x_full_cone_is_direct_by_a_peer_reflexive_address() {
    assert_direct(Some(NatKind::SYMMETRIC_RANDOM), Some(NatKind::FULL_CONE));
}

#[test]
fn nat_symmetric_x_address_restricted_is_direct_by_a_peer_reflexive_address() {
    assert_direct(Some(NatKind::SYMMETRIC_RANDOM), Some(NatKind::ADDRESS_RESTRICTED));
}

#[test]
fn nat_symmetric_x_symmetric_stays_on_the_relay_and_says_why() {
    let mut world = pair(2, Some(NatKind::SYMMETRIC_RANDOM), Some(NatKind::SYMMETRIC_RANDOM), Link::default());

    world.run_until(Duration::from_secs(10));

    for host in &world.hosts {
        let status = host.node.peers().next().expect("one peer");
        assert!(matches!(status.selection.map(|selection| selection.remote), Some(Remote::Relay(_))));
        assert_ne!(status.reason.code, "direct");
    }
}

#[test]
fn two_devices_behind_one_nat_meet_on_their_lan() {
    let mut world = World::new(3, Link::default(), begin());
    let nat = world.add_nat(NatKind::PORT_RESTRICTED);
    world.add_host(Config::default(), Some(nat));
    world.add_host(Config::default(), Some(nat));

    world.run_until(Duration::from_secs(2));

    let status = world.hosts[0].node.peers().next().expect("one peer");
    assert_eq!(status.selection.map(|selection| selection.via.name()), Some("lan"));
}

#[test]
fn with_a_tenth_of_all_datagrams_lost_every_pair_still_becomes_direct() {
    for seed in 0..20 {
        let link = Link { loss_per_mille: 100, ..Link::default() };
        let mut world = pair(seed, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), link);

        world.run_until(Duration::from_secs(15));

        assert!(is_direct(&world), "seed {seed}");
    }
}

#[test]
fn moving_from_relay_to_direct_loses_no_packet() {
    let mut world = pair(4, Some(NatKind::PORT_RESTRICTED), Some(NatKind::FULL_CONE), Link::default());

    world.run_until(Duration::from_millis(50));
    assert!(!is_direct(&world));
    let sent = stream(&mut world, Duration::from_secs(4));
    world.run_until(Duration::from_secs(5));

    assert!(is_direct(&world));
    assert_eq!(numbers(&world.hosts[1]).len(), sent, "every packet arrives");
    assert_eq!(world.hosts[1].received.len(), sent, "and arrives once");
}

#[test]
fn a_start_that_reaches_one_end_alone_makes_both_direct_in_a_few_seconds() {
    for starless in [0, 1] {
        let mut world = pair(6, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());
        world.lose_starts(starless);

        world.run_until(Duration::from_secs(6));

        assert!(is_direct(&world), "without host {starless}");
    }
}

#[test]
fn nothing_of_an_inner_packet_is_ever_on_the_wire() {
    let mut world = pair(5, Some(NatKind::PORT_RESTRICTED), None, Link::default());

    stream(&mut world, Duration::from_secs(2));
    world.run_until(Duration::from_secs(3));

    let marker = [0xa5; 16];
    assert!(!world.hosts[1].received.is_empty());
    for (_, _, datagram) in &world.captured {
        assert!(!datagram.windows(marker.len()).any(|window| window == marker));
    }
}

/// 1,000 packets a second from host 0 to host 1 until `until`; gives how many.
pub(crate) fn stream(world: &mut World, until: Duration) -> usize {
    let mut sent = 0;
    while world.elapsed() < until {
        let packet = numbered(world, 0, 1, sent);
        world.send(0, &packet);
        sent += 1;
        let next = world.elapsed() + Duration::from_millis(1);
        world.run_until(next);
    }
    sent as usize
}

pub(crate) fn pair(seed: u64, a: Option<NatKind>, b: Option<NatKind>, link: Link) -> World {
    pair_with(Config::default(), seed, a, b, link)
}

pub(crate) fn pair_with(config: Config, seed: u64, a: Option<NatKind>, b: Option<NatKind>, link: Link) -> World {
    let mut world = World::new(seed, link, begin());
    for kind in [a, b] {
        let nat = kind.map(|kind| world.add_nat(kind));
        world.add_host(config.clone(), nat);
    }
    world
}

pub(crate) fn is_direct(world: &World) -> bool {
    world.hosts.iter().all(|host| {
        let selection = host.node.peers().next().and_then(|status| status.selection);
        selection.is_some_and(|selection| selection.remote.straight().is_some())
    })
}

fn assert_direct(a: Option<NatKind>, b: Option<NatKind>) {
    for seed in 0..5 {
        let mut world = pair(seed, a, b, Link::default());

        world.run_until(Duration::from_secs(1));

        assert!(is_direct(&world), "seed {seed}");
    }
}

pub(crate) fn begin() -> Instant {
    Instant::now()
}

#[test]
fn a_slow_relay_on_which_inits_overlap_loses_no_packet() {
    for seed in 0..10 {
        let link = Link { one_way: Duration::from_millis(90), ..Link::default() };
        let config = Config { small_mesh: 0, ..Config::default() };
        let mut world = pair_with(config, seed, Some(NatKind::SYMMETRIC_RANDOM), Some(NatKind::SYMMETRIC_RANDOM), link);
        world.run_until(Duration::from_secs(1));
        let mut sent = 0;
        while world.elapsed() < Duration::from_secs(5) {
            let packet = numbered(&world, 0, 1, sent);
            world.send(0, &packet);
            sent += 1;
            let next = world.elapsed() + Duration::from_millis(10);
            world.run_until(next);
        }
        world.run_until(Duration::from_secs(7));

        assert_eq!(numbers(&world.hosts[1]).len(), sent as usize, "seed {seed}");
    }
}
