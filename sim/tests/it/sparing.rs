//! What must cost nothing: pairs that only listen, pairs that rest, a rendezvous that is not there.

use std::time::Duration;

use warren_proto::config::Config;
use warren_sim::{Link, NatKind, World};

use crate::connect::{begin, pair, pair_with};
use crate::packets::{numbered, numbers};

/// Devices of a small mesh, in which each keeps its path to every other.
const HOSTS: usize = 21;

const SYMMETRIC: Option<NatKind> = Some(NatKind::SYMMETRIC_RANDOM);

#[test]
fn taking_a_device_down_and_up_gives_it_no_more_to_spend() {
    // the others do not look for each other
    let [busy, idle] = [64, 0].map(|small_mesh| Config { small_mesh, ..Config::default() });
    let mut world = World::new(8, Link::default(), begin());
    let lan = world.add_nat(NatKind::SYMMETRIC_RANDOM);
    let host = world.add_host(busy, Some(lan));
    for _ in 0..50 {
        // a look at the NAT before each would only be in the way
        let nat = world.add_nat(NatKind::SYMMETRIC_SEQUENTIAL);
        world.add_host(idle.clone(), Some(nat));
    }

    // each time its NAT has forgotten the addresses tried before
    for at in [31, 58] {
        world.run_until(Duration::from_secs(at));
        world.take_down_and_up(host);
    }
    world.run_for(Duration::from_secs(5));

    // the oracle allows 300 a minute; so much was wanted that it would have been more
    assert!(world.net.nats[lan].made_in_all() > 250, "{}", world.net.nats[lan].made_in_all());
}

#[test]
fn a_peer_that_only_listens_is_not_taken_for_deaf() {
    for nat in [SYMMETRIC, None] {
        for every in [Duration::from_millis(100), Duration::from_secs(5), Duration::from_secs(10)] {
            let mut world = pair(1, nat, nat, Link::default());
            world.run_until(Duration::from_secs(2));

            drip(&mut world, every, Duration::from_secs(100));

            assert_eq!(rekeys(&world), 0, "a packet every {every:?}, {nat:?}");
        }
    }
}

#[test]
fn traffic_that_returns_after_the_rekey_was_due_is_not_interrupted() {
    let config = Config {
        small_mesh: 0,
        rekey_after: Duration::from_secs(20),
        reject_after: Duration::from_secs(30),
        idle_after: Duration::from_secs(15),
        ..Config::default()
    };
    for sender in [0, 1] {
        let mut world = pair_with(config.clone(), 2, None, None, Link::default());
        world.run_until(Duration::from_secs(1));
        let packet = numbered(&world, 0, 1, 999_999);
        world.send(0, &packet);
        // both ends have let the time of the rekey pass: 20 s, and 27.5 s for the one that answered
        world.run_until(Duration::from_millis(28_900));

        let mut sent = 0;
        while world.elapsed() < Duration::from_secs(34) {
            let packet = numbered(&world, sender, 1 - sender, sent);
            world.send(sender, &packet);
            sent += 1;
            let next = world.elapsed() + Duration::from_millis(1);
            world.run_until(next);
        }
        world.run_until(Duration::from_secs(35));

        let arrived = numbers(&world.hosts[1 - sender]).into_iter().filter(|number| *number < sent).count();
        assert_eq!(arrived, sent as usize, "from {sender}");
    }
}

#[test]
fn a_packet_at_the_end_of_a_session_is_not_lost() {
    let config = Config {
        small_mesh: 0,
        rekey_after: Duration::from_secs(20),
        reject_after: Duration::from_secs(30),
        idle_after: Duration::from_secs(15),
        ..Config::default()
    };
    for step in 0..30 {
        let mut world = pair_with(config.clone(), 5, None, None, Link::default());
        world.run_until(Duration::from_secs(1));
        let first = numbered(&world, 0, 1, 1);
        world.send(0, &first);

        world.run_until(Duration::from_millis(31_000 + step * 10));
        for (from, to) in [(0, 1), (1, 0)] {
            let packet = numbered(&world, from, to, 2);
            world.send(from, &packet);
        }
        world.run_until(Duration::from_secs(33));

        assert!(world.hosts.iter().all(|host| numbers(host).contains(&2)), "step {step}");
    }
}

