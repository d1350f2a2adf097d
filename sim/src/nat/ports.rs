//! Which external port a new mapping gets: counted, by chance, or out of the subscriber's block.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::kind::Ports;

/// The allocator of one NAT.
pub(super) struct Allocator {
    ports: Ports,
    noise_per_second: u32,
    next: u16,
    counted_at: Instant,
    blocks: BTreeMap<IpAddr, u16>,
    rng: ChaCha8Rng,
}

impl Allocator {
    pub(super) fn new(ports: Ports, noise_per_second: u32, seed: u64, now: Instant) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let next = 20_000 + u16::try_from(rng.next_u32() % 40_000).expect("below 40,000");
        Self { ports, noise_per_second, next, counted_at: now, blocks: BTreeMap::new(), rng }
    }

    /// A free port for `inside`; none when its block is used up.
    pub(super) fn allocate(&mut self, inside: IpAddr, is_free: impl Fn(u16) -> bool, now: Instant) -> Option<u16> {
        match self.ports {
            Ports::Sequential(stride) => Some(self.count(stride, is_free, now)),
            Ports::Random => self.pick(FIRST, LAST, is_free),
            Ports::Block(size) => {
                let blocks = self.blocks.len();
                let most = usize::from((LAST - FIRST) / size);
                let index = *self.blocks.entry(inside).or_insert_with(|| u16::try_from(blocks % most).unwrap_or(0));
                let first = FIRST + index * size;
                self.pick(first, first + (size - 1), is_free)
            }
        }
    }

    fn count(&mut self, stride: i16, is_free: impl Fn(u16) -> bool, now: Instant) -> u16 {
        let elapsed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.counted_at = now;
        // as many as others took meanwhile, give or take chance
        let expected = elapsed * f64::from(self.noise_per_second);
        let chance = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        for _ in 0..(expected + chance).floor() as u32 % u32::from(LAST - FIRST) {
            self.step(stride);
        }
        while !is_free(self.next) {
            self.step(stride);
        }
        let port = self.next;
        self.step(stride);
        port
    }

    fn step(&mut self, stride: i16) {
        let next = i32::from(self.next) + i32::from(stride);
        let range = i32::from(LAST - FIRST) + 1;
        let wrapped = (next - i32::from(FIRST)).rem_euclid(range) + i32::from(FIRST);
        self.next = u16::try_from(wrapped).expect("within the range");
    }

    fn pick(&mut self, first: u16, last: u16, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        let count = u32::from(last - first) + 1;
        let offset = self.rng.next_u32() % count;
        let from = |offset: u32| first + u16::try_from(offset % count).expect("within the range");
        // one draw in a sparse range; a crowded one is walked from there
        (0..count).map(|step| from(offset + step)).find(|port| is_free(*port))
    }
}

/// No NAT maps a client below.
const FIRST: u16 = 1024;
const LAST: u16 = u16::MAX;
