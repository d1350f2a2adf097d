//! Who is online, what each may know of the others, and when two of them fire at the same moment. Sans-IO: events and
//! times come in by `handle_*`, messages for devices and orders for the relay go out by `poll_output`.
//!
//! A device that arrives is told of the mesh: all of it, or what changed since the revision it holds. From then on it
//! hears of every change, and of the coming and going of those whom it wants or who want it (`presence`).
//! When a device asks to connect to a peer, both get a relay channel, each other's candidates, and a `Start` that makes
//! them probe at the same instant (`timing`). A wish for a peer that is offline is kept until it arrives. What both ends
//! then tried is put together (`reports`) into a reason that names a side and a remedy (`verdict`). Where a device is to
//! use the relay only (`policy`), its pairs get the channel and nothing else. Those that a plain start does not help may
//! search for a port, few at a time behind one address (`search`). Who looks at a pair may have both ends ping, try and
//! measure (`wish`).
//!
//! Where several servers are one, each has a coordinator that knows of every device. It tells those that are connected to it of
//! the mesh, and brings pairs together wherever their two are; which pairs are its own is its driver's to know.
//!
//! Certificates are opaque here, and so is whether a device may be admitted. Everything is in memory: a restarted
//! server learns presence from the agents that return.

mod pair;
mod policy;
mod presence;
mod reports;
mod roster;
mod search;
#[cfg(test)]
mod tests;
mod timing;
mod verdict;
mod wish;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use warren_proto::candidate::{Candidate, CandidateKind, MAX_CANDIDATES, is_usable};
use warren_proto::control::{CandidateSet, PathReport, Refused, RefusedCode, ToAgent};
use warren_proto::keys::{NodeId, UnixTime};

pub use reports::{Explained, HeldReport};
pub use roster::{Ended, Member, RosterChange};
pub use verdict::{Verdict, verdict_codes};
pub use wish::{Ping, PingRun, Ungranted};

use pair::{Pairs, outside};
use presence::News;
use reports::Reports;
use roster::{Roster, Standing};
use search::Searches;
use wish::Wishes;

/// The control connection of an online device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// When it connected.
    pub since: UnixTime,
    /// Its address as this server sees it.
    pub observed: SocketAddr,
    /// Round-trip time of the control connection.
    pub rtt: Duration,
}

/// What a device said of its path to one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportedPath {
    /// When it said so.
    pub at: UnixTime,
    /// What it said.
    pub report: PathReport,
}

/// A device whose proof was good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Who.
    pub device: NodeId,
    /// Its connection.
    pub presence: Presence,
    /// The relay it was told of.
    pub relay: Option<SocketAddr>,
    /// The revision of the map it holds; 0 for none.
    pub revision: u64,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Tell every online device.
    Broadcast(ToAgent),
    /// Forget both ends of a relay channel.
    CloseChannel([u32; 2]),
    /// Say this to a device and end its connection.
    End {
        /// Which device.
        device: NodeId,
        /// The last words.
        farewell: ToAgent,
    },
    /// Join two numbers of the relay: what a device sends to its own number reaches the other under the other's.
    OpenChannel([(NodeId, u32); 2]),
    /// Tell one device.
    Send {
        /// Which device.
        to: NodeId,
        /// What.
        message: ToAgent,
    },
}

/// The mesh as it is at this moment.
#[derive(Debug)]
pub struct Coordinator {
    roster: Roster,
    news: News,
    online: BTreeMap<NodeId, Online>,
    pairs: Pairs,
    reports: Reports,
    searches: Searches,
    wishes: Wishes,
    outputs: VecDeque<Output>,
    rng: ChaCha20Rng,
}

#[derive(Debug)]
struct Online {
    presence: Presence,
    relay: Option<SocketAddr>,
    /// Its IPv4 address as STUN sees it, where the control connection comes over IPv6.
    vouched: Option<SocketAddr>,
    candidates: Option<CandidateSet>,
    paths: BTreeMap<NodeId, ReportedPath>,
    /// Its owner wants it to use the relay only.
    relay_only: bool,
    /// It is connected to another server, which tells it of the mesh.
    elsewhere: bool,
}

impl Coordinator {
    /// A mesh without devices. The seed makes relay channels and attempts unguessable.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            roster: Roster::default(),
            news: News::default(),
            online: BTreeMap::new(),
            pairs: Pairs::default(),
            reports: Reports::default(),
            searches: Searches::default(),
            wishes: Wishes::default(),
            outputs: VecDeque::new(),
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    /// The revision up to which the roster is known.
    pub fn revision(&self) -> u64 {
        self.roster.revision()
    }

    /// An active device.
    pub fn member(&self, device: NodeId) -> Option<&Member> {
        self.roster.member(device)
    }

    /// The connection of a device, while it is online.
    pub fn presence(&self, device: NodeId) -> Option<&Presence> {
        self.online.get(&device).map(|online| &online.presence)
    }

    /// The paths of an online device, by peer.
    pub fn paths(&self, device: NodeId) -> impl Iterator<Item = &ReportedPath> {
        self.online.get(&device).into_iter().flat_map(|online| online.paths.values())
    }