#[test]
fn an_idle_pair_rests() {
    let mut world = pair(3, None, None, Link::default());
    world.run_until(Duration::from_secs(60));
    let before = world.wakeups;

    world.run_until(Duration::from_secs(660));

    // per end a BIND each 22 s, for both together a keepalive as often; five rekeys, each with its tail of looks
    let wakeups = world.wakeups - before;
    assert!(wakeups < 3 * 28 + 5 * 2 * 10, "{wakeups} wakeups in ten minutes");
}

#[test]
fn an_idle_device_wakes_seldom_however_many_peers_it_has() {
    // a rekey wakes for its own reasons
    let late = Duration::from_secs(3600);
    let config = Config { rekey_after: late, reject_after: 2 * late, ..Config::default() };
    let mut world = World::new(5, Link::default(), begin());
    for _ in 0..HOSTS {
        world.add_host(config.clone(), None);
    }
    world.run_until(Duration::from_secs(60));
    let before = world.wakeups;

    world.run_until(Duration::from_secs(660));

    // of 10 keepalives in 22 s, which is 280 in ten minutes, and a BIND as often
    let wakeups = (world.wakeups - before) as usize / HOSTS;
    println!("{wakeups} wakeups of each device in ten minutes");
    assert!(wakeups < 120, "{wakeups} wakeups of each device in ten minutes");
    assert!(world.hosts.iter().all(|host| host.node.peers().all(|peer| peer.selection.is_some())));
}

#[test]
fn a_pair_is_reported_as_often_as_it_is_worth() {
    let mut world = pair(6, None, None, Link::default());
    world.run_until(Duration::from_secs(60));
    let mut before = world.path_reports();
    let mut since = |world: &World| world.path_reports() - std::mem::replace(&mut before, world.path_reports());

    world.run_until(Duration::from_secs(60 + 1800));
    // every five minutes, with the next keepalive, by the end that sends those
    assert!((5..=7).contains(&since(&world)), "an idle pair");
    let measured = world.hosts.iter().enumerate().map(|(host, _)| world.reported(host)[0].probes).max();
    assert!(measured.is_some_and(|probes| (60..110).contains(&probes)), "{measured:?} keepalives in half an hour");

    drip(&mut world, Duration::from_secs(1), Duration::from_secs(1860 + 300));
    let moving = since(&world);
    assert!((36..=48).contains(&moving), "{moving} reports of two ends in five minutes of use");

    world.run_until(Duration::from_secs(2200));
    since(&world);
    for _ in 0..10 {
        world.watch(0, 1);
        world.run_for(Duration::from_secs(10));
    }
    let watched = since(&world);
    assert!((34..=44).contains(&watched), "{watched} reports of two ends that are watched for 100 s");
    world.run_for(Duration::from_secs(30));
    since(&world);
    world.run_for(Duration::from_secs(120));
    assert!(since(&world) <= 1, "nobody watches any more");
}

#[test]
fn what_gets_lost_is_reported() {
    let link = Link { loss_per_mille: 100, ..Link::default() };
    let mut world = pair(7, None, None, link);
    world.run_until(Duration::from_secs(60));

    for _ in 0..60 {
        world.watch(0, 1);
        world.run_for(Duration::from_secs(10));
    }

    for host in 0..2 {
        let report = &world.reported(host)[0];
        // one in ten is lost, on the way there or back, of which there are two or four
        let share = report.probes_lost * 100 / report.probes.max(1);
        assert!((12..=48).contains(&share), "{share} of 100 lost, of {}", report.probes);
    }
}

#[test]
fn a_rendezvous_that_is_gone_is_not_called_every_second() {
    let mut world = pair(4, None, None, Link::default());
    world.run_until(Duration::from_secs(5));
    world.set_rendezvous(false);
    world.run_until(Duration::from_secs(60));
    let to_relay = |world: &World| world.captured.iter().filter(|(_, to, _)| to.port() == 3480).count();
    let before = to_relay(&world);

    world.run_until(Duration::from_secs(660));

    let sent = to_relay(&world) - before;
    assert!(sent < 200, "{sent} datagrams in ten minutes");
}

fn drip(world: &mut World, every: Duration, until: Duration) {
    let mut number = 0;
    while world.elapsed() < until {
        let packet = numbered(world, 0, 1, number);
        world.send(0, &packet);
        number += 1;
        let next = world.elapsed() + every;
        world.run_until(next);
    }
}

fn rekeys(world: &World) -> u32 {
    world.hosts[0].node.peers().next().and_then(|status| status.session).expect("a session").rekeys
}
