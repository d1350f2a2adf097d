//! Which of several working paths is used, and what an idle one costs.

use std::time::Duration;

use super::world::{World, port_restricted};
use crate::path::Via;

const SECOND: Duration = Duration::from_secs(1);

fn dual_stack(seed: u64) -> World {
    let mut world = World::new(seed, port_restricted());
    world.hosts[0].v6 = Some("[2001:db8:1::2]:4000".parse().unwrap());
    world.hosts[1].v6 = Some("[2001:db8:2::2]:4100".parse().unwrap());
    world
}

#[test]
fn two_paths_of_nearly_the_same_length_do_not_alternate() {
    for seed in 0..5 {
        let mut world = dual_stack(seed);
        world.link.jitter = Duration::from_millis(12);
        world.hosts.iter_mut().for_each(|host| host.sends_every = Some(100));
        world.connect();

        world.run(900 * SECOND);

        for host in &world.hosts {
            // nothing, relay, direct, and perhaps the other direct one that answered a moment later
            assert!(host.switches.len() <= 4, "seed {seed}: {:?}", host.switches);
        }
    }
}

#[test]
fn a_clearly_shorter_path_is_taken_though_it_was_found_later() {
    let mut world = dual_stack(1);
    world.link.v6_delay = Duration::from_millis(70);
    world.hosts.iter_mut().for_each(|host| host.sends_every = Some(100));
    world.connect();

    world.run(10 * SECOND);

    assert_eq!((world.via(0), world.via(1)), (Some(Via::Ipv4), Some(Via::Ipv4)));
}

#[test]
fn the_other_direct_path_takes_over_when_one_dies() {
    let mut world = dual_stack(2);
    world.link.v6_delay = Duration::from_millis(70);
    world.hosts.iter_mut().for_each(|host| host.sends_every = Some(100));
    world.connect();
    world.run(10 * SECOND);

    world.link.cut = true;
    world.run(10 * SECOND);

    assert_eq!((world.via(0), world.via(1)), (Some(Via::Ipv6), Some(Via::Ipv6)));
}

#[test]
fn an_idle_pair_wakes_for_its_keepalive_only_and_stays_direct() {
    let mut world = World::new(3, port_restricted());
    world.connect();
    world.run(30 * SECOND);
    assert!(world.both_direct());
    let (wakes, sends) = ([world.hosts[0].wakes, world.hosts[1].wakes], world.direct_sends.len());

    world.run(600 * SECOND);

    // every 20 to 24 s one side wakes; the other one only answers
    assert!((25..=31).contains(&(world.hosts[0].wakes - wakes[0])), "{}", world.hosts[0].wakes - wakes[0]);
    assert_eq!(world.hosts[1].wakes, wakes[1]);
    assert!(world.direct_sends.len() - sends <= 62);
    assert!(world.both_direct());
}

#[test]
fn an_idle_path_that_died_is_noticed_by_its_keepalive() {
    let mut world = World::new(4, port_restricted());
    world.connect();
    world.run(30 * SECOND);

    world.link.cut = true;
    world.run(60 * SECOND);

    assert_eq!((world.via(0), world.via(1)), (Some(Via::UdpRelay), Some(Via::UdpRelay)));
    assert!(world.hosts[0].agent.attempts().any(|attempt| attempt.result.name() == "lost"));
}

#[test]
fn a_pair_that_stays_on_the_relay_learns_its_round_trip_time_and_its_size() {
    let mut world = World::new(6, port_restricted());
    world.link.cut = true;
    world.connect();

    world.run(20 * SECOND);

    let selection = world.hosts[0].agent.selection().unwrap();
    assert_eq!((selection.via, selection.udp_payload), (Via::UdpRelay, 1464));
    assert_eq!(selection.rtt, Duration::from_millis(80));
}

#[test]
fn a_person_s_ping_is_answered_with_the_path_it_took() {
    let mut world = World::new(5, port_restricted());
    world.connect();
    world.run(5 * SECOND);

    assert!(world.ping(0, 7));
    world.run(40 * SECOND);

    let (token, rtt, via) = world.hosts[0].pings[0];
    assert_eq!((token, via), (7, Via::Ipv4));
    assert!((40..50).contains(&rtt.as_millis()), "{rtt:?}");
}