    /// The path of an online device to one peer.
    pub fn path(&self, device: NodeId, peer: NodeId) -> Option<&ReportedPath> {
        self.online.get(&device)?.paths.get(&peer)
    }

    /// Where an online device says that it may be reached, and what it says of its NAT.
    pub fn candidates(&self, device: NodeId) -> Option<&CandidateSet> {
        self.online.get(&device)?.candidates.as_ref()
    }

    /// Takes the oldest revision that a device may hold and still be told only what changed since.
    pub fn set_oldest_revision(&mut self, oldest: u64) {
        self.roster.set_oldest(oldest);
    }

    /// A device was enrolled, changed or ended. Ended ones are told and forgotten at once; so are their peers told.
    pub fn handle_roster_change(&mut self, device: NodeId, change: RosterChange, revision: u64, now: Instant) {
        let ended = match &change {
            RosterChange::Active(_) => None,
            RosterChange::Ended(how) => Some(*how),
        };
        let was_relay_only = self.is_relay_only(device);
        self.roster.apply(device, change, revision);
        match ended {
            None => {
                self.roster.mark(device, now);
                self.follow_policy(device, was_relay_only, now);
            }
            Some(how) => self.end(device, how),
        }
    }

    fn end(&mut self, device: NodeId, how: Ended) {
        if self.online.remove(&device).is_some() {
            self.outputs.push_back(Output::End { device, farewell: farewell(how) });
        }
        self.close_pairs(device);
        // at once and with whatever was waiting: the revision it carries covers that too
        let map = self.roster.flush(&[device], |id| standing(&self.online, id));
        self.outputs.push_back(Output::Broadcast(ToAgent::Map(map)));
    }

    /// A device proved itself. Its map goes out before anything else; a connection it had before is the caller's to end.
    pub fn handle_arrival(&mut self, arrival: Arrival, now: Instant) {
        let (device, revision) = (arrival.device, arrival.revision);
        self.admit(arrival, false);
        for map in self.roster.maps_since(revision, |id| standing(&self.online, id)) {
            self.send(device, ToAgent::Map(map));
        }
        self.note_newcomer(device);
        self.note_move(device, now);
        for peer in self.pairs.of(device) {
            self.open(device, peer, now);
        }
    }

    /// A device connected to another server.
    pub fn handle_arrival_elsewhere(&mut self, arrival: Arrival, now: Instant) {
        let device = arrival.device;
        self.admit(arrival, true);
        self.note_move(device, now);
        for peer in self.pairs.of(device) {
            self.open(device, peer, now);
        }
    }

    fn admit(&mut self, arrival: Arrival, elsewhere: bool) {
        let Arrival { device, presence, relay, revision: _ } = arrival;
        if self.online.contains_key(&device) {
            self.forget_connection(device);
        }
        let paths = BTreeMap::new();
        let (vouched, candidates, relay_only) = (None, None, false);
        self.online.insert(device, Online { presence, relay, vouched, candidates, paths, relay_only, elsewhere });
    }

    /// Everybody with whom a device has a pair here.
    pub fn peers(&self, device: NodeId) -> Vec<NodeId> {
        self.pairs.of(device)
    }

    /// A pair is another server's from here on.
    pub fn release(&mut self, device: NodeId, peer: NodeId) {
        self.close(pair::key(device, peer));
    }

    /// What a device said last of where it may be reached, and whether it wants to use the relay only.
    pub fn said(&self, device: NodeId) -> Option<(Option<&CandidateSet>, bool)> {
        self.online.get(&device).map(|online| (online.candidates.as_ref(), online.relay_only))
    }

    /// The revision up to which every device connected here has been told; 0 while that is under way.
    pub fn told(&self) -> u64 {
        self.roster.told()
    }

    /// A device's connection ended.
    pub fn handle_departure(&mut self, device: NodeId, now: Instant) {
        if self.online.contains_key(&device) {
            self.forget_connection(device);
            self.online.remove(&device);
            self.note_move(device, now);
            self.drop_unwanted_pairs(device);
        }
    }

    /// A device's address or round-trip time, measured anew.
    pub fn handle_measurement(&mut self, device: NodeId, observed: SocketAddr, rtt: Duration) {
        let Some(online) = self.online.get_mut(&device) else { return };
        online.presence.rtt = rtt;
        if online.presence.observed != observed {
            online.presence.observed = observed;
            if !online.elsewhere {
                self.send(device, ToAgent::Observed(observed));
            }
        }
    }

    /// An address of a device that was seen elsewhere than on its connection, as somebody vouches who is to be believed.
    pub fn handle_vouched(&mut self, device: NodeId, addr: SocketAddr) {
        if let Some(online) = self.online.get_mut(&device) {
            online.vouched = Some(addr).filter(|addr| addr.is_ipv4() && is_usable(*addr));
        }
    }

