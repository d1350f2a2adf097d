//! Every kind of NAT with every other: what connects, and what becomes direct by which technique.

use std::time::Duration;

use warren_proto::config::Config;
use warren_proto::path::{AttemptResult, Technique};
use warren_sim::{Attachment, Link, NatKind, Place, World};

use crate::connect::{begin, is_direct};
use crate::packets::numbered;
use crate::recover::exchange;

/// One end of a pair, in the order of the table.
#[derive(Clone, Copy, Debug)]
enum End {
    Public,
    FullCone,
    AddressRestricted,
    PortRestricted,
    SymmetricSequential,
    SymmetricRandom,
    Carrier,
    Blocked,
}

const ENDS: [End; 8] = [
    End::Public,
    End::FullCone,
    End::AddressRestricted,
    End::PortRestricted,
    End::SymmetricSequential,
    End::SymmetricRandom,
    End::Carrier,
    End::Blocked,
];

/// B: probes at one moment and peer-reflexive addresses make it direct. P: it takes a prediction of ports. Y: it takes a
/// birthday search. R: nothing does, the relay carries it.
const MATRIX: [&str; 8] =
    ["BBBBBBBR", "BBBBBBBR", "BBBBBBBR", "BBBBPYBR", "BBBPPRPR", "BBBYRRYR", "BBBBPYBR", "RRRRRRRR"];

#[test]
fn every_cell_that_needs_probes_alone_is_direct_within_two_seconds_and_nearly_all_within_one() {
    let mut times = Vec::new();
    for (a, b) in cells('B') {
        for seed in 0..TRIES {
            let mut world = pair_of(a, b, seed);

            let time = time_to_direct(&mut world, Duration::from_secs(2));

            times.push(time.unwrap_or_else(|| panic!("{a:?} x {b:?}, seed {seed}")));
        }
    }

    assert_p95(times, Duration::from_secs(1));
}

#[test]
fn every_cell_with_a_counting_nat_is_direct_by_prediction_within_five_seconds_and_nearly_all_within_three() {
    let mut times = Vec::new();
    for (a, b) in cells('P') {
        for seed in 0..2 * TRIES {
            let mut world = pair_of(a, b, seed);

            let time = time_to_direct(&mut world, Duration::from_secs(5));

            times.push(time.unwrap_or_else(|| panic!("{a:?} x {b:?}, seed {seed}")));
            let both_count = [a, b].iter().all(|end| matches!(end, End::SymmetricSequential));
            let technique = if both_count { Technique::Meeting } else { Technique::Prediction };
            assert!(techniques(&world).contains(&technique), "{a:?} x {b:?}, seed {seed}: {:?}", techniques(&world));
        }
    }

    assert_p95(times, Duration::from_secs(3));
}

#[test]
fn nine_in_ten_cells_with_a_random_nat_are_direct_by_a_birthday_search_within_fifteen_seconds() {
    let mut times = Vec::new();
    for (a, b) in cells('Y') {
        let mut missed = Vec::new();
        for seed in 0..2 * TRIES {
            let mut world = pair_of(a, b, seed);

            let time = time_to_direct(&mut world, Duration::from_secs(16));

            times.push(time.unwrap_or(Duration::MAX));
            if time.is_some_and(|time| time < Duration::from_secs(15)) {
                assert!(techniques(&world).contains(&Technique::Birthday), "{a:?} x {b:?}, seed {seed}");
            } else {
                missed.push(seed);
            }
        }

        assert!(missed.len() <= 2, "{a:?} x {b:?}: {missed:?} of {}", 2 * TRIES);
    }

    assert_p95(times, Duration::from_secs(15));
}

