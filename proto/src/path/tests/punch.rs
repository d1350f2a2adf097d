//! Which pairs of NATs become direct, and how soon.

use std::time::Duration;

use super::nat::Kind;
use super::world::{World, nat, port_restricted};
use crate::path::Via;

const SECOND: Duration = Duration::from_secs(1);

/// The time from the start to data going straight both ways.
fn time_to_direct(world: &mut World) -> Option<Duration> {
    world.connect();
    world.run_until(20 * SECOND, World::both_direct)
}

#[test]
fn data_goes_by_the_relay_before_anything_else_is_known() {
    let mut world = World::new(1, port_restricted());
    world.link.cut = true;

    world.open_relay();
    assert_eq!(world.via(0), None);
    world.begin_session();

    assert_eq!((world.via(0), world.via(1)), (Some(Via::UdpRelay), Some(Via::UdpRelay)));
}

#[test]
fn nat_port_restricted_x_port_restricted() {
    for seed in 0..100 {
        let mut world = World::new(seed, port_restricted());

        let time = time_to_direct(&mut world).expect("direct");

        // session at 40 ms, start at 30 ms, lead 40 ms, two round trips of 40 ms and their jitter
        assert!(time < Duration::from_millis(250), "seed {seed}: {time:?}");
        assert_eq!((world.via(0), world.via(1)), (Some(Via::Ipv4), Some(Via::Ipv4)));
    }
}

#[test]
fn nat_port_restricted_with_open_input_x_the_same() {
    for seed in 0..100 {
        let mut world = World::new(seed, port_restricted());
        world.nats.iter_mut().for_each(|nat| nat.accepts_input = true);

        let time = time_to_direct(&mut world).expect("direct");

        assert!(time < SECOND, "seed {seed}: {time:?}");
    }
}

#[test]
fn nat_symmetric_x_full_cone_by_the_address_the_probe_came_from() {
    for seed in 0..20 {
        let mut world = World::new(seed, [nat(Kind::Symmetric, 0), nat(Kind::FullCone, 1)]);

        let time = time_to_direct(&mut world).expect("direct");

        assert!(time < SECOND, "seed {seed}: {time:?}");
    }
}

#[test]
fn nat_symmetric_x_none() {
    let mut world = World::new(3, [nat(Kind::Symmetric, 0), None]);

    assert!(time_to_direct(&mut world).expect("direct") < SECOND);
}

#[test]
fn nat_none_x_none() {
    let mut world = World::new(3, [None, None]);

    assert!(time_to_direct(&mut world).expect("direct") < SECOND);
}

#[test]
fn nat_symmetric_x_port_restricted_without_a_search_stays_on_the_relay_and_says_why() {
    let mut world = World::new(4, [nat(Kind::Symmetric, 0), nat(Kind::PortRestricted, 1)]);
    world.searches = false;

    assert_eq!(time_to_direct(&mut world), None);

    for host in &world.hosts {
        assert_eq!(host.agent.explain(true).code, "search-disabled");
        assert!(host.agent.attempts().count() >= 2);
    }
}

#[test]
fn two_devices_on_one_lan_talk_inside_it() {
    for seed in 0..20 {
        let mut world = World::new(seed, [nat(Kind::PortRestricted, 0), None]);
        world.hosts[1].nat = Some(0);
        world.hosts[1].inside = "192.168.0.3:4000".parse().unwrap();

        let time = time_to_direct(&mut world).expect("direct");

        assert!(time < Duration::from_millis(150), "seed {seed}: {time:?}");
        assert_eq!((world.via(0), world.via(1)), (Some(Via::Lan), Some(Via::Lan)));
        assert_eq!(world.hosts[0].agent.explain(true).code, "same-lan");
    }
}

#[test]
fn a_third_of_all_packets_lost_delays_the_punch_by_less_than_three_seconds() {
    let late = (0..300).filter(|seed| {
        let mut world = World::new(*seed, port_restricted());
        world.link.loss_percent = 30;
        time_to_direct(&mut world).is_none_or(|time| time > 3 * SECOND)
    });

    assert!(late.count() <= 9, "more than 3 in 100");
}

#[test]
fn openers_go_without_a_session_and_probes_as_soon_as_there_is_one() {
    let mut world = World::new(5, port_restricted());
    world.open_relay();
    world.exchange_candidates();
    world.send_start();

    world.run(2 * SECOND);
    assert_eq!(world.direct_sends.len(), 2, "one opener each");
    world.begin_session();
    let time = world.run_until(SECOND, World::both_direct).expect("direct");

    assert!(time < Duration::from_millis(200), "{time:?}");
}

#[test]
fn candidates_that_come_after_the_start_join_the_round() {
    let mut world = World::new(6, port_restricted());
    world.open_relay();
    world.begin_session();
    world.send_start();
    world.run(Duration::from_millis(500));

    world.exchange_candidates();

    assert!(world.run_until(SECOND, World::both_direct).is_some());
    assert_eq!(world.starts, 1);
}

#[test]
fn a_round_that_failed_is_followed_by_thirty_seconds_of_silence() {
    for seed in 0..20 {
        let mut world = World::new(seed, [nat(Kind::Symmetric, 0), nat(Kind::Random, 1)]);
        world.connect();

        world.run(600 * SECOND);

        let gaps: Vec<Duration> = world.direct_sends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let rests: Vec<Duration> = gaps.into_iter().filter(|gap| *gap > 3 * SECOND).collect();
        assert!(rests.len() >= 2, "seed {seed}: it is tried again");
        assert!(rests[0] > 30 * SECOND, "seed {seed}: {rests:?}");
        assert_eq!(world.hosts[0].agent.explain(true).code, "both-symmetric");
    }
}

#[test]
fn a_repaired_network_is_found_by_the_next_round() {
    let mut world = World::new(8, port_restricted());
    world.link.cut = true;
    world.connect();
    world.run(20 * SECOND);
    assert!(!world.both_direct());

    world.link.cut = false;

    assert!(world.run_until(60 * SECOND, World::both_direct).is_some());
}

#[test]
fn who_asks_again_while_a_round_is_on_gets_another_when_it_is_over() {
    let mut world = World::new(8, port_restricted());
    world.link.cut = true;
    world.connect();
    world.run(3 * SECOND);
    assert!(world.hosts[0].agent.round_number() > 0, "the first round is on");

    world.link.cut = false;
    for index in 0..2 {
        let now = world.now;
        world.hosts[index].agent.retry_now(now);
    }

    assert!(world.run_until(15 * SECOND, World::both_direct).is_some());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut world = World::new(9, port_restricted());
        world.link.loss_percent = 20;
        world.connect();
        world.run(100 * SECOND);
        world.direct_sends.iter().map(|at| *at - world.began).collect::<Vec<_>>()
    };

    assert_eq!(run(), run());
}
