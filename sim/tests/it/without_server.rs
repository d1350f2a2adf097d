//! The rendezvous is down: devices that restart find those they knew, from memory and with the help of a common peer.

use std::time::Duration;

use warren_proto::config::Config;
use warren_proto::io::Remote;
use warren_proto::node::PeerStatus;
use warren_sim::{HostId, Link, NatKind, World};

use crate::connect::{begin, is_direct, pair, pair_with};
use crate::recover::exchange;

const CONE: Option<NatKind> = Some(NatKind::PORT_RESTRICTED);

#[test]
fn two_that_restart_behind_home_routers_find_each_other_where_they_were() {
    for seed in 0..10 {
        let mut world = pair(seed, CONE, CONE, Link::default());
        world.run_until(Duration::from_secs(5));

        world.set_rendezvous(false);
        (0..2).for_each(|nat| world.reboot_nat(nat));
        world.restart_from_memory(0, None);
        later(&mut world, Duration::from_millis(700));
        world.restart_from_memory(1, None);
        later(&mut world, Duration::from_secs(3));

        assert!(is_direct(&world), "seed {seed}");
        exchange(&mut world, Duration::from_secs(1));
    }
}

#[test]
fn in_a_large_mesh_those_in_use_are_gone_to_without_a_packet() {
    let config = Config { small_mesh: 0, ..Config::default() };
    let mut world = pair_with(config, 7, CONE, CONE, Link::default());
    world.run_until(Duration::from_secs(1));
    exchange(&mut world, Duration::from_secs(3));

    world.set_rendezvous(false);
    world.restart_from_memory(0, None);
    world.restart_from_memory(1, None);
    later(&mut world, Duration::from_secs(3));

    assert!(is_direct(&world));
}

#[test]
fn who_comes_back_after_half_an_hour_is_met_within_two_minutes() {
    let mut world = pair(1, CONE, CONE, Link::default());
    world.run_until(Duration::from_secs(5));
    world.set_rendezvous(false);
    world.crash(1);
    world.restart_from_memory(0, None);
    later(&mut world, Duration::from_secs(1800));

    world.restart_from_memory(1, None);
    later(&mut world, Duration::from_secs(120));

    assert!(is_direct(&world));
}

#[test]
fn an_absent_peer_costs_one_init_a_minute() {
    let mut world = pair(2, CONE, CONE, Link::default());
    world.run_until(Duration::from_secs(5));
    world.set_rendezvous(false);
    world.crash(1);
    world.restart_from_memory(0, None);
    world.captured.clear();

    later(&mut world, Duration::from_secs(3600));

    let bytes: usize = world.captured.iter().map(|(_, _, datagram)| datagram.len()).sum();
    assert!(bytes > 0 && bytes <= 70 * 168, "{bytes} bytes");
}

#[test]
fn what_an_earlier_run_knew_is_replaced_by_what_the_rendezvous_says() {
    let mut world = pair(3, CONE, CONE, Link::default());
    world.run_until(Duration::from_secs(5));
    world.set_rendezvous(false);
    world.restart_from_memory(0, None);
    later(&mut world, Duration::from_secs(2));
    assert!(peer(&world, 0).from_memory);

    world.set_rendezvous(true);
    later(&mut world, Duration::from_secs(2));

    assert!(!peer(&world, 0).from_memory && peer(&world, 0).online);
    assert!(is_direct(&world));
    world.revoke(1);
    later(&mut world, Duration::from_secs(1));
    assert!(world.hosts[0].node.memory(begin()).peers.is_empty(), "who was revoked is not remembered");
}

#[test]
fn a_common_peer_brings_two_together_whose_nats_changed_their_ports() {
    for (seed, common) in [(0, None), (1, Some(NatKind::FULL_CONE)), (2, None), (3, Some(NatKind::FULL_CONE))] {
        let mut world = trio(seed, common);
        (0..2).for_each(|nat| world.reboot_nat(nat));

        world.restart_from_memory(0, Some(61_000));
        later(&mut world, Duration::from_millis(300));
        world.restart_from_memory(1, Some(62_000));
        later(&mut world, Duration::from_secs(8));

        assert!(are_direct(&world, 0, 1), "seed {seed}");
        exchange(&mut world, Duration::from_secs(1));
    }
}

#[test]
fn a_common_peer_answers_where_it_hears_them_before_it_has_given_up_their_old_paths() {
    for one_way in [25, 50, 100] {
        let mut world = trio_with(1, None, Link { one_way: Duration::from_millis(one_way), ..Link::default() });
        (0..2).for_each(|nat| world.reboot_nat(nat));

        world.restart_from_memory(0, Some(61_000));
        world.restart_from_memory(1, Some(62_000));
        let took = (1..=100_u64).find(|_| {
            later(&mut world, Duration::from_millis(100));
            are_direct(&world, 0, 1)
        });
        assert!(took.is_some_and(|took| took <= one_way / 2), "{one_way} ms: {took:?}");
    }
}

#[test]
fn one_that_lost_its_rendezvous_and_its_port_is_brought_to_a_peer_that_stayed() {
    let mut world = trio(4, None);
    world.reboot_nat(0);

    world.restart_from_memory(0, Some(61_000));
    later(&mut world, Duration::from_secs(15));

    assert!(are_direct(&world, 0, 1));
    exchange(&mut world, Duration::from_secs(1));
}

/// Two behind home routers and a third, common to both; then the rendezvous goes.
fn trio(seed: u64, common: Option<NatKind>) -> World {
    trio_with(seed, common, Link::default())
}

fn trio_with(seed: u64, common: Option<NatKind>, link: Link) -> World {
    let mut world = World::new(seed, link, begin());
    for kind in [CONE, CONE, common] {
        let nat = kind.map(|kind| world.add_nat(kind));
        world.add_host(Config::default(), nat);
    }
    world.run_until(Duration::from_secs(10));
    assert!(are_direct(&world, 0, 1) && are_direct(&world, 0, 2) && are_direct(&world, 1, 2), "seed {seed}");
    world.set_rendezvous(false);
    world
}

fn are_direct(world: &World, one: HostId, other: HostId) -> bool {
    [(one, other), (other, one)].into_iter().all(|(from, to)| {
        let status = world.hosts[from].node.peer(world.hosts[to].node.certificate().node);
        let selection = status.and_then(|status| status.selection);
        matches!(selection.map(|selection| selection.remote), Some(Remote::Direct(_)))
    })
}

fn peer(world: &World, host: HostId) -> PeerStatus {
    world.hosts[host].node.peers().next().expect("one peer")
}

fn later(world: &mut World, by: Duration) {
    let until = world.elapsed() + by;
    world.run_until(until);
}
