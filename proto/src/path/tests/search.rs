//! Searches for a port: which pairs of NATs they get through, how soon, and what they cost.

use std::time::Duration;

use super::nat::Kind;
use super::world::{World, nat};
use crate::path::{AttemptResult, Technique};

const SECOND: Duration = Duration::from_secs(1);

/// Ends on either side.
fn pairs(hard: Kind) -> [[Kind; 2]; 2] {
    [[hard, Kind::PortRestricted], [Kind::PortRestricted, hard]]
}

fn world(seed: u64, kinds: [Kind; 2]) -> World {
    World::new(seed, [nat(kinds[0], 0), nat(kinds[1], 1)])
}

fn time_to_direct(world: &mut World) -> Option<Duration> {
    world.connect();
    world.run_until(30 * SECOND, World::both_direct)
}

#[test]
fn nat_counting_x_port_restricted() {
    for (seed, kinds) in (0..20).flat_map(|seed| pairs(Kind::Symmetric).map(|kinds| (seed, kinds))) {
        for foreign in [0, 30] {
            let mut world = world(seed, kinds);
            world.foreign_mappings = foreign;

            let time = time_to_direct(&mut world).expect("direct");

            assert!(time < 3 * SECOND, "seed {seed}, {kinds:?}, {foreign}: {time:?}");
        }
    }
}

#[test]
fn nat_counting_x_counting() {
    for seed in 0..20 {
        for (foreign, step) in [(0, 1), (20, 2), (3, 7)] {
            let mut world = world(seed, [Kind::Symmetric, Kind::Symmetric]);
            world.foreign_mappings = foreign;
            world.nats.iter_mut().for_each(|nat| nat.step = step);

            let time = time_to_direct(&mut world).expect("direct");

            assert!(time < 3 * SECOND, "seed {seed}, {foreign}: {time:?}");
        }
    }
}

#[test]
fn nat_random_x_port_restricted() {
    let mut late = 0;
    for (seed, kinds) in (0..15).flat_map(|seed| pairs(Kind::Random).map(|kinds| (seed, kinds))) {
        let mut world = world(seed, kinds);

        late += usize::from(time_to_direct(&mut world).is_none_or(|time| time > 15 * SECOND));
    }

    assert!(late <= 3, "{late} of 30");
}

#[test]
fn routers_that_accept_input_spoil_no_search() {
    for kinds in [[Kind::Symmetric, Kind::PortRestricted], [Kind::Symmetric, Kind::Symmetric]] {
        for seed in 0..10 {
            let mut world = world(seed, kinds);
            world.nats.iter_mut().for_each(|nat| nat.accepts_input = true);

            let time = time_to_direct(&mut world).expect("direct");

            assert!(time < 3 * SECOND, "seed {seed}, {kinds:?}: {time:?}");
        }
    }
}

#[test]
fn what_is_found_carries_data_and_all_other_sockets_are_closed() {
    let mut world = world(1, [Kind::Random, Kind::PortRestricted]);
    for host in &mut world.hosts {
        host.sends_every = Some(10);
    }
    time_to_direct(&mut world).expect("direct");
    let since = world.now;

    world.run(300 * SECOND);

    assert!(world.both_direct());
    assert!(world.longest_silence(0, since) < SECOND / 2 && world.longest_silence(1, since) < SECOND / 2);
    assert_eq!(world.hosts.each_ref().map(|host| host.sockets.len()), [1, 0]);
    assert_eq!(world.hosts.each_ref().map(|host| host.agent.kept_sockets()), [1, 0]);
    for host in &world.hosts {
        let attempt = host.agent.attempts().find(|attempt| attempt.technique == Technique::Birthday).unwrap();
        assert!(matches!(attempt.result, AttemptResult::Answered(_)), "{attempt:?}");
    }
}

#[test]
fn a_socket_whose_path_died_is_closed() {
    let mut world = world(1, [Kind::Symmetric, Kind::PortRestricted]);
    time_to_direct(&mut world).expect("direct");
    world.searches = false;
    world.exchange_candidates();

    world.link.cut = true;
    world.run(300 * SECOND);

    assert!(!world.both_direct());
    assert_eq!(world.hosts[0].sockets.len(), 0);
}

#[test]
fn another_network_leaves_no_socket_open() {
    let mut world = world(1, [Kind::Symmetric, Kind::PortRestricted]);
    time_to_direct(&mut world).expect("direct");
    assert_eq!(world.hosts[0].sockets.len(), 1);

    world.network_change(0);

    assert_eq!(world.hosts[0].sockets.len(), 0);
    assert!(!world.both_direct());
}

#[test]
fn random_x_counting_is_left_to_the_relay() {
    let mut world = world(1, [Kind::Random, Kind::Symmetric]);

    assert_eq!(time_to_direct(&mut world), None);

    assert!(world.direct_sends.len() < 60, "{}", world.direct_sends.len());
    assert_eq!(world.hosts[0].agent.explain(true).code, "both-symmetric");
}

#[test]
fn no_nat_gets_more_than_three_hundred_mappings_a_minute_nor_two_hundred_datagrams_a_second() {
    for (seed, kind) in [(1, Kind::Random), (2, Kind::Random), (3, Kind::Symmetric)] {
        let mut world = world(seed, [kind, Kind::PortRestricted]);
        world.link.cut = true;
        world.connect();

        world.run(3600 * SECOND);

        for nat in &world.nats {
            for from in &nat.made {
                let minute = nat.made.iter().filter(|at| **at >= *from && **at < *from + 60 * SECOND).count();
                assert!(minute <= 300, "{kind:?}: {minute}");
            }
        }
        for from in &world.direct_sends {
            let second = world.direct_sends.iter().filter(|at| **at >= *from && **at < *from + SECOND).count();
            // both ends, and the basic punch
            assert!(second <= 2 * 201 + 20, "{kind:?}: {second}");
        }
    }
}

#[test]
fn a_birthday_search_that_found_nothing_is_repeated_after_ten_minutes_and_then_ever_more_seldom() {
    let mut world = world(1, [Kind::Random, Kind::PortRestricted]);
    world.link.cut = true;
    world.connect();

    world.run(2 * 3600 * SECOND);

    // 1,159 and 256 datagrams each, begun at 0, 10, 30 and 70 minutes at the earliest, with rounds of 30 minutes
    let busy = world.direct_sends.len() / 1400;
    assert!((2..=4).contains(&busy), "{busy}");
    assert!(world.hosts[0].sockets.is_empty());
}

#[test]
fn ports_are_tried_only_at_the_address_that_the_rendezvous_saw() {
    let mut world = world(1, [Kind::Random, Kind::PortRestricted]);
    world.link.cut = true;
    world.connect();

    world.run(20 * SECOND);

    let elsewhere = world.strays.keys().filter(|addr| addr.ip() != world.nats[0].public);
    assert!(elsewhere.count() <= 4);
    let there = world.strays.keys().filter(|addr| addr.ip() == world.nats[0].public);
    assert!(there.count() > 1000);
}
