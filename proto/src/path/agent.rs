//! The border of `path`, and the order of work behind it.
//!
//! Every input changes a few fields and then calls `advance`, which does all that is due, in one fixed order. So each
//! kind of work has one place, and a deadline that is met late is met all the same.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::budget::Ledger;
use super::explain::{self, Attempt, Explanation, Facts, Log};
use super::knock::Series;
use super::liveness::Traffic;
use super::pair::Pair;
use super::remotes::{PAIRS_MAX, REFLEXIVE_MAX};
use super::round::{Retry, Round};
use super::schedule::Pacer;
use super::score::{Site, Tier};
use super::search::{Rest, Search};
use super::{Charge, PathEvent, Probe, ProbeBody, Selection, Settings, Via};
use crate::candidate::CandidateSet;
use crate::candidate::MAX_CANDIDATES;
use crate::io::Remote;
use crate::wire::path_probe::ProbeId;

/// Finds, proves and keeps the best path to one peer.
pub struct Agent {
    pub(super) settings: Settings,
    pub(super) rng: ChaCha8Rng,
    /// Whether pings can be sealed.
    pub(super) ready: bool,
    /// What sealing adds to a ping; see [`Self::session_ready`].
    pub(super) esp_overhead: usize,
    pub(super) local: CandidateSet,
    pub(super) remote: CandidateSet,
    pub(super) site: Site,
    pub(super) pairs: BTreeMap<Remote, Pair>,
    pub(super) selected: Option<Selected>,
    pub(super) round: Option<Round>,
    pub(super) retry: Retry,
    /// Whether handshakes must find their own way.
    pub(super) unaided: bool,
    pub(super) series: Option<Series>,
    pub(super) search: Option<Search>,
    /// Under whose record the last search is logged, while it may still turn out well.
    pub(super) searched: Option<Remote>,
    pub(super) rest: Rest,
    pub(super) ledger: Ledger,
    pub(super) pacer: Pacer,
    pub(super) traffic: Traffic,
    pub(super) keepalive_at: Option<Instant>,
    pub(super) reviewed_at: Instant,
    /// Bytes that had been sent when the size of the path in use was last to be confirmed under load.
    pub(super) confirmed_load: u64,
    pub(super) asked: Vec<(ProbeId, u64)>,
    pub(super) log: Log,
    /// Nothing but the relay may be used.
    pub(super) relay_only: bool,
    pub(super) output: Output,
}

/// The path that data is sent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Selected {
    pub(super) remote: Remote,
    pub(super) since: Instant,
}

/// What waits for the driver.
#[derive(Debug, Default)]
pub(super) struct Output {
    probes: VecDeque<Probe>,
    replies: VecDeque<PathEvent>,
    /// What the driver was last told to look at.
    published: Published,
    sample_wanted: bool,
    search_wanted: bool,
    selection_changed: bool,
    sockets_changed: bool,
    start_wanted: bool,
    report_wanted: bool,
}

/// What a change of which is told: where data goes, in which size, and where it goes as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Published {
    selection: Option<(Remote, usize)>,
    hedge: Option<Remote>,
}

