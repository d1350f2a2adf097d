//! What each kind of NAT does, as RFC 4787 and real devices have it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Nat, NatKind, Ports};

#[test]
fn an_endpoint_independent_mapping_keeps_its_port_for_every_destination() {
    let mut bench = Bench::new(NatKind::PORT_RESTRICTED);

    assert_eq!(bench.out(5000, A), Some(5000));
    assert_eq!(bench.out(5000, B), Some(5000));
}

#[test]
fn a_symmetric_nat_counts_on_and_a_random_one_does_not() {
    let ports = |kind| {
        let mut bench = Bench::new(kind);
        [A, A2, B].map(|to| bench.out(5000, to).expect("mapped"))
    };
    let up = ports(NatKind::SYMMETRIC_SEQUENTIAL);
    let down = ports(NatKind { ports: Ports::Sequential(-2), ..NatKind::SYMMETRIC_SEQUENTIAL });
    let random = ports(NatKind::SYMMETRIC_RANDOM);

    assert_eq!([up[1] - up[0], up[2] - up[1]], [1, 1]);
    assert_eq!([down[0] - down[1], down[1] - down[2]], [2, 2]);
    assert!(random[0].abs_diff(random[1]) > 100 || random[1].abs_diff(random[2]) > 100);
}

#[test]
fn an_address_dependent_mapping_is_shared_by_the_ports_of_one_address() {
    let mut bench = Bench::new(NatKind::ADDRESS_DEPENDENT);

    let ports = [A, A2, B].map(|to| bench.out(5000, to));

    assert_eq!(ports[0], ports[1]);
    assert_ne!(ports[0], ports[2]);
}

#[test]
fn filtering_lets_in_who_was_sent_to_and_no_more() {
    for (kind, passes) in [
        (NatKind::FULL_CONE, [true, true, true]),
        (NatKind::ADDRESS_RESTRICTED, [true, true, false]),
        (NatKind::PORT_RESTRICTED, [true, false, false]),
        (NatKind::FIREWALL, [true, false, false]),
    ] {
        let mut bench = Bench::new(kind);
        bench.out(5000, A);

        assert_eq!([A, A2, B].map(|from| bench.comes_in(from, 5000)), passes, "{kind:?}");
    }
}

#[test]
fn what_comes_in_prolongs_a_mapping_only_where_the_nat_says_so() {
    for (kind, alive) in [(NatKind::PORT_RESTRICTED, false), (NatKind::PORT_RESTRICTED.with_linux_timers(), true)] {
        let mut bench = Bench::new(kind);
        bench.out(5000, A);
        for _ in 0..6 {
            bench.pass(10);
            bench.comes_in(A, 5000);
        }

        assert_eq!(bench.comes_in(A, 5000), alive, "{kind:?}");
    }
}

#[test]
fn a_packet_that_comes_too_early_spoils_the_port_on_a_router_that_accepts_it_until_silence_heals() {
    let mut bench = Bench::new(NatKind::ACCEPTING);
    bench.out(5000, A);
    assert!(!bench.comes_in(B, 5000));

    assert_ne!(bench.out(5000, B), Some(5000));
    assert_eq!(bench.out(5000, A), Some(5000), "others are not affected");
    bench.pass(31);
    assert_eq!(bench.out(5000, B), Some(5000));
}

#[test]
fn a_router_that_drops_what_comes_too_early_is_not_spoilt() {
    let mut bench = Bench::new(NatKind::PORT_RESTRICTED);
    bench.out(5000, A);
    assert!(!bench.comes_in(B, 5000));

    assert_eq!(bench.out(5000, B), Some(5000));
    assert!(bench.comes_in(B, 5000));
}

#[test]
fn a_carriers_block_is_one_subscribers_and_can_be_used_up() {
    let kind = NatKind { ports: Ports::Block(64), ..NatKind::CARRIER_SYMMETRIC };
    let mut bench = Bench::new(kind);

    let ports: Vec<u16> = (1..=100).filter_map(|last| bench.out(5000, &format!("198.51.100.{last}:7"))).collect();

    assert_eq!(ports.len(), 64);
    assert!(ports.iter().max().expect("some") - ports.iter().min().expect("some") < 64);
}

#[test]
fn limits_of_sessions_and_of_new_ones_a_second_hold() {
    let limited = NatKind { sessions_max: 100, ..NatKind::PORT_RESTRICTED };
    let slow = NatKind { new_per_second: 50, ..NatKind::PORT_RESTRICTED };
    let many = |kind| {
        let mut bench = Bench::new(kind);
        (0..256).filter(|port| bench.out(20_000 + port, A).is_some()).count()
    };

    assert_eq!(many(limited), 100);
    assert_eq!(many(slow), 50);
}

#[test]
fn neighbours_take_numbers_of_a_counting_nat() {
    let mut bench = Bench::new(NatKind { noise_per_second: 20, ..NatKind::SYMMETRIC_SEQUENTIAL });
    let first = bench.out(5000, A).expect("mapped");
    bench.pass(1);

    let second = bench.out(5000, B).expect("mapped");

    assert!((15..30).contains(&second.wrapping_sub(first)), "{first} {second}");
}

#[test]
fn nothing_passes_where_udp_is_blocked() {
    let mut bench = Bench::new(NatKind::UDP_BLOCKED);

    assert_eq!(bench.out(5000, A), None);
}

const A: &str = "198.51.100.1:7000";
const A2: &str = "198.51.100.1:7001";
const B: &str = "198.51.100.2:7000";

struct Bench {
    nat: Nat,
    now: Instant,
}

impl Bench {
    fn new(kind: NatKind) -> Self {
        let now = Instant::now();
        Self { nat: Nat::new(kind, [203, 0, 113, 1].into(), 1, now), now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn out(&mut self, port: u16, to: &str) -> Option<u16> {
        let to = to.parse().expect("an address");
        self.nat.outbound(([192, 168, 1, 2], port).into(), to, self.now).map(|source| source.port())
    }

    fn comes_in(&mut self, from: &str, port: u16) -> bool {
        let ip = if self.nat.kind() == NatKind::FIREWALL { [192, 168, 1, 2] } else { [203, 0, 113, 1] };
        let external = SocketAddr::from((ip, port));
        self.nat.inbound(from.parse().expect("an address"), external, self.now).is_some()
    }
}
