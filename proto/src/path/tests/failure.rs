//! Paths that die, move or narrow under data.

use std::time::Duration;

use super::world::{World, port_restricted};
use crate::path::Via;

const SECOND: Duration = Duration::from_secs(1);

/// Both sides direct and sending 20 packets a second.
fn busy(seed: u64) -> World {
    let mut world = World::new(seed, port_restricted());
    world.hosts.iter_mut().for_each(|host| host.sends_every = Some(50));
    world.connect();
    world.run(10 * SECOND);
    assert!(world.both_direct());
    world
}

#[test]
fn a_flushed_nat_costs_less_than_five_seconds_and_the_path_comes_back() {
    for seed in 0..15 {
        for (preserves_port, accepts_input) in [(true, false), (false, false), (true, true)] {
            let mut world = busy(seed);
            world.nats[0].preserves_port = preserves_port;
            world.nats[0].accepts_input = accepts_input;
            let flushed = world.now;

            world.nats[0].flush();
            world.run(90 * SECOND);

            let silence = (0..2).map(|index| world.longest_silence(index, flushed)).max().unwrap();
            assert!(silence < 4 * SECOND, "seed {seed}: {silence:?}");
            assert!(world.both_direct(), "seed {seed}, port kept {preserves_port}");
        }
    }
}

#[test]
fn a_path_that_dies_under_a_one_way_flow_is_replaced_in_time() {
    for seed in 0..20 {
        let mut world = busy(seed);
        world.hosts[1].sends_every = None;
        world.run(20 * SECOND);
        let cut = world.now;

        world.link.cut = true;
        world.run(20 * SECOND);

        let silence = world.longest_silence(1, cut);
        assert!(silence < 5 * SECOND, "seed {seed}: {silence:?}");
        assert_eq!(world.via(0), Some(Via::UdpRelay));
    }
}

#[test]
fn a_path_that_dies_under_traffic_both_ways_is_left_by_both_ends_at_once() {
    for seed in 0..20 {
        let mut world = busy(seed);
        // the two ends do not look at their counters at the same moment
        world.hosts[1].sends_every = None;
        world.run(2 * SECOND + Duration::from_millis(45 * seed));
        world.hosts[1].sends_every = Some(50);
        world.run(2 * SECOND);
        let cut = world.now;

        world.link.cut = true;
        world.run(20 * SECOND);

        for index in 0..2 {
            // whoever leaves first is heard by the other, over the relay: that must not count as good news of the path
            let silence = world.longest_silence(index, cut);
            assert!(silence < 4 * SECOND, "seed {seed}, host {index}: {silence:?}");
            assert_eq!(world.via(index), Some(Via::UdpRelay));
        }
    }
}

#[test]
fn a_one_way_flow_over_a_good_path_is_neither_moved_nor_doubled() {
    let mut world = busy(1);
    world.hosts[1].sends_every = None;
    let (switches, hedged) = (world.hosts[0].switches.len(), world.hosts[0].hedged.len());

    world.run(120 * SECOND);

    assert_eq!(world.hosts[0].switches.len(), switches);
    assert_eq!(world.hosts[0].hedged.len(), hedged);
}

#[test]
fn without_a_rendezvous_the_pair_helps_itself() {
    let mut world = busy(2);
    world.rendezvous_up = false;

    world.link.cut = true;
    world.run(6 * SECOND);
    assert_eq!((world.via(0), world.via(1)), (Some(Via::UdpRelay), Some(Via::UdpRelay)));
    world.link.cut = false;

    assert!(world.run_until(60 * SECOND, World::both_direct).is_some());
}

