//! What the two ends say of what they tried, and that a pair held to its relay tries nothing.

use std::time::Duration;

use super::nat::Kind;
use super::world::{World, nat, port_restricted};
use crate::io::{Obstacle, Remote};
use crate::path::{Attempt, AttemptResult, Technique, Via};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_end_reports_when_data_goes_straight_and_when_the_round_is_over() {
    let mut world = World::new(1, port_restricted());

    world.connect();
    world.run_until(20 * SECOND, World::both_direct).expect("direct");
    assert_eq!(world.hosts.each_ref().map(|host| host.reports.len()), [1, 1]);
    world.run(10 * SECOND);

    assert_eq!(world.hosts.each_ref().map(|host| host.reports.len()), [2, 2]);
}

#[test]
fn a_round_that_finds_nothing_says_how_often_it_asked_and_whom_it_heard() {
    let mut world = World::new(1, [nat(Kind::Symmetric, 0), nat(Kind::Random, 1)]);

    world.connect();
    world.run(10 * SECOND);

    for host in &world.hosts {
        let direct: Vec<_> =
            host.agent.attempts().filter(|attempt| matches!(attempt.remote, Remote::Direct(_))).collect();
        assert!(!direct.is_empty() && !host.reports.is_empty());
        for attempt in direct {
            assert_eq!((attempt.attempt, attempt.result), (1, AttemptResult::NoAnswer), "{attempt:?}");
            assert!(attempt.probes >= 3 && attempt.heard == 0, "{attempt:?}");
        }
        assert_eq!(host.agent.explain(true).code, "both-symmetric");
    }
}

#[test]
fn where_a_router_says_that_probes_are_forbidden_they_stop_and_that_is_the_reason() {
    for seed in 0..20 {
        let mut world = World::new(seed, port_restricted());
        world.link.forbids = Some(0);

        world.connect();
        world.run(10 * SECOND);

        let tried: Vec<_> =
            world.hosts[0].agent.attempts().filter(|attempt| matches!(attempt.remote, Remote::Direct(_))).collect();
        assert!(!tried.is_empty());
        for attempt in tried {
            assert_eq!(attempt.result, AttemptResult::Forbidden, "seed {seed}: {attempt:?}");
            assert!((2..=5).contains(&attempt.probes), "seed {seed}: {attempt:?}");
        }
        assert_eq!(world.hosts[0].agent.explain(true).code, "udp-forbidden");
        assert_eq!(world.hosts[1].agent.explain(true).code, "no-answer");
    }
}

#[test]
fn who_is_let_through_after_all_is_direct_whatever_was_said_before() {
    for seed in 0..20 {
        let mut world = World::new(seed, [None, None]);
        world.link.forbids = Some(0);
        world.connect();
        world.run(2 * SECOND);
        assert!(!world.both_direct());

        world.link.forbids = None;

        assert!(world.run_until(SECOND + SECOND, World::both_direct).is_some(), "seed {seed}");
    }
}

#[test]
fn a_single_word_of_an_obstacle_stops_nothing() {
    let mut world = World::new(1, port_restricted());
    world.link.cut = true;
    world.connect();
    world.run(SECOND / 4);

    for remote in world.hosts[0].agent.attempts().map(|attempt| attempt.remote).collect::<Vec<_>>() {
        let now = world.now;
        world.hosts[0].agent.handle_obstacle(remote, Obstacle::Forbidden, now);
        world.hosts[0].agent.handle_obstacle(remote, Obstacle::Forbidden, now);
    }
    world.run(10 * SECOND);

    let direct = |attempt: &&Attempt| matches!(attempt.remote, Remote::Direct(_)) && attempt.attempt != 0;
    let results: Vec<_> = world.hosts[0].agent.attempts().filter(direct).map(|attempt| attempt.result).collect();
    assert!(!results.is_empty() && results.iter().all(|result| *result == AttemptResult::NoAnswer), "{results:?}");
}

#[test]
fn a_search_whose_datagrams_are_turned_away_ends_at_once() {
    let mut world = World::new(1, [nat(Kind::Random, 0), nat(Kind::PortRestricted, 1)]);
    world.link.forbids = Some(1);

    world.connect();
    world.run(15 * SECOND);

    let sprayed = world.hosts[1].agent.attempts().find(|attempt| attempt.technique == Technique::Birthday).unwrap();
    assert_eq!(sprayed.result, AttemptResult::Forbidden);
    assert!(sprayed.probes <= 16, "{sprayed:?}");
}

#[test]
fn a_pair_held_to_its_relay_sends_nothing_elsewhere_and_answers_nobody() {
    let mut world = World::new(1, [None, None]);
    let now = world.now;
    world.hosts[0].agent.set_relay_only(true, now);

    world.connect();
    world.run(30 * SECOND);

    assert_eq!([world.via(0), world.via(1)], [Some(Via::UdpRelay); 2]);
    assert_eq!(world.hosts[0].agent.explain(true).code, "relay-only-policy");
    let direct = |index: usize| {
        let attempts = world.hosts[index].agent.attempts();
        attempts.filter(|attempt| matches!(attempt.remote, Remote::Direct(_))).count()
    };
    assert_eq!(direct(0), 0);
    assert!(direct(1) > 0, "the other end was not told, and got no answer");
}

#[test]
fn a_pair_that_is_direct_goes_back_to_the_relay_when_its_policy_says_so_and_returns_when_it_may() {
    let mut world = World::new(1, port_restricted());
    world.connect();
    world.run_until(20 * SECOND, World::both_direct).expect("direct");

    for index in 0..2 {
        let now = world.now;
        world.hosts[index].agent.set_relay_only(true, now);
    }
    world.run(SECOND);
    assert_eq!([world.via(0), world.via(1)], [Some(Via::UdpRelay); 2]);
    for index in 0..2 {
        let now = world.now;
        world.hosts[index].agent.set_relay_only(false, now);
    }
    world.exchange_candidates();

    world.run_until(60 * SECOND, World::both_direct).expect("direct again");
}
