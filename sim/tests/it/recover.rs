//! What a pair must come back from by itself: restarts, clocks that are wrong, outages of a peer or of the rendezvous.

use std::time::Duration;

use warren_proto::config::Config;
use warren_proto::handshake::{Initiator, LocalIdentity, Tai64n};
use warren_proto::keys::{CertificateId, NetworkId, SpiBase, StaticSecret, UnixTime};
use warren_sim::{Link, NatKind, World};

use crate::connect::{is_direct, pair, pair_with, stream};
use crate::packets::{numbered, numbers};

const CONE: Option<NatKind> = Some(NatKind::PORT_RESTRICTED);
const SYMMETRIC: Option<NatKind> = Some(NatKind::SYMMETRIC_RANDOM);

#[test]
fn a_stream_to_a_peer_that_restarted_goes_on_within_five_seconds() {
    for seed in 0..5 {
        let mut world = pair(seed, CONE, CONE, Link::default());
        stream(&mut world, Duration::from_secs(3));

        world.crash(1);
        world.restart(1, 0);
        stream(&mut world, Duration::from_secs(8));
        let before = world.hosts[1].received.len();
        stream(&mut world, Duration::from_secs(9));
        world.run_until(Duration::from_secs(10));

        let arrived = world.hosts[1].received.len() - before;
        assert!(arrived >= 990, "seed {seed}: {arrived} of 1,000 arrived");
    }
}

#[test]
fn a_device_whose_clock_went_back_is_let_in() {
    for back in [1, 20, 40] {
        let mut world = pair(1, SYMMETRIC, SYMMETRIC, Link::default());
        world.run_until(Duration::from_secs(5));
        let latest = world.elapsed();

        world.crash(1);
        world.restart(1, -back);
        world.run_until(latest + Duration::from_secs(1));

        assert!(has_session(&world, 0) && has_session(&world, 1), "{back} s back");
        exchange(&mut world, Duration::from_secs(1));
    }
}

#[test]
fn a_pair_half_a_world_apart_connects_and_rekeys_without_loss() {
    let link = Link { one_way: Duration::from_millis(300), jitter: Duration::from_millis(40), ..Link::default() };
    let config =
        Config { rekey_after: Duration::from_secs(10), reject_after: Duration::from_secs(30), ..Config::default() };
    let mut world = pair_with(config, 3, CONE, CONE, link);

    world.run_until(Duration::from_secs(8));
    assert!(is_direct(&world));
    let begun = world.elapsed();
    let sent = stream(&mut world, begun + Duration::from_secs(25));
    world.run_until(begun + Duration::from_secs(28));

    assert_eq!(numbers(&world.hosts[1]).len(), sent);
}

#[test]
fn with_a_fifth_of_all_datagrams_lost_a_session_stands_within_five_seconds() {
    for seed in 0..20 {
        let link = Link { loss_per_mille: 200, ..Link::default() };
        let mut world = pair(seed, SYMMETRIC, SYMMETRIC, link);

        world.run_until(Duration::from_secs(5));

        assert!(has_session(&world, 0) && has_session(&world, 1), "seed {seed}");
    }
}

#[test]
fn a_relayed_pair_is_back_a_second_after_the_rendezvous() {
    let mut world = pair(4, SYMMETRIC, SYMMETRIC, Link::default());
    world.run_until(Duration::from_secs(3));

    world.set_rendezvous(false);
    for second in 4..400 {
        let packet = numbered(&world, 0, 1, 1);
        world.send(0, &packet);
        world.run_until(Duration::from_secs(second));
    }
    world.set_rendezvous(true);
    world.run_until(Duration::from_millis(400_000));

    exchange(&mut world, Duration::from_millis(200));
}

#[test]
fn a_relayed_pair_is_asked_for_as_soon_as_the_rendezvous_is_back() {
    let config = Config { small_mesh: 0, ..Config::default() };
    let mut world = pair_with(config, 14, SYMMETRIC, SYMMETRIC, Link::default());
    world.run_until(Duration::from_secs(3));
    // it comes back for a moment: long enough to welcome, not to open a pair
    world.set_rendezvous(false);
    world.set_rendezvous(true);
    world.run_until(Duration::from_millis(3_015));
    world.set_rendezvous(false);
    for second in 4..400 {
        let packet = numbered(&world, 0, 1, 1);
        world.send(0, &packet);
        world.run_until(Duration::from_secs(second));
    }

    world.set_rendezvous(true);
    world.run_until(Duration::from_millis(399_400));

    assert!(numbers(&world.hosts[1]).contains(&1));
}

