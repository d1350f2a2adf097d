//! The search for a port where a NAT maps every destination anew.
//!
//! When the basic punch has had its time, the rendezvous is asked for a search; it allows few at a time behind one public
//! address, and starts both ends together. From both reports follows what is done (`PortSearch`): the *hard* side, whose NAT chooses, opens sockets toward the one
//! address of the other; the *easy* side tries ports of the address that the rendezvous itself has seen the peer at, and
//! no other. What is hit answers or probes like any unknown address, and the pair goes the way of all pairs. The winner's
//! socket stays, every other is closed at once. Which ports, and when, is `predict`'s; who may search, the peer layer's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_core::Rng;

use super::agent::Agent;
use super::explain::Technique;
use super::predict::{self, Shot};
use super::schedule::{self, OPENER_TTL};
use super::{Charge, Probe, ProbeBody};
use crate::candidate::{Allocation, Hard, PREDICTED_PORTS, PortSearch};
use crate::io::{Auxiliary, Obstacle, Remote, SocketId};
use crate::wire::path_probe::{PING_MIN, Ping, ProbeId};

/// A search that was allowed, from the start it came with until it found something or its time is over.
#[derive(Debug)]
pub(super) struct Search {
    /// The peer as the rendezvous sees it.
    peer: SocketAddr,
    /// The rendezvous's number.
    number: u64,
    /// When both ends are to begin.
    since: Instant,
    /// What was known of our NAT, and of the peer's, when the start came: a fresh look was asked for then.
    before: [Option<Allocation>; 2],
    /// When something else was known of each.
    fresh_at: [Option<Instant>; 2],
    work: Option<Work>,
}

/// A search under way.
#[derive(Debug)]
struct Work {
    kind: PortSearch,
    began: Instant,
    ends: Instant,
    sockets: Vec<SocketId>,
    shots: VecDeque<Shot>,
    /// Pings without a pong yet.
    awaited: VecDeque<(Remote, ProbeId, Instant)>,
    /// Datagrams of which it was said that they are not carried.
    obstructed: usize,
}

/// How long to leave a pair alone after birthday searches that found nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    fn fail(&mut self, now: Instant) {
        self.until = Some(now + (REST * (1 << self.failures)).min(REST_MAX));
        self.failures = (self.failures + 1).min(REST_DOUBLINGS);
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

impl Search {
    fn new(peer: SocketAddr, number: u64, before: [Option<Allocation>; 2], since: Instant) -> Self {
        Self { peer, number, since, before, fresh_at: [None; 2], work: None }
    }

    /// What is known of the two NATs by now.
    fn note(&mut self, known: [Option<Allocation>; 2], now: Instant) {
        for (index, known) in known.into_iter().enumerate() {
            if known != self.before[index] {
                self.fresh_at[index].get_or_insert(now);
            }
        }
    }

    /// When it is to begin, given what is known. A side that tries ports waits until the other has opened its sockets: an
    /// unasked datagram could leave an entry in the NAT that spoils the port.
    fn begins(&self, kind: PortSearch) -> Instant {
        let [ours, theirs] = self.fresh_at;
        match kind {
            // the look may show that it counts after all
            PortSearch::Birthday(Hard::First) => ours.map_or(self.since + SAMPLE_WAIT, |ours| ours.max(self.since)),
            PortSearch::Birthday(Hard::Second) => self.since + SOCKETS_FIRST,
            PortSearch::Meeting => {
                ours.zip(theirs).map_or(self.since + REPORTS_WAIT, |(ours, theirs)| ours.max(theirs))
            }
            PortSearch::Prediction(Hard::First) => ours.unwrap_or(self.since + SAMPLE_WAIT),
            PortSearch::Prediction(Hard::Second) => {
                theirs.map_or(self.since + REPORTS_WAIT, |theirs| theirs + schedule::LEAD_MAX)
            }
        }
    }
}

