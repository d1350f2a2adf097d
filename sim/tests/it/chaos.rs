//! Whatever happens, in whatever order: nobody panics, nothing leaks, no nonce is used twice, and once the trouble is
//! over every pair can talk. A failing seed is printed and gives the same run again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use warren_proto::config::Config;
use warren_proto::wire::{self, Kind, relay};
use warren_sim::{Link, NatKind, World};

use crate::packets::numbered;

#[test]
fn after_any_trouble_every_pair_talks_again() {
    for seed in 0..SEEDS {
        let mut trouble = Trouble::new(seed);

        trouble.run();

        trouble.assert_everybody_talks();
        assert_no_plaintext(&trouble.world.captured, seed);
        assert_no_nonce_twice(&trouble.world.captured, seed);
    }
}

/// A world and what is done to it.
struct Trouble {
    seed: u64,
    rng: ChaCha20Rng,
    world: World,
    rendezvous_up: bool,
    number: u32,
}

impl Trouble {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let link = Link { one_way: Duration::from_millis(10 + rng.next_u64() % 60), ..Link::default() };
        let mut world = World::new(seed, link, Instant::now());
        for _ in 0..NATS {
            let kind = KINDS[rng.next_u32() as usize % KINDS.len()];
            world.add_nat(kind);
        }
        let small_mesh = if rng.next_u32().is_multiple_of(3) { 0 } else { 32 };
        let config = Config {
            rekey_after: Duration::from_secs(12),
            reject_after: Duration::from_secs(18),
            idle_after: Duration::from_secs(10),
            small_mesh,
            ..Config::default()
        };
        for host in 0..HOSTS {
            let nat = (!rng.next_u32().is_multiple_of(3)).then_some(host % NATS);
            world.add_host(config.clone(), nat);
        }
        Self { seed, rng, world, rendezvous_up: true, number: 0 }
    }

    fn run(&mut self) {
        for _ in 0..EVENTS {
            self.happen();
            let pause = Duration::from_millis(self.pick(1500) as u64);
            let next = self.world.elapsed() + pause;
            self.world.run_until(next);
        }
        self.world.set_link(Link::default());
        if !self.rendezvous_up {
            self.world.set_rendezvous(true);
        }
        let quiet = self.world.elapsed() + QUIET;
        self.world.run_until(quiet);
    }

    fn happen(&mut self) {
        let host = self.pick(HOSTS);
        match self.pick(12) {
            0 => {
                let nat = self.pick(NATS);
                self.world.nats[nat].reboot();
            }
            1 => {
                self.rendezvous_up = !self.rendezvous_up;
                self.world.set_rendezvous(self.rendezvous_up);
            }
            2 => {
                let loss_per_mille = [0, 100, 300, 1000][self.pick(4)];
                self.world.set_link(Link { loss_per_mille, ..Link::default() });
            }
            3 => {
                let clock = [0, 0, -30, 5][self.pick(4)];
                self.world.crash(host);
                self.world.restart(host, clock);
            }
            4 => {
                let nat = self.pick(NATS + 1);
                self.world.move_to(host, (nat < NATS).then_some(nat));
            }
            5 if self.rendezvous_up => {
                self.world.lose_control(host);
                self.world.join(host);
            }
            6 => self.world.rename(host, &format!("name-{}", self.number)),
            _ => (0..5).for_each(|_| {
                self.send_somewhere();
            }),
        }
    }

    fn send_somewhere(&mut self) {
        let from = self.pick(HOSTS);
        let to = (from + 1 + self.pick(HOSTS - 1)) % HOSTS;
        self.send(from, to);
    }

    fn send(&mut self, from: usize, to: usize) -> Vec<u8> {
        self.number += 1;
        let packet = numbered(&self.world, from, to, self.number);
        self.world.send(from, &packet);
        packet
    }

    fn assert_everybody_talks(&mut self) {
        let mut expected = Vec::new();
        for from in 0..HOSTS {
            for to in (0..HOSTS).filter(|to| *to != from) {
                expected.push((from, to, self.send(from, to)));
            }
        }
        let end = self.world.elapsed() + Duration::from_secs(8);
        self.world.run_until(end);
        for (from, to, packet) in expected {
            assert!(self.world.hosts[to].received.contains(&packet), "seed {}: {from} -> {to}", self.seed);
        }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.rng.next_u32() as usize % below
    }
}

type Captured = [(SocketAddr, SocketAddr, Vec<u8>)];

fn assert_no_plaintext(captured: &Captured, seed: u64) {
    for (_, _, datagram) in captured {
        assert!(!datagram.windows(16).any(|window| window == [0xa5; 16]), "seed {seed}");
    }
}

/// The sequence number is the nonce, and an SPI names one key: the two together must name one datagram.
fn assert_no_nonce_twice(captured: &Captured, seed: u64) {
    let mut seen: BTreeMap<[u8; 8], &[u8]> = BTreeMap::new();
    for (_, _, datagram) in captured {
        let inside = match wire::classify(datagram) {
            Ok(Kind::Relay) => relay::decode(datagram).map_or(&[][..], |(_, inside)| inside),
            _ => datagram,
        };
        let Ok(Kind::Esp(_)) = wire::classify(inside) else { continue };
        let header = inside[..8].try_into().expect("ESP has a header");
        let first = seen.entry(header).or_insert(inside);
        assert_eq!(*first, inside, "seed {seed}: a nonce used twice");
    }
}

const SEEDS: u64 = 200;
const HOSTS: usize = 3;
const NATS: usize = 3;
const EVENTS: usize = 20;
/// Longer than a keepalive interval: what a NAT forgot while nobody sent is noticed by then.
const QUIET: Duration = Duration::from_secs(28);
const KINDS: [NatKind; 4] =
    [NatKind::FULL_CONE, NatKind::ADDRESS_RESTRICTED, NatKind::PORT_RESTRICTED, NatKind::SYMMETRIC];
