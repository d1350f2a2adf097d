//! Ten thousand agents behind the field's mix of NATs: how many pairs become direct, how soon, and what it costs.
//!
//! A population is many meshes of fifty devices, each a world of its own; every device meets a few others while the
//! rest goes on. `mix` says who stands where, `report` and `chart` what is made of it.

mod chart;
mod mix;
mod report;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use warren_proto::config::Config;
use warren_proto::io::Remote;
use warren_proto::keys::NodeId;
use warren_proto::node::Event;

use crate::host::{Host, HostId};
use crate::link::{Link, up_to};
use crate::packet::numbered;
use crate::world::World;

pub use mix::Site;
pub use report::Report;

/// What became of one pair.
#[derive(Clone, Copy, Debug)]
pub struct Meeting {
    /// Where the two are.
    pub sites: [Site; 2],
    /// From the first packet until both ends sent straight to each other; none if they were not at the end.
    pub direct_after: Option<Duration>,
}

/// What became of one mesh.
#[derive(Default)]
struct Outcome {
    meetings: Vec<Meeting>,
    probes: u64,
    relayed_bytes: u64,
    sent_bytes: u64,
}

/// Runs a population of `agents` devices; one seed gives one report.
pub fn run(agents: usize, seed: u64) -> Report {
    let meshes = agents.div_ceil(DEVICES);
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let mesh = next.fetch_add(1, Ordering::Relaxed);
                    if mesh >= meshes {
                        break;
                    }
                    let outcome = Mesh::new(seed.wrapping_mul(SEEDS_APART) + mesh as u64).run();
                    outcomes.lock().expect("nobody panics while holding it").insert(mesh, outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("nobody panics while holding it");
    let mut all = Outcome::default();
    for (_, outcome) in outcomes {
        all.meetings.extend(outcome.meetings);
        all.probes += outcome.probes;
        all.relayed_bytes += outcome.relayed_bytes;
        all.sent_bytes += outcome.sent_bytes;
    }
    Report::new(meshes * DEVICES, seed, &all)
}

/// Fifty devices of one network.
struct Mesh {
    world: World,
    sites: Vec<Site>,
    /// Who meets whom, and when.
    plans: Vec<(Duration, HostId, HostId)>,
    sent_bytes: u64,
}

impl Mesh {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut world = World::new(seed, Link::default(), Instant::now());
        world.captures = false;
        let config = Config { small_mesh: 0, ..Config::default() };
        let sites: Vec<Site> = (0..DEVICES).map(|_| Site::draw(&mut rng)).collect();
        for site in &sites {
            let link = Link {
                one_way: Duration::from_millis(5) + up_to(Duration::from_millis(45), &mut rng),
                jitter: Duration::from_millis(4),
                loss_per_mille: 5,
                ..Link::default()
            };
            let place = site.place(&mut world, link, &mut rng);
            world.add_host_at(config.clone(), place);
            world.run_for(Duration::from_millis(100));
        }
        let begin = world.elapsed() + SETTLED_AFTER;
        let mut plans: Vec<(Duration, HostId, HostId)> = Vec::new();
        for from in 0..DEVICES {
            for _ in 0..PEERS {
                let to = (from + 1 + rng.next_u32() as usize % (DEVICES - 1)) % DEVICES;
                let known = plans.iter().any(|(_, a, b)| (*a, *b) == (from, to) || (*a, *b) == (to, from));
                if !known {
                    plans.push((begin + up_to(SPREAD, &mut rng), from, to));
                }
            }
        }
        Self { world, sites, plans, sent_bytes: 0 }
    }

    fn run(mut self) -> Outcome {
        let end = self.plans.iter().map(|(at, ..)| *at).max().unwrap_or_default() + TALK;
        let mut round = 0;
        while self.world.elapsed() < end {
            self.world.run_for(PACKET_EVERY);
            self.talk(round);
            round += 1;
        }
        let meetings = self.plans.iter().map(|plan| self.judge(plan)).collect();
        Outcome {
            meetings,
            probes: self.world.probes,
            relayed_bytes: self.world.relayed_bytes,
            sent_bytes: self.sent_bytes,
        }
    }

    /// Both ends of every pair that talks at this time send a packet.
    fn talk(&mut self, round: u32) {
        let now = self.world.elapsed();
        let talking: Vec<(HostId, HostId)> =
            self.plans.iter().filter(|(at, ..)| *at <= now && now < *at + TALK).map(|(_, a, b)| (*a, *b)).collect();
        for (a, b) in talking {
            for (from, to) in [(a, b), (b, a)] {
                let packet = numbered(&self.world, from, to, round);
                self.sent_bytes += packet.len() as u64;
                self.world.send(from, &packet);
            }
        }
        self.world.hosts.iter_mut().for_each(|host| host.received.clear());
    }

    fn judge(&self, plan: &(Duration, HostId, HostId)) -> Meeting {
        let (at, a, b) = *plan;
        let ends = [(a, b), (b, a)]
            .map(|(from, to)| direct_since(&self.world.hosts[from], self.world.hosts[to].id(), at, at + TALK));
        let direct_after = match ends {
            [Some(one), Some(other)] => Some(one.max(other).saturating_sub(at)),
            _ => None,
        };
        Meeting { sites: [self.sites[a], self.sites[b]], direct_after }
    }
}

/// When a host first sent straight to `peer` after `begin`, if it did at `end`.
fn direct_since(host: &Host, peer: NodeId, begin: Duration, end: Duration) -> Option<Duration> {
    let mut first = None;
    let mut last = None;
    for (at, event) in &host.events {
        if let Event::PathChanged { peer: changed, selection } = event
            && *changed == peer
            && (begin..end).contains(at)
        {
            let direct = selection.is_some_and(|selection| !matches!(selection.remote, Remote::Relay(_)));
            if direct && first.is_none() {
                first = Some(*at);
            }
            last = Some(direct);
        }
    }
    first.filter(|_| last == Some(true))
}

/// A company's or a family's mesh, too large to connect all pairs by itself.
const DEVICES: usize = 50;
/// Peers that each device speaks to first; as many again speak to it.
const PEERS: usize = 3;
/// Keeps the meshes of one population apart from those of the next seed.
const SEEDS_APART: u64 = 1 << 20;
/// By then everybody has joined and knows its NAT.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// Meetings begin at any time within this.
const SPREAD: Duration = Duration::from_secs(40);
/// How long a pair talks. A search for a port may take a quarter of it.
const TALK: Duration = Duration::from_secs(60);
/// A chat, a keystroke, a request.
const PACKET_EVERY: Duration = Duration::from_millis(500);