impl Agent {
    /// The rendezvous lets both ends search for a port of `peer`, at which it sees the other end itself.
    pub(super) fn allow_search(&mut self, number: u64, peer: SocketAddr, since: Instant, now: Instant) {
        let hindered = self.search.is_some() || !self.ready || self.has_proved_path() || peer.is_ipv6();
        let Some(kind) = self.search_kind().filter(|_| !hindered) else { return };
        if matches!(kind, PortSearch::Birthday(_)) && !self.rest.is_over(now) {
            return;
        }
        self.search = Some(Search::new(peer, number, self.allocations(), since));
        if self.local.nat.mapping.is_dependent() {
            self.want_sample();
        }
        self.extend_round(number, since, since + REPORTS_WAIT + SOCKETS_FIRST);
    }

    /// When the rendezvous is to be asked for a search, in a round whose probes began at `since`.
    pub(super) fn ask_search_at(&self, since: Instant) -> Option<Instant> {
        let kind = self.search_kind().filter(|_| self.search.is_none())?;
        match kind {
            PortSearch::Birthday(_) => self.rest.is_over(since).then_some(since + BASIC_FIRST),
            PortSearch::Meeting | PortSearch::Prediction(_) => Some(since + BASIC_FIRST_BRIEFLY),
        }
    }

    /// Whether a direct path answers; nothing needs to be searched for then.
    pub(super) fn has_proved_path(&self) -> bool {
        self.pairs.values().any(|pair| pair.is_direct() && pair.is_proved())
    }

    /// Whether a socket beside the one that everything uses is still needed.
    pub fn uses(&self, socket: SocketId) -> bool {
        let working = self.search.as_ref().and_then(|search| search.work.as_ref());
        working.is_some_and(|work| work.sockets.contains(&socket))
            || self.pairs.keys().any(|remote| remote.socket() == Some(socket))
    }

    /// Whether a search was allowed and is not over.
    pub fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// The sockets that paths go by, beside the one that everything uses.
    pub fn kept_sockets(&self) -> usize {
        self.pairs.keys().filter(|remote| remote.socket().is_some()).count()
    }

    /// Either report may be another one.
    pub(super) fn note_reports(&mut self, now: Instant) {
        if let Some(search) = &mut self.search {
            search.note([self.local.nat.allocation, self.remote.nat.allocation], now);
        }
    }

    pub(super) fn search_deadline(&self) -> Option<Instant> {
        let search = self.search.as_ref()?;
        if let Some(work) = &search.work {
            return Some(work.shots.front().map_or(work.ends, |shot| work.began + shot.after));
        }
        self.search_kind().map(|kind| search.begins(kind))
    }

    /// Begins, sends what is due, or ends.
    pub(super) fn run_search(&mut self, now: Instant) {
        if self.search.is_none() {
            return;
        }
        if self.has_proved_path() {
            return self.drop_search();
        }
        self.begin_search_if_due(now);
        while let Some((remote, shot)) = self.next_shot(now) {
            self.shoot(remote, shot, now);
        }
        if self.search.as_ref().and_then(|search| search.work.as_ref()).is_some_and(|work| work.ends <= now) {
            self.end_search(now);
        }
    }

    /// Its time is over.
    pub(super) fn end_search(&mut self, now: Instant) {
        let kind = self.search.as_ref().and_then(|search| search.work.as_ref()).map(|work| work.kind);
        if let Some(PortSearch::Birthday(_)) = kind {
            self.rest.fail(now);
        }
        self.drop_search();
    }

    /// Nothing more is searched for; sockets that no path goes by are closed.
    pub(super) fn drop_search(&mut self) {
        if self.search.take().is_some_and(|search| search.work.is_some()) {
            self.sockets_changed();
        }
    }

    /// A pong to one of the search's pings: what it came from enters the table, with the ping that it answers.
    pub(super) fn adopt_answer(&mut self, from: Remote, id: ProbeId, now: Instant) {
        let Some(work) = self.search.as_mut().and_then(|search| search.work.as_mut()) else { return };
        let Some(index) = work.awaited.iter().position(|(remote, awaited, _)| (*remote, *awaited) == (from, id)) else {
            return;
        };
        let Some((_, _, at)) = work.awaited.remove(index) else { return };
        let technique = technique(work.kind);
        let number = self.round_number();
        if self.learn(from, now)
            && let Some(pair) = self.pairs.get_mut(&from)
        {
            self.log.open(number, technique, from, now);
            pair.pinged(id, PING_MIN + self.esp_overhead, false, at);
        }
    }

