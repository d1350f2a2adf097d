//! What must not end a tunnel: a rekey, a NAT that reboots, a rendezvous that dies, a peer that restarts.

use std::time::Duration;

use warren_proto::config::Config;
use warren_proto::control::MAX_PEERS_PER_MAP;
use warren_sim::{Link, NatKind, World};

use crate::connect::{is_direct, pair, pair_with, stream};
use crate::packets::{numbered, numbers};

#[test]
fn three_rekeys_under_a_stream_lose_no_packet() {
    let config =
        Config { rekey_after: Duration::from_secs(4), reject_after: Duration::from_secs(6), ..Config::default() };
    let mut world =
        pair_with(config, 1, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());

    world.run_until(Duration::from_millis(50));
    let sent = stream(&mut world, Duration::from_secs(14));
    world.run_until(Duration::from_secs(15));

    let status = world.hosts[0].node.peers().next().expect("one peer");
    assert!(status.session.expect("a session").rekeys >= 3);
    assert_eq!(numbers(&world.hosts[1]).len(), sent);
    assert_eq!(world.hosts[1].received.len(), sent);
}

#[test]
fn traffic_resumes_within_five_seconds_of_a_nat_reboot() {
    let mut world = pair(2, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());
    // the rendezvous starts no pair twice in ten seconds
    stream(&mut world, Duration::from_secs(12));
    assert!(is_direct(&world));

    (0..2).for_each(|nat| world.reboot_nat(nat));
    stream(&mut world, Duration::from_secs(17));
    let before = world.hosts[1].received.len();
    stream(&mut world, Duration::from_secs(18));
    world.run_until(Duration::from_secs(19));

    let arrived = world.hosts[1].received.len() - before;
    assert!(arrived >= 990, "{arrived} of 1,000 arrived");
}

#[test]
fn another_address_of_a_nat_costs_a_stream_little_more_than_the_doubt() {
    for seed in 0..5 {
        let cone = Some(NatKind::PORT_RESTRICTED);
        let mut world = pair(seed, cone, cone, Link::default());
        stream(&mut world, Duration::from_secs(5));
        let before = world.hosts[1].received.len();

        world.renumber_nat(0);
        let sent = stream(&mut world, Duration::from_secs(20));
        world.run_for(Duration::from_secs(1));

        let lost = sent - (world.hosts[1].received.len() - before);
        assert!(lost < 1_300, "seed {seed}: {lost} ms");
    }
}

#[test]
fn a_connected_pair_does_not_notice_that_the_rendezvous_is_gone() {
    let mut world = pair(3, Some(NatKind::PORT_RESTRICTED), Some(NatKind::FULL_CONE), Link::default());
    world.run_until(Duration::from_secs(2));
    assert!(is_direct(&world));

    world.set_rendezvous(false);
    let sent = stream(&mut world, Duration::from_secs(400));
    world.run_until(Duration::from_secs(401));

    assert_eq!(numbers(&world.hosts[1]).len(), sent);
}

#[test]
fn an_idle_pair_keeps_its_path_through_the_nats() {
    let mut world = pair(4, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());
    world.run_until(Duration::from_secs(600));
    assert!(is_direct(&world));
    let packet = numbered(&world, 1, 0, 1);

    world.send(1, &packet);
    world.run_until(Duration::from_millis(600_050));

    assert_eq!(world.hosts[0].received, [packet]);
}

#[test]
fn a_revoked_peer_is_cut_off_at_once() {
    let mut world = pair(5, None, None, Link::default());
    world.run_until(Duration::from_secs(2));

    world.revoke(0);
    world.run_until(Duration::from_millis(2_100));
    let packet = numbered(&world, 0, 1, 1);
    world.send(0, &packet);
    world.run_until(Duration::from_secs(4));

    assert!(world.hosts[1].received.is_empty());
    assert_eq!(world.hosts[1].node.peers().count(), 0);
}

#[test]
fn a_peer_that_left_while_we_were_away_is_shown_offline() {
    // in a small mesh the answer is the whole map, in a large one what changed and who is online
    for absent in [0, MAX_PEERS_PER_MAP] {
        let mut world = pair(6, None, None, Link::default());
        world.add_absent(absent);
        world.run_until(Duration::from_secs(1));
        let peer = world.hosts[1].id();
        let online = |world: &World| world.hosts[0].node.peer(peer).expect("a peer").online;
        assert!(online(&world));

        world.lose_control(0);
        world.crash(1);
        world.run_until(Duration::from_secs(2));
        world.join(0);
        world.run_until(Duration::from_secs(3));

        assert!(!online(&world), "{absent} others");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let link = Link { loss_per_mille: 50, jitter: Duration::from_millis(5), ..Link::default() };
        let mut world = pair(seed, Some(NatKind::PORT_RESTRICTED), Some(NatKind::SYMMETRIC_RANDOM), link);
        world.run_until(Duration::from_secs(5));
        world.captured
    };

    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}
