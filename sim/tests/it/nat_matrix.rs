//! Every kind of NAT with every other: what connects, and what becomes direct by which technique.

use std::time::Duration;

use warren_proto::config::Config;
use warren_sim::{Attachment, Link, NatKind, Place, World};

use crate::connect::{begin, is_direct};
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
fn every_cell_that_needs_probes_alone_is_direct_within_two_seconds() {
    for (a, b) in cells('B') {
        let mut world = pair(a, b);

        world.run_until(Duration::from_secs(2));

        assert!(is_direct(&world), "{a:?} x {b:?}");
    }
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

/// The cells of one technique, each pair once.
fn cells(technique: char) -> Vec<(End, End)> {
    let all = (0..ENDS.len()).flat_map(|row| (row..ENDS.len()).map(move |column| (row, column)));
    let wanted = all.filter(|(row, column)| MATRIX[*row].chars().nth(*column) == Some(technique));
    wanted.map(|(row, column)| (ENDS[row], ENDS[column])).collect()
}

fn pair(a: End, b: End) -> World {
    let mut world = World::new(7, Link::default(), begin());
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