    /// It was said of one of its datagrams that it is not carried: if of several, none will be.
    pub(super) fn hinder_search(&mut self, remote: Remote, obstacle: Obstacle, now: Instant) {
        if !self.is_searched(remote) {
            return;
        }
        let Some(work) = self.search.as_mut().and_then(|search| search.work.as_mut()) else { return };
        work.obstructed += 1;
        if work.obstructed >= OBSTRUCTED {
            if let Some(searched) = self.searched {
                self.log.obstructed(searched, obstacle);
            }
            self.end_search(now);
            self.advance(now);
        }
    }

    /// Whether a search under way sends to it.
    pub(super) fn is_searched(&self, remote: Remote) -> bool {
        let Some(search) = self.search.as_ref().filter(|search| search.work.is_some()) else { return false };
        remote.straight().is_some_and(|addr| addr.ip() == search.peer.ip())
    }

    /// How an address that nobody named is found while a search is on.
    pub(super) fn search_technique(&self) -> Option<Technique> {
        self.search.as_ref()?.work.as_ref().map(|work| technique(work.kind))
    }

    fn search_kind(&self) -> Option<PortSearch> {
        PortSearch::between(&self.local.nat, &self.remote.nat)
    }

    fn allocations(&self) -> [Option<Allocation>; 2] {
        [self.local.nat.allocation, self.remote.nat.allocation]
    }

    fn begin_search_if_due(&mut self, now: Instant) {
        let Some(kind) = self.search_kind() else { return };
        let Some(search) = self.search.as_mut().filter(|search| search.work.is_none()) else { return };
        if search.begins(kind) > now {
            return;
        }
        let port = search.peer.port();
        let ((delta, last), theirs) = (self.remote.nat.sequence().unwrap_or_default(), self.remote.nat.allocation);
        let (sockets, shots, lasts) = match kind {
            PortSearch::Birthday(Hard::First) => {
                let sockets = predict::birthday_sockets(self.local.nat.allocation);
                (sockets, predict::aim(sockets, port, &[]), SOCKETS_LIVE)
            }
            PortSearch::Birthday(Hard::Second) => {
                (0, predict::spray(&predict::shuffled(theirs, &mut self.rng), &AT_ONCE), SPRAY_LASTS)
            }
            PortSearch::Meeting => {
                let Some(port) = predict::meeting(delta, last) else { return self.drop_search() };
                (PREDICTED_PORTS, predict::aim(PREDICTED_PORTS, port, &MEETING_SWEEPS), PREDICTION_LASTS)
            }
            PortSearch::Prediction(Hard::First) => (1, predict::aim(1, port, &PREDICTION_SWEEPS), PREDICTION_LASTS),
            PortSearch::Prediction(Hard::Second) => {
                (0, predict::spray(&predict::predicted(delta, last), &TWICE), PREDICTION_LASTS)
            }
        };
        // the upper half of the numbers is the driver's
        let sockets = (0..sockets).map(|_| SocketId(self.rng.next_u64() >> 1)).collect();
        let (ends, awaited, obstructed) = (now + lasts, VecDeque::new(), 0);
        let (number, remote) = (search.number, Remote::Direct(search.peer));
        search.work = Some(Work { kind, began: now, ends, sockets, shots: shots.into(), awaited, obstructed });
        self.extend_round(number, now, ends);
        self.log_search(number, technique(kind), remote, now);
    }

    /// The next datagram that is due. After a pause of ours, what was missed is sent later, not all at once.
    fn next_shot(&mut self, now: Instant) -> Option<(Remote, Shot)> {
        let search = self.search.as_mut()?;
        let work = search.work.as_mut()?;
        let shot = *work.shots.front()?;
        let due = work.began + shot.after;
        if due > now {
            return None;
        }
        let late = now.saturating_duration_since(due);
        if late > LATE_MAX {
            work.began += late;
        }
        work.shots.pop_front();
        let peer = SocketAddr::new(search.peer.ip(), shot.port);
        let by = |socket: &SocketId| Remote::Auxiliary(Auxiliary { socket: *socket, peer });
        let socket = shot.socket.and_then(|index| work.sockets.get(index));
        Some((socket.map_or(Remote::Direct(peer), by), shot))
    }