#[test]
fn a_device_that_moves_uses_the_relay_at_once_and_is_direct_again_soon() {
    for seed in 0..20 {
        let mut world = busy(seed);
        world.nats.iter_mut().for_each(|nat| nat.accepts_input = seed % 2 == 0);
        let moved = world.now;
        world.nats[0].flush();
        world.nats[0].public = "203.0.113.77".parse().unwrap();
        world.hosts[0].inside = "192.168.7.2:4000".parse().unwrap();

        world.network_change(0);
        assert_eq!(world.via(0), Some(Via::UdpRelay));
        let time = world.run_until(15 * SECOND, World::both_direct);

        assert!(time.is_some(), "seed {seed}");
        world.run(SECOND);
        assert!(world.longest_silence(0, moved) < 4 * SECOND, "seed {seed}");
        assert!(world.longest_silence(1, moved) < SECOND, "seed {seed}");
    }
}

#[test]
fn a_relay_that_goes_away_disturbs_nobody_who_is_direct() {
    let mut world = busy(3);
    let switches = world.hosts[0].switches.len();

    world.hosts[0].agent.set_relay(None, world.now);
    world.run(30 * SECOND);
    world.open_relay();
    world.run(30 * SECOND);

    assert_eq!(world.hosts[0].switches.len(), switches);
    assert!(world.both_direct());
}

#[test]
fn the_whole_link_is_used_and_a_narrower_one_is_noticed_under_data() {
    let mut world = busy(4);
    let size = |world: &World| world.hosts[0].agent.selection().unwrap().udp_payload;
    assert_eq!(size(&world), 1472);

    world.link.mtu = 1320;
    let noticed = world.run_until(10 * SECOND, |world| size(world) <= 1320).expect("noticed");
    world.run(20 * SECOND);

    assert!(noticed < 5 * SECOND, "{noticed:?}");
    assert_eq!(size(&world), 1320);
    assert!(world.both_direct());
}

#[test]
fn a_narrower_link_is_noticed_though_the_sender_backs_off_and_the_peer_only_answers() {
    for seed in 0..20 {
        let mut world = busy(seed);
        world.hosts[1].sends_every = None;
        // a flow that is acknowledged no more: TCP repeats ever more seldom
        world.run(30 * SECOND + Duration::from_millis(50 * seed));
        world.link.mtu = 1320;
        let narrowed = world.now;
        for pause in [200, 400, 800, 1600, 3200] {
            world.hosts[0].sends_every = Some(pause);
            world.run(Duration::from_millis(pause));
        }

        let size = |world: &World| world.hosts[0].agent.selection().unwrap().udp_payload;
        assert!(world.run_until(6 * SECOND, |world| size(world) <= 1320).is_some(), "seed {seed}");
        assert!(world.now - narrowed < 13 * SECOND, "seed {seed}");
    }
}

#[test]
fn a_narrower_link_is_noticed_though_small_packets_are_heard_all_the_time() {
    for seed in 0..20 {
        let mut world = busy(seed);
        world.hosts[1].packet = Some(100);
        world.run(30 * SECOND + Duration::from_secs(seed));

        world.link.mtu = 1320;

        let size = |world: &World| world.hosts[0].agent.selection().unwrap().udp_payload;
        let noticed = world.run_until(15 * SECOND, |world| size(world) <= 1320);
        assert!(noticed.is_some(), "seed {seed}");
    }
}

#[test]
fn a_path_that_swallows_full_size_packets_from_the_start_is_used_at_the_size_it_carries() {
    let mut world = World::new(5, port_restricted());
    world.link.mtu = 1100;
    world.connect();

    world.run_until(15 * SECOND, World::both_direct).expect("direct");
    world.run(10 * SECOND);

    let size = world.hosts[0].agent.selection().unwrap().udp_payload;
    assert!((1000..=1100).contains(&size), "{size}");
}

#[test]
fn a_lost_session_ends_the_selection_and_a_new_one_brings_it_back() {
    let mut world = busy(6);
    let now = world.now;
    for host in &mut world.hosts {
        host.agent.session_lost(now);
        assert_eq!(host.agent.selection(), None);
        assert_eq!(host.agent.poll_timeout(), None);
        assert!(!host.agent.endpoints().is_empty());
    }

    world.begin_session();
    assert_eq!(world.via(0), Some(Via::UdpRelay));

    assert!(world.run_until(SECOND, World::both_direct).is_some());
}
