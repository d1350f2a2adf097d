//! What somebody who looks at a pair wants of its two ends: pings, another try for a direct path, to be measured.
//!
//! Both ends do it, each on the path it sends on. A run of pings is a few, a second apart, and what came of each is kept
//! for whoever looks; an end that says nothing is taken to have got no answer. Wishes are limited by the pair, so that
//! nobody can make two devices shoot at each other by pressing a button.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use warren_proto::control::{PingAnswer, Pinged, ToAgent};
use warren_proto::keys::NodeId;

use super::pair::{Key, key};
use super::{Coordinator, VIAS};

/// Why a wish is not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ungranted {
    /// Neither of the two is online.
    Offline,
    /// The same was granted just now; it will be again after this time.
    TooSoon(Duration),
}

/// A run of pings, as far as it has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PingRun {
    /// When it began.
    pub began: Instant,
    /// What each end heard, in the order in which the pair was named.
    pub ends: [Vec<Ping>; 2],
}

/// One ping of one end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ping {
    /// The peer answered.
    Answered(PingAnswer),
    /// No answer came in time, or the end never said so.
    Lost,
    /// It is on its way.
    Waiting,
}

#[derive(Debug, Default)]
pub(super) struct Wishes {
    by_key: BTreeMap<Key, Held>,
    last_token: u64,
}

#[derive(Debug, Default)]
struct Held {
    run: Option<Run>,
    retried_at: Option<Instant>,
    watched_at: Option<Instant>,
}

#[derive(Debug)]
struct Run {
    began: Instant,
    /// Of the first round; the n-th round has the n-th token from there on.
    token: u64,
    rounds: u32,
    /// Which ends take part: of the lower id, of the higher id.
    asked: [bool; 2],
    /// By round.
    heard: [Vec<Option<Option<PingAnswer>>>; 2],
}

impl Run {
    /// The next round, or the end of patience with the last one.
    fn due(&self) -> Option<Instant> {
        let next = self.began + PING_EVERY * self.rounds;
        let over = self.began + PING_EVERY * (PINGS - 1) + PATIENCE;
        if self.rounds < PINGS { Some(next) } else { Some(over) }
    }

    fn shown(&self, side: usize, now: Instant) -> Vec<Ping> {
        if !self.asked[side] {
            return Vec::new();
        }
        let ping = |(round, heard): (u32, &Option<Option<PingAnswer>>)| match heard {
            Some(Some(answer)) => Ping::Answered(answer.clone()),
            Some(None) => Ping::Lost,
            None if now >= self.began + PING_EVERY * round + PATIENCE => Ping::Lost,
            None => Ping::Waiting,
        };
        (0..).zip(&self.heard[side]).map(ping).collect()
    }
}

impl Wishes {
    pub(super) fn next_due(&self) -> Option<Instant> {
        let runs = self.by_key.values().filter_map(|held| held.run.as_ref());
        runs.filter(|run| run.rounds < PINGS).filter_map(Run::due).min()
    }

    /// The record of a pair, with room made for it if need be: whoever was looked at longest ago is forgotten.
    fn held(&mut self, key: Key, now: Instant) -> &mut Held {
        self.by_key.retain(|other, held| *other == key || held.is_of_use(now));
        if self.by_key.len() >= MAX_PAIRS && !self.by_key.contains_key(&key) {
            self.by_key.pop_first();
        }
        self.by_key.entry(key).or_default()
    }
}

impl Held {
    fn is_of_use(&self, now: Instant) -> bool {
        let times = [self.run.as_ref().map(|run| run.began), self.retried_at, self.watched_at];
        times.into_iter().flatten().any(|at| now.saturating_duration_since(at) < KEEP)
    }
}

impl Coordinator {
    /// Begins a run of pings between two devices.
    pub fn ping_pair(&mut self, device: NodeId, peer: NodeId, now: Instant) -> Result<(), Ungranted> {
        let key = self.wished(device, peer)?;
        let asked = key.map(|id| self.online.contains_key(&id));
        let last = self.wishes.held(key, now).run.as_ref().map(|run| run.began);
        grant(last, RUN_EVERY, now)?;
        self.wishes.last_token += u64::from(PINGS);
        let token = self.wishes.last_token - u64::from(PINGS) + 1;
        let run = Run { began: now, token, rounds: 0, asked, heard: [Vec::new(), Vec::new()] };
        self.wishes.held(key, now).run = Some(run);
        self.ping_due(now);
        Ok(())
    }

    /// Has both ends look for a direct path at once.
    pub fn retry_pair(&mut self, device: NodeId, peer: NodeId, now: Instant) -> Result<(), Ungranted> {
        let key = self.wished(device, peer)?;
        grant(self.wishes.held(key, now).retried_at, RETRY_EVERY, now)?;
        self.wishes.held(key, now).retried_at = Some(now);
        self.tell_both(key, ToAgent::Retry);
        Ok(())
    }