    fn shoot(&mut self, remote: Remote, shot: Shot, now: Instant) {
        if shot.is_opener {
            let (ttl, body) = (Some(OPENER_TTL), ProbeBody::Opener);
            return self.push_probe(Probe { to: remote, ttl, body, charge: Charge::Search });
        }
        let mut id = ProbeId([0; 12]);
        self.rng.fill_bytes(&mut id.0);
        if let Some(work) = self.search.as_mut().and_then(|search| search.work.as_mut()) {
            let expired = |(_, _, at): &mut (Remote, ProbeId, Instant)| now.saturating_duration_since(*at) >= LIFETIME;
            while work.awaited.pop_front_if(expired).is_some() {}
            work.awaited.push_back((remote, id, now));
        }
        if let Some(searched) = self.searched {
            self.log.sent(searched);
        }
        let body = ProbeBody::Ping(Ping { id, length: PING_MIN as u16 });
        self.push_probe(Probe { to: remote, ttl: None, body, charge: Charge::Search });
    }
}

const fn technique(kind: PortSearch) -> Technique {
    match kind {
        PortSearch::Birthday(_) => Technique::Birthday,
        PortSearch::Meeting => Technique::Meeting,
        PortSearch::Prediction(_) => Technique::Prediction,
    }
}

/// A look takes a round trip; without an answer by then the last one has to do.
const SAMPLE_WAIT: Duration = Duration::from_millis(1000);
/// Then it takes the way to the rendezvous and on to the peer.
const REPORTS_WAIT: Duration = Duration::from_millis(1500);
/// The basic punch has sent five of its seven probes; 1,000 datagrams are not sent for less.
const BASIC_FIRST: Duration = Duration::from_millis(1500);
/// It has sent four of them; a hundred datagrams more are no great loss.
const BASIC_FIRST_BRIEFLY: Duration = Duration::from_millis(500);
/// All sockets of the other side are open: 256 at 200 a second, and a report's way.
const SOCKETS_FIRST: Duration = Duration::from_millis(1400);
/// From the first socket of a birthday search to its end: 1,159 ports at 200 a second from `SOCKETS_FIRST` on, and time to
/// be answered. Below 15 s.
const SOCKETS_LIVE: Duration = Duration::from_secs(9);
/// 1,159 ports at 200 a second, and time to be answered.
const SPRAY_LASTS: Duration = Duration::from_millis(7500);
/// The last sweep, and time to be answered.
const PREDICTION_LASTS: Duration = Duration::from_millis(3000);
const AT_ONCE: [Duration; 1] = [Duration::ZERO];
/// The other side may open its socket a little after ours have been tried.
const TWICE: [Duration; 2] = [Duration::ZERO, Duration::from_millis(600)];
/// Probes of the one socket, when the other side has tried its port: an unasked one could spoil the port over there.
const PREDICTION_SWEEPS: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(2000)];
/// Each takes 160 ms; the first comes when the other side's sockets are open.
const MEETING_SWEEPS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(650), Duration::from_millis(1500)];
/// How late datagrams may make up for a pause of ours: eight at once.
const LATE_MAX: Duration = Duration::from_millis(40);
/// One refusal may be forged, or about what came too early; of so many datagrams in a row it is neither.
const OBSTRUCTED: usize = 8;
/// A pong that took longer answers a question nobody asks any more.
const LIFETIME: Duration = Duration::from_secs(5);
/// A search that found nothing will hardly find more soon, and costs both NATs a thousand datagrams.
const REST: Duration = Duration::from_secs(600);
const REST_MAX: Duration = Duration::from_secs(24 * 3600);
/// 10 minutes doubled so often are more than a day.
const REST_DOUBLINGS: u32 = 8;
