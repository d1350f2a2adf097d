//! A device that changes networks takes its sessions along.

use std::time::Duration;

use warren_sim::{Link, NatKind};

use crate::connect::{is_direct, pair, stream};
use crate::packets::numbers;
use crate::recover::exchange;

#[test]
fn a_sender_that_changes_networks_loses_nothing() {
    for seed in 0..5 {
        let mut world = pair(seed, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());
        let other = world.add_nat(NatKind::PORT_RESTRICTED);
        world.run_until(Duration::from_secs(2));
        assert!(is_direct(&world));

        world.move_to(0, Some(other));
        let sent = stream(&mut world, Duration::from_secs(6));
        world.run_until(Duration::from_secs(7));

        assert_eq!(numbers(&world.hosts[1]).len(), sent, "seed {seed}");
        assert!(is_direct(&world), "seed {seed}");
    }
}

#[test]
fn a_receiver_that_changes_networks_is_found_in_three_seconds() {
    for seed in 0..5 {
        let mut world = pair(seed, Some(NatKind::PORT_RESTRICTED), Some(NatKind::PORT_RESTRICTED), Link::default());
        let other = world.add_nat(NatKind::PORT_RESTRICTED);
        stream(&mut world, Duration::from_secs(2));

        world.move_to(1, Some(other));
        stream(&mut world, Duration::from_secs(5));
        exchange(&mut world, Duration::from_millis(200));

        world.run_until(Duration::from_secs(20));
        assert!(is_direct(&world), "seed {seed}");
    }
}