    /// Where a device may be reached; passed on to those it has a channel with.
    pub fn handle_candidates(&mut self, device: NodeId, set: CandidateSet, now: Instant) {
        let Some(online) = self.online.get_mut(&device) else { return };
        if online.candidates.as_ref().is_some_and(|held| held.epoch > set.epoch) {
            return;
        }
        let set = with_observed(set, online.presence.observed);
        let before = outside(online);
        online.candidates = Some(set);
        let moved = outside(online) != before;
        for peer in self.pairs.open_with(device) {
            self.tell_candidates(peer, device);
            if moved && self.has_inner(peer) {
                self.tell_candidates(device, peer);
            }
            self.start_if_waiting(device, peer, now);
        }
    }

    fn has_inner(&self, device: NodeId) -> bool {
        let set = self.online.get(&device).and_then(|online| online.candidates.as_ref());
        set.is_some_and(|set| set.candidates.iter().any(|candidate| candidate.kind == CandidateKind::Inner))
    }

    /// A device wants to reach a peer.
    pub fn handle_connect(&mut self, device: NodeId, peer: NodeId, now: Instant) {
        let known = device != peer && self.online.contains_key(&device) && self.roster.member(peer).is_some();
        if known && self.want(device, peer) {
            self.open(device, peer, now);
        }
    }

    /// A device measured a path. True when it was worth keeping. What cannot be is made harmless: a device may lie about
    /// itself, but not break what is made of it.
    pub fn handle_path_report(&mut self, device: NodeId, mut report: PathReport, at: UnixTime) -> bool {
        let sensible = device != report.peer
            && self.roster.member(report.peer).is_some()
            && KINDS.contains(&report.kind.as_str())
            && VIAS.contains(&report.via.as_str());
        let Some(online) = self.online.get_mut(&device).filter(|_| sensible) else { return false };
        if online.paths.len() >= MAX_PATHS && !online.paths.contains_key(&report.peer) {
            return false;
        }
        let now = u64::try_from(at.since_epoch().as_millis()).unwrap_or(u64::MAX);
        report.rtt_us = report.rtt_us.min(MAX_RTT_US);
        report.since_unix_ms = report.since_unix_ms.min(now);
        report.probes_lost = report.probes_lost.min(report.probes);
        if !is_word(&report.reason_code) {
            report.reason_code.clear();
        }
        if report.kind == "direct" {
            self.searches.end(device, report.peer);
        }
        online.paths.insert(report.peer, ReportedPath { at, report });
        true
    }

    /// Does what is due: gathered presence, postponed starts.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.roster.flush_at().is_some_and(|at| at <= now) {
            self.broadcast_marked();
        }
        self.tell_presence(now);
        self.start_due(now);
        self.judge_due(now);
        self.search_due(now);
        self.ping_due(now);
    }

    fn broadcast_marked(&mut self) {
        let map = self.roster.flush(&[], |id| standing(&self.online, id));
        self.outputs.push_back(Output::Broadcast(ToAgent::Map(map)));
    }

    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let told = [self.roster.flush_at(), self.news.due(), self.roster.census_at()];
        let due = [self.pairs.next_due(), self.reports.next_due(), self.searches.next_due()];
        told.into_iter().chain(due).chain([self.wishes.next_due()]).flatten().min()
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn send(&mut self, to: NodeId, message: ToAgent) {
        self.outputs.push_back(Output::Send { to, message });
    }
}

impl Online {
    /// Its IPv4 address as we see it, or somebody whom we believe.
    fn seen_v4(&self) -> Option<SocketAddr> {
        let observed = self.presence.observed;
        // a WebSocket's client has no port that a peer could reach
        if observed.is_ipv4() && observed.port() != 0 { Some(observed) } else { self.vouched }
    }
}

/// What a map says of a member beside its certificate, as far as its connection tells.
fn standing(online: &BTreeMap<NodeId, Online>, device: NodeId) -> Standing {
    let online = online.get(&device);
    Standing { online: online.is_some(), relay_only: online.is_some_and(|online| online.relay_only) }
}

fn farewell(how: Ended) -> ToAgent {
    match how {
        Ended::LoggedOut => ToAgent::LoggedOut,
        Ended::Revoked => ToAgent::Refused(Refused {
            code: RefusedCode::DeviceRevoked,
            text: "this device was removed from the network by an administrator".to_owned(),
        }),
    }
}

/// The set, surely with the one address we know by ourselves to be the device's.
fn with_observed(mut set: CandidateSet, observed: SocketAddr) -> CandidateSet {
    let known = set.candidates.iter().any(|candidate| candidate.addr == observed);
    if !known && is_usable(observed) {
        set.candidates.truncate(MAX_CANDIDATES - 1);
        set.candidates.push(Candidate { addr: observed, kind: CandidateKind::Reflexive });
    }
    set
}

/// A stable word, also one of a newer agent.
fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Paths one device can have something to say of: as many as it can have channels.
const MAX_PATHS: usize = 1024;
/// A minute: no path is longer, and no ping is waited for so long.
const MAX_RTT_US: u64 = 60_000_000;
/// Twice the longest reason there is.
const MAX_WORD: usize = 64;
/// The words of `PathReport.kind`.
const KINDS: [&str; 3] = ["direct", "none", "relay"];
/// The words of `PathReport.via`.
const VIAS: [&str; 6] = ["", "ipv4", "ipv6", "lan", "udp-relay", "websocket-relay"];