#[test]
fn twenty_devices_behind_one_nat_that_all_meet_random_nats_at_once_search_no_more_than_one_address_may() {
    let mut world = World::new(12, Link::default(), begin());
    let config = Config { small_mesh: 0, ..Config::default() };
    let lan = world.add_nat(NatKind::PORT_RESTRICTED);
    let hosts: Vec<_> = (0..LAN).map(|_| world.add_host(config.clone(), Some(lan))).collect();
    let peers: Vec<_> = (0..LAN)
        .map(|_| {
            let nat = world.add_nat(NatKind::SYMMETRIC_RANDOM);
            world.add_host(config.clone(), Some(nat))
        })
        .collect();
    world.run_until(Duration::from_secs(5));
    let before = world.probes;

    for (host, peer) in hosts.iter().zip(&peers) {
        let packet = numbered(&world, *host, *peer, 1);
        world.send(*host, &packet);
    }
    world.run_for(Duration::from_secs(60));

    let met =
        hosts.iter().zip(&peers).filter(|(host, peer)| world.hosts[**host].is_direct_to(world.hosts[**peer].id()));
    let sent = world.probes - before;
    assert!(met.count() >= 1, "a search is granted to somebody");
    assert!(sent <= SPRAYED + LAN as u64 * BASIC, "{sent} datagrams left the network for strangers");
}

#[test]
fn twenty_devices_behind_one_nat_that_all_need_a_search_at_once_make_the_mappings_of_one() {
    let mut world = World::new(11, Link::default(), begin());
    let config = Config { small_mesh: 0, ..Config::default() };
    let lan = world.add_nat(NatKind::SYMMETRIC_RANDOM);
    let hosts: Vec<_> = (0..LAN).map(|_| world.add_host(config.clone(), Some(lan))).collect();
    let peers: Vec<_> = (0..LAN)
        .map(|_| {
            let nat = world.add_nat(NatKind::PORT_RESTRICTED);
            world.add_host(config.clone(), Some(nat))
        })
        .collect();
    world.run_until(Duration::from_secs(5));
    let before = world.net.nats[lan].made_in_all();

    for (host, peer) in hosts.iter().zip(&peers) {
        let packet = numbered(&world, *host, *peer, 1);
        world.send(*host, &packet);
    }
    world.run_for(Duration::from_secs(60));

    // what twenty basic punches need besides: an address and its guess each, an opener or a probe once a mapping
    let made = world.net.nats[lan].made_in_all() - before;
    let met =
        hosts.iter().zip(&peers).filter(|(host, peer)| world.hosts[**host].is_direct_to(world.hosts[**peer].id()));
    assert!(met.count() >= 1, "a search is granted to somebody");
    assert!(made <= SEARCHED + LAN * PUNCHED, "{made} mappings");
}

#[test]
fn every_cell_that_no_technique_opens_connects_by_the_relay() {
    for (a, b) in cells('R') {
        let mut world = pair(a, b);

        world.run_until(Duration::from_secs(10));

        assert!(!is_direct(&world), "{a:?} x {b:?}");
        exchange(&mut world, Duration::from_millis(200));
    }
}

#[test]
fn a_router_that_takes_strays_for_its_own_is_opened_before_they_come() {
    for kinds in [[NatKind::ACCEPTING, NatKind::PORT_RESTRICTED], [NatKind::ACCEPTING; 2]] {
        for seed in 0..10 {
            let mut world = World::new(seed, Link { jitter: Duration::from_millis(2), ..Link::default() }, begin());
            for kind in kinds {
                let nat = world.add_nat(kind);
                world.add_host(Config::default(), Some(nat));
            }

            world.run_until(Duration::from_secs(2));

            assert!(is_direct(&world), "seed {seed}, {kinds:?}");
        }
    }
}

#[test]
fn two_symmetric_networks_with_ipv6_meet_over_it_through_both_firewalls() {
    let mut world = World::new(1, Link::default(), begin());
    for _ in 0..2 {
        let (nat, firewall) = (world.add_nat(NatKind::SYMMETRIC_RANDOM), world.add_nat(NatKind::FIREWALL));
        let place = Place { v4: Attachment::Behind(nat), v6: Attachment::Behind(firewall), link: Link::default() };
        world.add_host_at(Config::default(), place);
    }

    world.run_until(Duration::from_secs(2));

    let selection = world.hosts[0].node.peers().next().and_then(|status| status.selection);
    assert_eq!(selection.map(|selection| selection.via.name()), Some("ipv6"));
}

