//! Which suite two devices come to that wish for different ones, and that it serves them.

use std::time::{Duration, Instant};

use warren_proto::config::Config;
use warren_proto::crypto::{Preference, Suite};
use warren_sim::{Link, NatKind, World};

use crate::connect::{is_direct, stream};
use crate::packets::numbers;

#[test]
fn a_device_without_aes_and_one_with_it_speak_chacha20_and_lose_nothing_by_a_rekey() {
    for preferences in [[true, false], [false, true], [false, false]].map(|pair| pair.map(Preference::of_processor)) {
        let mut world = pair(preferences);
        world.run_until(Duration::from_secs(1));

        let sent = stream(&mut world, Duration::from_secs(12));
        world.run_until(Duration::from_secs(13));

        assert_eq!(suites(&world), [Suite::ChaCha20Poly1305Iiv; 2], "{preferences:?}");
        assert_eq!(numbers(&world.hosts[1]).len(), sent, "{preferences:?}");
        assert!(world.hosts.iter().all(|host| rekeys(host) > 0), "{preferences:?}");
    }
}

#[test]
fn two_devices_with_aes_speak_aes() {
    let mut world = pair([Preference::of_processor(true); 2]);

    world.run_until(Duration::from_secs(3));

    assert_eq!(suites(&world), [Suite::Aes256GcmIiv; 2]);
}

#[test]
fn what_a_person_asked_for_at_one_end_is_used_by_both_with_or_without_aes() {
    for has_aes in [false, true] {
        let (asked, fastest) = (Preference::Asked(Suite::Aes256Gcm), Preference::of_processor(has_aes));
        for preferences in [[asked, fastest], [fastest, asked]] {
            let mut world = pair(preferences);

            world.run_until(Duration::from_secs(12));

            assert_eq!(suites(&world), [Suite::Aes256Gcm; 2], "{preferences:?}");
        }
    }
}

#[test]
fn a_path_is_measured_with_the_iv_that_the_session_sends_whoever_asked_for_it() {
    let (asked, fastest) = (Preference::Asked(Suite::Aes256Gcm), Preference::default());
    for preferences in [[asked, fastest], [fastest, asked]] {
        let mut world = pair(preferences);

        world.run_until(Duration::from_secs(30));

        assert!(is_direct(&world));
        let longest = world.captured.iter().map(|(_, _, datagram)| datagram.len()).max();
        for host in &world.hosts {
            let selection = host.node.peers().next().and_then(|status| status.selection);
            assert_eq!(selection.map(|selection| selection.udp_payload), longest, "{preferences:?}");
        }
    }
}

/// Two devices that wish for these, and change keys every five seconds.
fn pair(preferences: [Preference; 2]) -> World {
    let mut world = World::new(1, Link::default(), Instant::now());
    for suite in preferences {
        let nat = world.add_nat(NatKind::PORT_RESTRICTED);
        world.add_host(Config { suite, rekey_after: Duration::from_secs(5), ..Config::default() }, Some(nat));
    }
    world
}

fn suites(world: &World) -> [Suite; 2] {
    [0, 1].map(|host| {
        let session = world.hosts[host].node.peers().next().and_then(|status| status.session);
        session.expect("the two have met").suite
    })
}

fn rekeys(host: &warren_sim::Host) -> u32 {
    host.node.peers().next().and_then(|status| status.session).map_or(0, |session| session.rekeys)
}
