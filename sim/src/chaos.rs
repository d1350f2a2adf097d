//! Whatever happens, in whatever order: once the trouble is over every pair talks again.
//!
//! A seed makes a small world of strange networks and does to it what happens to networks. The oracle watches every
//! step; at the end the world is calm, and everybody must reach everybody.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use warren_proto::config::Config;

use crate::host::HostId;
use crate::link::Link;
use crate::nat::NatKind;
use crate::net::NatId;
use crate::packet::numbered;
use crate::world::{Attachment, Place, World};

/// Runs all seeds, on as many threads as there are processors; what failed, by seed.
pub fn failures(seeds: Range<u64>) -> BTreeMap<u64, String> {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Err(cause) = catch_unwind(|| run(seed)) {
                        let mut failed = failed.lock().expect("nobody panics while holding it");
                        failed.insert(seed, words(cause.as_ref()));
                    }
                }
            });
        }
    });
    failed.into_inner().expect("nobody panics while holding it")
}

/// Makes the world of one seed, troubles it, and asserts that it comes to rest.
pub fn run(seed: u64) {
    let mut trouble = Trouble::new(seed);
    (0..EVENTS).for_each(|_| {
        trouble.happen();
        let pause = Duration::from_millis(trouble.pick(1500) as u64);
        trouble.world.run_for(pause);
    });
    trouble.calm();
    trouble.assert_everybody_talks();
}

fn words(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// A world and what is done to it.
struct Trouble {
    seed: u64,
    rng: ChaCha20Rng,
    world: World,
    rendezvous_up: bool,
    number: u32,
    firewall: NatId,
}

impl Trouble {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let link = Link { one_way: Duration::from_millis(10 + rng.next_u64() % 60), ..Link::default() };
        let mut world = World::new(seed, link, Instant::now());
        world.captures = false;
        for _ in 0..NATS {
            let kind = KINDS[rng.next_u32() as usize % KINDS.len()];
            world.add_nat(kind);
        }
        let carrier = world.add_nat(NatKind::CARRIER);
        world.add_nat_behind(NatKind::PORT_RESTRICTED, carrier);
        let firewall = world.add_nat(NatKind::FIREWALL);
        let small_mesh = if rng.next_u32().is_multiple_of(3) { 0 } else { 32 };
        let config = Config {
            rekey_after: Duration::from_secs(12),
            reject_after: Duration::from_secs(18),
            idle_after: Duration::from_secs(10),
            small_mesh,
            ..Config::default()
        };
        let mut trouble = Self { seed, rng, world, rendezvous_up: true, number: 0, firewall };
        for _ in 0..HOSTS {
            let place = trouble.somewhere();
            trouble.world.add_host_at(config.clone(), place);
        }
        trouble
    }

    /// Behind any of the NATs, the carrier's subscriber's among them, or nowhere; some with IPv6.
    fn somewhere(&mut self) -> Place {
        let v4 = match self.pick(NATS + 3) {
            nat @ 0..NATS => Attachment::Behind(nat),
            // past the carrier itself
            NATS => Attachment::Behind(NATS + 1),
            _ => Attachment::Public,
        };
        let v6 = match self.pick(6) {
            0 => Attachment::Public,
            1 => Attachment::Behind(self.firewall),
            _ => Attachment::Absent,
        };
        Place { v4, v6, link: self.world.link() }
    }

    fn happen(&mut self) {
        let host = self.pick(HOSTS);
        match self.pick(14) {
            0 => self.trouble_nat(),
            1 => {
                self.rendezvous_up = !self.rendezvous_up;
                self.world.set_rendezvous(self.rendezvous_up);
            }
            2 => self.trouble_wires(),
            3 => {
                let clock = [0, 0, -30, 5][self.pick(4)];
                self.world.crash(host);
                self.world.restart(host, clock);
            }
            4 => {
                let place = self.somewhere();
                self.world.move_to_place(host, &place);
            }
            5 if self.rendezvous_up => {
                self.world.lose_control(host);
                self.world.join(host);
            }
            6 => self.world.rename(host, &format!("name-{}", self.number)),
            _ => (0..5).for_each(|_| {
                let from = self.pick(HOSTS);
                let to = (from + 1 + self.pick(HOSTS - 1)) % HOSTS;
                self.send(from, to);
            }),
        }
    }

    fn trouble_nat(&mut self) {
        let nat = self.pick(NATS + 2);
        if self.pick(3) == 0 {
            self.world.renumber_nat(nat);
        } else {
            self.world.reboot_nat(nat);
        }
    }

    fn trouble_wires(&mut self) {
        let calm = self.world.link();
        let link = match self.pick(6) {
            0 => Link { loss_per_mille: 1000, ..calm },
            1 => Link { loss_per_mille: 300, ..calm },
            2 => Link { jitter: Duration::from_millis(80), reorder_per_mille: 200, ..calm },
            3 => Link { duplicate_per_mille: 500, loss_per_mille: 50, ..calm },
            4 => Link { mtu: 1280, ..calm },
            _ => Link { one_way: calm.one_way, ..Link::default() },
        };
        self.world.set_link(link);
    }

    fn calm(&mut self) {
        self.world.set_link(Link { one_way: self.world.link().one_way, ..Link::default() });
        if !self.rendezvous_up {
            self.world.set_rendezvous(true);
        }
        self.world.run_for(QUIET);
    }

    fn send(&mut self, from: HostId, to: HostId) -> Vec<u8> {
        self.number += 1;
        let packet = numbered(&self.world, from, to, self.number);
        self.world.send(from, &packet);
        packet
    }

    fn assert_everybody_talks(&mut self) {
        let pairs = (0..HOSTS).flat_map(|from| (0..HOSTS).filter(move |to| *to != from).map(move |to| (from, to)));
        let sent: Vec<_> = pairs.map(|(from, to)| (from, to, self.send(from, to))).collect();
        self.world.run_for(ARRIVES_WITHIN);
        for (from, to, packet) in sent {
            let arrived = self.world.hosts[to].received.contains(&packet);
            assert!(arrived, "seed {}: {from} -> {to}", self.seed);
        }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.rng.next_u32() as usize % below
    }
}

const HOSTS: usize = 3;
const NATS: usize = 3;
const EVENTS: usize = 20;
/// Longer than a keepalive interval: what a NAT forgot while nobody sent is noticed by then.
const QUIET: Duration = Duration::from_secs(28);
/// A session through the relay with two tries lost, and the packet.
const ARRIVES_WITHIN: Duration = Duration::from_secs(8);
const KINDS: [NatKind; 12] = [
    NatKind::ACCEPTING,
    NatKind::ADDRESS_DEPENDENT,
    NatKind::ADDRESS_RESTRICTED,
    NatKind::CARRIER_SYMMETRIC,
    NatKind::FULL_CONE,
    NatKind { hairpin: true, ..NatKind::PORT_RESTRICTED },
    NatKind::NOT_PRESERVING,
    NatKind::PORT_RESTRICTED,
    NatKind { sessions_max: 100, new_per_second: 50, ..NatKind::PORT_RESTRICTED },
    NatKind { noise_per_second: 5, ..NatKind::SYMMETRIC_SEQUENTIAL },
    NatKind::SYMMETRIC_RANDOM,
    NatKind::UDP_BLOCKED,
];