#[test]
fn two_networks_behind_one_carrier_connect() {
    for hairpin in [false, true] {
        let mut world = World::new(1, Link::default(), begin());
        let carrier = world.add_nat(NatKind { hairpin, ..NatKind::CARRIER });
        for _ in 0..2 {
            let nat = world.add_nat_behind(NatKind::PORT_RESTRICTED, carrier);
            world.add_host(Config::default(), Some(nat));
        }

        world.run_until(Duration::from_secs(10));

        exchange(&mut world, Duration::from_millis(200));
        assert_eq!(is_direct(&world), hairpin);
    }
}

/// Runs until both ends send straight to each other, at most for so long.
fn time_to_direct(world: &mut World, limit: Duration) -> Option<Duration> {
    while world.elapsed() < limit {
        let next = world.elapsed() + Duration::from_millis(20);
        world.run_until(next);
        if is_direct(world) {
            return Some(world.elapsed());
        }
    }
    None
}

fn assert_p95(mut times: Vec<Duration>, promised: Duration) {
    times.sort_unstable();
    let p95 = times[(times.len() * 95).div_ceil(100) - 1];

    assert!(p95 < promised, "p95 of {} is {p95:?}", times.len());
}

/// How the paths that answered were found, at both ends.
fn techniques(world: &World) -> Vec<Technique> {
    let attempts = world.hosts.iter().flat_map(|host| host.node.peers()).flat_map(|status| status.attempts);
    let found = attempts.filter(|attempt| matches!(attempt.result, AttemptResult::Answered(_)));
    found.map(|attempt| attempt.technique).collect()
}

/// The cells of one technique, each pair once.
fn cells(technique: char) -> Vec<(End, End)> {
    let all = (0..ENDS.len()).flat_map(|row| (row..ENDS.len()).map(move |column| (row, column)));
    let wanted = all.filter(|(row, column)| MATRIX[*row].chars().nth(*column) == Some(technique));
    wanted.map(|(row, column)| (ENDS[row], ENDS[column])).collect()
}

fn pair(a: End, b: End) -> World {
    pair_of(a, b, 7)
}

fn pair_of(a: End, b: End, seed: u64) -> World {
    let mut world = World::new(seed, Link::default(), begin());
    for end in [a, b] {
        let kind = match end {
            End::Public => None,
            End::FullCone => Some(NatKind::FULL_CONE),
            End::AddressRestricted => Some(NatKind::ADDRESS_RESTRICTED),
            End::PortRestricted | End::Carrier => Some(NatKind::PORT_RESTRICTED),
            End::SymmetricSequential => Some(NatKind::SYMMETRIC_SEQUENTIAL),
            End::SymmetricRandom => Some(NatKind::SYMMETRIC_RANDOM),
            End::Blocked => Some(NatKind::UDP_BLOCKED),
        };
        let nat = kind.map(|kind| match end {
            End::Carrier => {
                let carrier = world.add_nat(NatKind::CARRIER);
                world.add_nat_behind(kind, carrier)
            }
            End::Public
            | End::FullCone
            | End::AddressRestricted
            | End::PortRestricted
            | End::SymmetricSequential
            | End::SymmetricRandom
            | End::Blocked => world.add_nat(kind),
        });
        world.add_host(Config::default(), nat);
    }
    world
}

/// Worlds a cell of a search.
const TRIES: u64 = 5;
/// Devices of the LAN.
const LAN: usize = 20;
/// What one public address is granted in a minute (`docs/protocol.md` section 6).
const SEARCHED: usize = 300;
/// What one search sends: 1,159 ports tried, 256 sockets opened, and what it takes to prove the path that is found.
const SPRAYED: u64 = 1_159 + 256 + 50;
/// Two rounds of a pair: at each end an opener and seven probes to the peer's address and to its guess, three to its own.
const BASIC: u64 = 2 * 2 * (2 * 8 + 3);
/// The peer's address by the basic punch, and looks at the NAT before a search by two sockets toward two servers, twice.
const PUNCHED: usize = 12;