#[test]
fn a_packet_for_a_peer_that_is_away_brings_the_pair_up_as_soon_as_it_comes() {
    let config = Config { small_mesh: 0, ..Config::default() };
    let mut world = pair_with(config, 5, SYMMETRIC, SYMMETRIC, Link::default());
    world.crash(1);
    world.run_until(Duration::from_secs(1));
    let packet = numbered(&world, 0, 1, 1);

    world.send(0, &packet);
    world.run_until(Duration::from_secs(20));
    world.restart(1, 0);
    world.run_until(Duration::from_secs(21));

    assert_eq!(world.hosts[1].received, [packet]);
}

#[test]
fn a_packet_that_waited_for_minutes_is_not_delivered() {
    let mut world = pair(6, SYMMETRIC, SYMMETRIC, Link::default());
    world.crash(1);
    world.run_until(Duration::from_secs(200));
    let packet = numbered(&world, 0, 1, 1);

    world.send(0, &packet);
    world.run_until(Duration::from_secs(500));
    world.restart(1, 0);
    world.run_until(Duration::from_secs(502));

    assert!(has_session(&world, 0));
    assert!(world.hosts[1].received.is_empty());
}

#[test]
fn a_rekey_is_made_up_for_when_the_relay_was_gone_at_its_time() {
    let config =
        Config { rekey_after: Duration::from_secs(10), reject_after: Duration::from_secs(300), ..Config::default() };
    for step in 0..20 {
        let link = Link { one_way: Duration::from_millis(200), ..Link::default() };
        let mut world = pair_with(config.clone(), 7, SYMMETRIC, SYMMETRIC, link);
        world.run_until(Duration::from_secs(9));
        world.set_rendezvous(false);
        world.run_until(Duration::from_millis(11_000 + step * 150));

        world.set_rendezvous(true);
        world.run_until(Duration::from_secs(22));

        for host in &world.hosts {
            let session = host.node.peers().next().and_then(|status| status.session).expect("a session");
            assert!(session.rekeys >= 1, "step {step}");
        }
    }
}

#[test]
fn a_pair_cut_off_for_minutes_reconnects_without_being_asked() {
    let mut world = pair(8, SYMMETRIC, SYMMETRIC, Link::default());
    world.run_until(Duration::from_secs(3));

    world.hosts[1].upload_loss_per_mille = 1000;
    world.run_until(Duration::from_secs(600));
    assert!(!has_session(&world, 0));
    world.hosts[1].upload_loss_per_mille = 0;
    world.run_until(Duration::from_secs(700));

    assert!(has_session(&world, 0) && has_session(&world, 1));
}

#[test]
fn without_a_rendezvous_a_pair_whose_session_ran_out_finds_itself_where_it_was() {
    let mut world = pair(9, None, None, Link::default());
    world.run_until(Duration::from_secs(5));
    assert!(is_direct(&world));

    world.set_rendezvous(false);
    world.set_link(Link { loss_per_mille: 1000, ..Link::default() });
    world.run_until(Duration::from_secs(400));
    assert!(!has_session(&world, 0));
    world.set_link(Link::default());
    let packet = numbered(&world, 0, 1, 1);
    world.send(0, &packet);
    world.run_until(Duration::from_secs(402));

    assert!(is_direct(&world));
    exchange(&mut world, Duration::from_millis(200));
}

#[test]
fn a_responder_under_load_lets_a_rekey_in() {
    let config =
        Config { rekey_after: Duration::from_secs(10), reject_after: Duration::from_secs(300), ..Config::default() };
    let mut world = pair_with(config, 10, None, None, Link::default());
    world.run_until(Duration::from_secs(5));
    assert!(is_direct(&world));
    let floods = [init_to(&world, 0), init_to(&world, 1)];

    while world.elapsed() < Duration::from_secs(15) {
        for (host, init) in floods.iter().enumerate() {
            (0..30).for_each(|_| world.inject(host, ([198, 51, 100, 99], 9).into(), init));
        }
        let next = world.elapsed() + Duration::from_millis(10);
        world.run_until(next);
    }

    let rekeys = world.hosts[0].node.peers().next().and_then(|status| status.session).expect("a session").rekeys;
    assert!(rekeys >= 1);
}