    /// Somebody looks at a pair at this moment; to be repeated within `WATCH` while it goes on.
    pub fn watch_pair(&mut self, device: NodeId, peer: NodeId, now: Instant) {
        let Ok(key) = self.wished(device, peer) else { return };
        let held = self.wishes.held(key, now);
        if grant(held.watched_at, WATCH_AGAIN, now).is_ok() {
            held.watched_at = Some(now);
            let seconds = u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX);
            self.tell_both(key, |peer| ToAgent::Watch { peer, seconds });
        }
    }

    /// How long until another try may be asked for, if one was of late.
    pub fn retry_again_in(&self, device: NodeId, peer: NodeId, now: Instant) -> Option<Duration> {
        let last = self.wishes.by_key.get(&key(device, peer))?.retried_at;
        match grant(last, RETRY_EVERY, now) {
            Err(Ungranted::TooSoon(rest)) => Some(rest),
            Ok(()) | Err(Ungranted::Offline) => None,
        }
    }

    /// The last run of pings between two devices.
    pub fn ping_run(&self, device: NodeId, peer: NodeId, now: Instant) -> Option<PingRun> {
        let order = key(device, peer);
        let run = self.wishes.by_key.get(&order)?.run.as_ref()?;
        let ends = [device, peer].map(|id| run.shown(usize::from(order[1] == id), now));
        Some(PingRun { began: run.began, ends })
    }

    /// A device says what came of a ping. True when somebody had asked for it.
    pub fn handle_pinged(&mut self, device: NodeId, pinged: Pinged) -> bool {
        let order = key(device, pinged.peer);
        let side = usize::from(order[1] == device);
        let run = self.wishes.by_key.get_mut(&order).and_then(|held| held.run.as_mut());
        let Some(run) = run.filter(|run| run.asked[side]) else { return false };
        let round = pinged.token.checked_sub(run.token).and_then(|round| usize::try_from(round).ok());
        let Some(slot) = round.and_then(|round| run.heard[side].get_mut(round)).filter(|slot| slot.is_none()) else {
            return false;
        };
        *slot = Some(pinged.answer.filter(is_sensible));
        true
    }

    pub(super) fn ping_due(&mut self, now: Instant) {
        let due = |(key, held): (&Key, &mut Held)| {
            let run = held.run.as_mut()?;
            if run.rounds >= PINGS || run.due().is_none_or(|at| at > now) {
                return None;
            }
            let token = run.token + u64::from(run.rounds);
            run.rounds += 1;
            run.heard.iter_mut().for_each(|heard| heard.push(None));
            Some((*key, token))
        };
        let rounds: Vec<(Key, u64)> = self.wishes.by_key.iter_mut().filter_map(due).collect();
        for (key, token) in rounds {
            self.tell_both(key, |peer| ToAgent::Ping { peer, token });
        }
    }

    /// The pair, if there are such members and one of them can be asked.
    fn wished(&self, device: NodeId, peer: NodeId) -> Result<Key, Ungranted> {
        let key = key(device, peer);
        let members = device != peer && key.iter().all(|id| self.roster.member(*id).is_some());
        let online = key.iter().any(|id| self.online.contains_key(id));
        if members && online { Ok(key) } else { Err(Ungranted::Offline) }
    }

    fn tell_both(&mut self, key: Key, message: impl Fn(NodeId) -> ToAgent) {
        for [device, peer] in [key, [key[1], key[0]]] {
            if self.online.contains_key(&device) {
                self.send(device, message(peer));
            }
        }
    }
}

fn grant(last: Option<Instant>, every: Duration, now: Instant) -> Result<(), Ungranted> {
    let rest = last.and_then(|last| every.checked_sub(now.saturating_duration_since(last)));
    rest.filter(|rest| !rest.is_zero()).map_or(Ok(()), |rest| Err(Ungranted::TooSoon(rest)))
}

/// An answer that an honest agent could have had: in time, and over a path there is.
fn is_sensible(answer: &PingAnswer) -> bool {
    Duration::from_micros(answer.rtt_us) <= PATIENCE && VIAS.contains(&answer.via.as_str())
}

/// Pings of one run: enough to see a spread, few enough to wait for.
const PINGS: u32 = 5;
const PING_EVERY: Duration = Duration::from_secs(1);
/// As long as an agent waits for a pong, and the way of its word to us.
const PATIENCE: Duration = Duration::from_secs(6);
/// A run is over, or nearly so, before the next begins.
const RUN_EVERY: Duration = Duration::from_secs(6);
/// What an agent itself keeps to: a NAT forgets a punch that failed after 30 s of silence.
const RETRY_EVERY: Duration = Duration::from_secs(40);
/// For so long an agent measures after one word of ours; a page that is looked at asks again every ten seconds at least.
const WATCH: Duration = Duration::from_secs(25);
const WATCH_AGAIN: Duration = Duration::from_secs(8);
/// How long what came of a wish is shown.
const KEEP: Duration = Duration::from_secs(600);
/// Pairs looked at in ten minutes; 300 bytes each.
const MAX_PAIRS: usize = 1024;