impl Agent {
    /// An agent that knows nothing yet. The same seed and inputs give the same outputs.
    pub fn new(seed: u64, settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            rng: ChaCha8Rng::seed_from_u64(seed),
            ready: false,
            esp_overhead: 0,
            local: CandidateSet::default(),
            remote: CandidateSet::default(),
            site: Site::default(),
            pairs: BTreeMap::new(),
            selected: None,
            round: None,
            retry: Retry::default(),
            unaided: false,
            series: None,
            search: None,
            searched: None,
            rest: Rest::default(),
            ledger: Ledger::new(now),
            pacer: Pacer::new(now),
            traffic: Traffic::default(),
            keepalive_at: None,
            reviewed_at: now,
            confirmed_load: 0,
            asked: Vec::new(),
            log: Log::default(),
            relay_only: false,
            output: Output::default(),
        }
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The next datagram to send; drain after every call.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        self.output.probes.pop_front()
    }

    /// The next event; drain after every call.
    pub fn poll_event(&mut self) -> Option<PathEvent> {
        if std::mem::take(&mut self.output.selection_changed) {
            return Some(PathEvent::Selected);
        }
        if std::mem::take(&mut self.output.sockets_changed) {
            return Some(PathEvent::SocketsChanged);
        }
        if std::mem::take(&mut self.output.sample_wanted) {
            return Some(PathEvent::WantSample);
        }
        if std::mem::take(&mut self.output.search_wanted) {
            return Some(PathEvent::WantSearch);
        }
        if std::mem::take(&mut self.output.start_wanted) {
            return Some(PathEvent::WantStart);
        }
        if std::mem::take(&mut self.output.report_wanted) {
            return Some(PathEvent::WantReport);
        }
        self.output.replies.pop_front()
    }

    /// When `handle_timeout` is next needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let openers = self.pairs.values().filter_map(Pair::opener_deadline);
        let always = openers.chain(self.round.map(|round| round.deadline())).chain(self.series_deadline());
        let pacer = self.pacer.ready_at();
        if !self.ready {
            let knocks = self.pairs.values().filter_map(|pair| pair.probe_deadline(pacer));
            return always.chain(knocks.filter(|_| self.unaided)).min();
        }
        let pairs = self.pairs.values().filter_map(|pair| pair.deadline(pacer));
        let retry = if self.is_direct() || self.relay_only { None } else { self.retry.deadline() };
        let search = self.search_deadline().into_iter().chain(self.ask_search_deadline());
        always.chain(pairs).chain(retry).chain(search).chain(self.keepalive_at).min()
    }

    /// Where data goes; none without a session.
    pub fn selection(&self) -> Option<Selection> {
        let Selected { remote, since } = self.selected?;
        let pair = self.pairs.get(&remote)?;
        let udp_payload = pair.mtu.working().unwrap_or(super::BASE_UDP_PAYLOAD);
        Some(Selection { remote, via: self.via(remote), rtt: pair.srtt(), udp_payload, since })
    }

    /// Where data goes as well, while the selected path is in doubt.
    pub fn hedge(&self) -> Option<Remote> {
        let doubted = self.selected_pair().is_some_and(Pair::is_hedged);
        self.relay().filter(|_| doubted).map(|pair| pair.remote)
    }

    /// Why this path.
    pub fn explain(&self, peer_online: bool) -> Explanation {
        let tier = self.selected.map(|selected| Tier::of(selected.remote, &self.site));
        let trying = !self.ready || self.round.is_some() || self.retry.is_asking();
        let (relay_only, forbidden) = (self.relay_only, self.log.is_forbidden());
        Facts { tier, peer_online, trying, relay_only, forbidden, local: &self.local, remote: &self.remote }.explain()
    }

    /// A probe of ours was not sent: all peers together had used up what there is.
    pub fn note_refused(&mut self, probe: &Probe) {
        let remote = match probe.charge {
            Charge::Search => self.searched,
            Charge::Nothing | Charge::Stranger => Some(probe.to),
        };
        if let Some(remote) = remote {
            self.log.refused(remote);
        }
    }

    /// Whether no server ever saw this device from outside, so that UDP does not seem to leave its network.
    pub fn is_udp_blocked(&self) -> bool {
        explain::is_unreachable(&self.local)
    }

    /// What the peer says of where it is.
    pub fn remote_candidates(&self) -> &CandidateSet {
        &self.remote
    }

    /// What was tried lately, oldest first; at most 32.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.log.iter()
    }

    /// Does all that is due at `now`. The order matters: what died is given up before a path is chosen, the choice is
    /// made before it is looked after, and whatever plans all that made begin at once.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.ready {
            self.run_checks(now);
            self.run_sizes(now);
        }
        self.select(now);
        if self.ready {
            self.run_sizes(now);
            self.run_keepalive(now);
        }
        self.end_round(now);
        if self.ready {
            self.run_retry(now);
        }
        self.begin_round(now);
        self.run_series(now);
        self.run_plans(now);
        if self.ready {
            self.ask_for_search(now);
            self.run_search(now);
        }
        self.close_idle_auxiliaries(now);
        self.publish();
        self.check_invariants();
    }

    pub(super) fn selected_pair(&self) -> Option<&Pair> {
        self.pairs.get(&self.selected?.remote)
    }

    pub(super) fn relay(&self) -> Option<&Pair> {
        self.pairs.values().find(|pair| !pair.is_direct())
    }

    pub(super) fn is_selected(&self, remote: Remote) -> bool {
        self.selected.is_some_and(|selected| selected.remote == remote)
    }

    /// Whether data goes straight to the peer.
    pub(super) fn is_direct(&self) -> bool {
        self.selected.is_some_and(|selected| selected.remote.straight().is_some())
    }

    pub(super) fn remotes(&self) -> Vec<Remote> {
        self.pairs.keys().copied().collect()
    }

    pub(super) fn via(&self, remote: Remote) -> Via {
        match (remote, Tier::of(remote, &self.site)) {
            (Remote::Relay(channel), _) if channel.is_tunnelled() => Via::WebSocketRelay,
            (Remote::Relay(_), _) => Via::UdpRelay,
            (Remote::Auxiliary(_) | Remote::Direct(_), Tier::Lan) => Via::Lan,
            (Remote::Direct(addr), _) if addr.is_ipv6() => Via::Ipv6,
            (Remote::Auxiliary(_) | Remote::Direct(_), _) => Via::Ipv4,
        }
    }

    /// Queues a datagram; at the limit the oldest goes, as on a congested link.
    pub(super) fn push_probe(&mut self, probe: Probe) {
        if self.output.probes.len() == PROBES_MAX {
            self.output.probes.pop_front();
        }
        self.output.probes.push_back(probe);
    }

    pub(super) fn push_reply(&mut self, token: u64, rtt: Duration, remote: Remote) {
        if self.output.replies.len() == REPLIES_MAX {
            self.output.replies.pop_front();
        }
        let via = self.via(remote);
        self.output.replies.push_back(PathEvent::PingReply { token, rtt, remote, via });
    }

    pub(super) fn sockets_changed(&mut self) {
        self.output.sockets_changed = true;
    }

    pub(super) fn want_sample(&mut self) {
        self.output.sample_wanted = true;
    }

    pub(super) fn want_search(&mut self) {
        self.output.search_wanted = true;
    }

    pub(super) fn want_start(&mut self) {
        self.output.start_wanted = true;
    }

    pub(super) fn want_report(&mut self) {
        self.output.report_wanted = true;
    }

    /// Forgets what only a session could carry.
    pub(super) fn drop_sealed_probes(&mut self) {
        self.output.probes.retain(|probe| matches!(probe.body, ProbeBody::Knock | ProbeBody::Opener));
        self.asked.clear();
    }

    fn publish(&mut self) {
        let selection = self.selection().map(|selection| (selection.remote, selection.udp_payload));
        let state = Published { selection, hedge: self.hedge() };
        if self.output.published != state {
            self.output.published = state;
            self.output.selection_changed = true;
        }
    }

    fn check_invariants(&self) {
        debug_assert!(self.pairs.len() <= PAIRS_MAX);
        debug_assert!(self.pairs.values().filter(|pair| !pair.is_direct()).count() <= 1);
        debug_assert!(self.pairs.values().filter(|pair| pair.is_reflexive()).count() <= REFLEXIVE_MAX);
        debug_assert!(self.remote.candidates.len() <= MAX_CANDIDATES);
        debug_assert!(self.selected.is_none_or(|selected| self.ready && self.pairs.contains_key(&selected.remote)));
        debug_assert!(self.hedge().is_none() || self.is_direct());
        debug_assert!(!self.relay_only || !self.pairs.values().any(Pair::is_direct));
    }
}

/// More than one call can make: a probe and a pong for every pair.
const PROBES_MAX: usize = 64;
/// Pings that a person waits for at the same time.
pub(super) const REPLIES_MAX: usize = 16;