#[test]
fn a_rename_interrupts_nothing() {
    let config =
        Config { rekey_after: Duration::from_secs(4), reject_after: Duration::from_secs(6), ..Config::default() };
    let mut world = pair_with(config, 11, CONE, CONE, Link::default());
    world.run_until(Duration::from_millis(50));

    let mut sent = 0;
    for (second, host) in [(3, 0), (5, 1), (9, 0), (13, 1)] {
        sent = stream_on(&mut world, sent, Duration::from_secs(second));
        world.rename(host, &format!("renamed-{second}"));
    }
    sent = stream_on(&mut world, sent, Duration::from_secs(20));
    world.run_until(Duration::from_secs(21));

    assert_eq!(numbers(&world.hosts[1]).len(), sent);
    assert_eq!(world.hosts[0].node.peers().next().expect("one peer").name, "renamed-13");
}

#[test]
fn a_device_revoked_while_it_shakes_hands_gets_no_session() {
    for step in 0..40 {
        let link = Link { one_way: Duration::from_millis(100), ..Link::default() };
        let mut world = pair(12, CONE, CONE, link);
        world.run_until(Duration::from_millis(step * 25));

        world.revoke(0);
        world.run_until(Duration::from_secs(5));
        let packet = numbered(&world, 0, 1, 1);
        world.send(0, &packet);
        world.run_until(Duration::from_secs(8));

        assert_eq!(world.hosts[1].node.peers().count(), 0, "step {step}");
        assert!(world.hosts[1].node.forwarding().inbound.is_empty(), "step {step}");
        assert!(world.hosts[1].received.is_empty());
    }
}

#[test]
fn a_mesh_of_forty_is_connected_within_five_seconds() {
    let config = Config { small_mesh: 64, ..Config::default() };
    let mut world = World::new(13, Link::default(), std::time::Instant::now());
    for _ in 0..40 {
        world.add_host(config.clone(), None);
    }

    world.run_until(Duration::from_secs(5));

    for host in &world.hosts {
        assert!(host.node.peers().all(|status| status.session.is_some() && status.selection.is_some()));
    }
}

/// Both ends send one packet, which arrives within `limit`.
pub(crate) fn exchange(world: &mut World, limit: Duration) {
    let packets = [numbered(world, 0, 1, 0xeeee), numbered(world, 1, 0, 0xeeee)];
    world.send(0, &packets[0]);
    world.send(1, &packets[1]);
    let end = world.elapsed() + limit;
    world.run_until(end);
    assert!(world.hosts[1].received.contains(&packets[0]), "to 1");
    assert!(world.hosts[0].received.contains(&packets[1]), "to 0");
}

fn stream_on(world: &mut World, mut sent: usize, until: Duration) -> usize {
    while world.elapsed() < until {
        let packet = numbered(world, 0, 1, u32::try_from(sent).expect("few packets"));
        world.send(0, &packet);
        sent += 1;
        let next = world.elapsed() + Duration::from_millis(1);
        world.run_until(next);
    }
    sent
}

fn has_session(world: &World, host: usize) -> bool {
    world.hosts[host].node.peers().next().is_some_and(|status| status.session.is_some())
}

/// An INIT by a stranger who knows the host's public key.
fn init_to(world: &World, host: usize) -> Vec<u8> {
    let secret = StaticSecret::new([7; 32]);
    let network = NetworkId::new([0x4e; 16]);
    let stranger = LocalIdentity::new(secret, CertificateId::new([7; 16]), network, [64, 64], Config::default().suite);
    let target = world.hosts[host].node.certificate().static_key;
    let time = Tai64n::from_unix(UnixTime::from_secs(1));
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([1; 32]);
    let started = Initiator::start(&stranger, &target, SpiBase::from_random(5), time, None, None, &mut rng);
    started.expect("a sound key").1
}
