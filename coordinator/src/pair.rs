//! Pairs of devices that want each other: their relay channel and their synchronised starts.
//!
//! A pair lives while at least one of the two is online; its channel numbers stay the same as long as it lives, so that
//! a device whose control connection broke finds its channel as it left it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand_core::Rng;
use warren_proto::candidate::CandidateKind;
use warren_proto::control::{PairOpened, Start, ToAgent};
use warren_proto::keys::NodeId;

use super::timing::start_delays;
use super::{Coordinator, Online, Output};

/// Two different devices, the lower id first.
pub(super) type Key = [NodeId; 2];

#[derive(Debug, Default)]
pub(super) struct Pairs {
    by_key: BTreeMap<Key, Pair>,
    peers: BTreeMap<NodeId, BTreeSet<NodeId>>,
    channels: BTreeSet<u32>,
    due: BTreeSet<(Instant, Key)>,
}

#[derive(Debug)]
struct Pair {
    /// Of the lower id, of the higher id.
    channels: [u32; 2],
    state: State,
    attempt: u64,
    last_start: Option<Instant>,
}

/// How far a pair has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// One of the two is offline.
    Apart,
    /// Both have the channel; nothing is outstanding.
    Open,
    /// A start waits for its time.
    StartDue(Instant),
    /// A start waits for the candidates of one or both.
    StartWaits,
}

impl Pairs {
    /// Everyone who wants or is wanted by the device.
    pub(super) fn of(&self, device: NodeId) -> Vec<NodeId> {
        self.peers.get(&device).into_iter().flatten().copied().collect()
    }

    /// Everyone who shares an open channel with the device.
    pub(super) fn open_with(&self, device: NodeId) -> Vec<NodeId> {
        let open = |peer: &NodeId| self.by_key.get(&key(device, *peer)).is_some_and(|pair| pair.state != State::Apart);
        self.of(device).into_iter().filter(open).collect()
    }

    /// Whether both have the channel.
    pub(super) fn is_open(&self, key: Key) -> bool {
        self.by_key.get(&key).is_some_and(|pair| pair.state != State::Apart)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    fn set_state(&mut self, key: Key, state: State) {
        let Some(pair) = self.by_key.get_mut(&key) else { return };
        if let State::StartDue(at) = std::mem::replace(&mut pair.state, state) {
            self.due.remove(&(at, key));
        }
        if let State::StartDue(at) = state {
            self.due.insert((at, key));
        }
    }

    fn remove(&mut self, key: Key) -> Option<[u32; 2]> {
        self.set_state(key, State::Apart);
        let pair = self.by_key.remove(&key)?;
        for [device, peer] in [key, [key[1], key[0]]] {
            if let Some(peers) = self.peers.get_mut(&device) {
                peers.remove(&peer);
                if peers.is_empty() {
                    self.peers.remove(&device);
                }
            }
        }
        pair.channels.iter().for_each(|channel| {
            self.channels.remove(channel);
        });
        Some(pair.channels)
    }
}

impl Coordinator {
    /// Notes that a device wants a peer. False when it already wants as many as one may.
    pub(super) fn want(&mut self, device: NodeId, peer: NodeId) -> bool {
        let key = key(device, peer);
        if self.pairs.by_key.contains_key(&key) {
            return true;
        }
        if self.pairs.peers.get(&device).is_some_and(|peers| peers.len() >= MAX_PAIRS) {
            return false;
        }
        let channels = [self.fresh_channel(), self.fresh_channel()];
        let pair = Pair { channels, state: State::Apart, attempt: self.rng.next_u64(), last_start: None };
        self.pairs.by_key.insert(key, pair);
        self.pairs.peers.entry(device).or_default().insert(peer);
        self.pairs.peers.entry(peer).or_default().insert(device);
        true
    }

    /// Random, so that nobody can send into a channel it was not told of, and not zero, which is the relay itself.
    fn fresh_channel(&mut self) -> u32 {
        loop {
            let channel = self.rng.next_u32();
            if channel != 0 && self.pairs.channels.insert(channel) {
                return channel;
            }
        }
    }

    /// Brings a pair together, if both are online; `asker` is told again of a channel that is open already.
    pub(super) fn open(&mut self, asker: NodeId, peer: NodeId, now: Instant) {
        let key = key(asker, peer);
        if !self.pairs.by_key.contains_key(&key) {
            return;
        }
        if !key.iter().all(|device| self.online.contains_key(device)) {
            return self.tell_of_absence(asker, peer);
        }
        // an agent can do nothing with a pair whose other half its map does not name yet
        if key.iter().any(|device| self.roster.is_marked(*device)) {
            self.broadcast_marked();
        }
        self.tell_of_each_other(key);
        let Some(pair) = self.pairs.by_key.get_mut(&key) else { return };
        if pair.state == State::Apart {
            pair.attempt = self.rng.next_u64();
            let [low, high] = pair.channels;
            self.outputs.push_back(Output::OpenChannel([(key[0], low), (key[1], high)]));
            self.pairs.set_state(key, State::Open);
            self.tell_of_pair(key, 0);
            self.tell_of_pair(key, 1);
            self.request_start(key, true, now);
        } else {
            self.tell_of_pair(key, usize::from(key[1] == asker));
            self.request_start(key, false, now);
        }
    }

    /// Tells one of the two of its channel and of the other's candidates.
    fn tell_of_pair(&mut self, key: Key, side: usize) {
        let (device, peer) = (key[side], key[1 - side]);
        let Some(pair) = self.pairs.by_key.get(&key) else { return };
        let (channel, attempt) = (pair.channels[side], pair.attempt);
        if let Some(relay) = self.online.get(&device).and_then(|online| online.relay) {
            self.send(device, ToAgent::PairOpened(PairOpened { peer, relay, channel, attempt }));
        }
        self.tell_candidates(device, peer);
    }

    /// Tells a device where its peer may be reached, as far as that means anything where the device is.
    pub(super) fn tell_candidates(&mut self, device: NodeId, peer: NodeId) {
        if self.is_relay_only(device) || self.is_relay_only(peer) {
            return;
        }
        let (Some(here), Some(there)) = (self.online.get(&device), self.online.get(&peer)) else { return };
        let Some(mut set) = there.candidates.clone() else { return };
        if outside(here).is_disjoint(&outside(there)) {
            set.candidates.retain(|candidate| candidate.kind != CandidateKind::Inner);
        }
        self.send(device, ToAgent::PeerCandidates { peer, set });
    }

    /// Starts now, at the next time allowed, or once both have said where they are.
    fn request_start(&mut self, key: Key, renewed: bool, now: Instant) {
        let Some(pair) = self.pairs.by_key.get(&key) else { return };
        match pair.last_start {
            // the other one's wish for the same start, on its way when that one left
            Some(last) if !renewed && now.saturating_duration_since(last) < GLARE => {}
            Some(last) if now.saturating_duration_since(last) < START_EVERY => {
                self.pairs.set_state(key, State::StartDue(last + START_EVERY));
            }
            _ => self.start(key, now),
        }
    }

    pub(super) fn start_if_waiting(&mut self, device: NodeId, peer: NodeId, now: Instant) {
        let key = key(device, peer);
        if self.pairs.by_key.get(&key).is_some_and(|pair| pair.state == State::StartWaits) {
            self.start(key, now);
        }
    }

    pub(super) fn start_due(&mut self, now: Instant) {
        while let Some((_, key)) = self.pairs.due.first().copied().filter(|(at, _)| *at <= now) {
            self.pairs.set_state(key, State::Open);
            self.start(key, now);
        }
    }

    fn start(&mut self, key: Key, now: Instant) {
        let both = key.map(|device| self.online.get(&device));
        let [Some(low), Some(high)] = both else { return };
        if key.iter().any(|device| self.is_relay_only(*device)) {
            return self.pairs.set_state(key, State::Open);
        }
        if low.candidates.is_none() || high.candidates.is_none() {
            return self.pairs.set_state(key, State::StartWaits);
        }
        let delays = start_delays([low.presence.rtt, high.presence.rtt]);
        self.pairs.set_state(key, State::Open);
        let Some(pair) = self.pairs.by_key.get_mut(&key) else { return };
        if pair.last_start.replace(now).is_some() {
            pair.attempt = self.rng.next_u64();
        }
        let attempt = pair.attempt;
        for (side, delay) in delays.into_iter().enumerate() {
            // at most two seconds, see `timing`
            let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
            self.send(key[side], ToAgent::Start(Start { peer: key[1 - side], attempt, delay_ms, search: None }));
        }
    }

    /// Whether the two want each other.
    pub(super) fn is_pair(&self, key: Key) -> bool {
        self.pairs.by_key.contains_key(&key)
    }

    /// An open pair may use nothing but its channel from here on.
    pub(super) fn hold_to_relay(&mut self, device: NodeId, peer: NodeId) {
        self.pairs.set_state(key(device, peer), State::Open);
    }

    /// An open pair may look for a direct path again, unless the other one may not.
    pub(super) fn release_from_relay(&mut self, device: NodeId, peer: NodeId, now: Instant) {
        self.tell_candidates(device, peer);
        self.tell_candidates(peer, device);
        self.request_start(key(device, peer), true, now);
    }

    /// The device's connection is gone: its channels wait for it.
    pub(super) fn forget_connection(&mut self, device: NodeId) {
        for peer in self.pairs.of(device) {
            self.pairs.set_state(key(device, peer), State::Apart);
        }
    }

    /// Closes the channels that have nobody left.
    pub(super) fn drop_unwanted_pairs(&mut self, device: NodeId) {
        for peer in self.pairs.of(device) {
            if !self.online.contains_key(&peer) {
                self.close(key(device, peer));
            }
        }
    }

    /// Closes every channel of a device.
    pub(super) fn close_pairs(&mut self, device: NodeId) {
        for peer in self.pairs.of(device) {
            self.close(key(device, peer));
        }
    }

    pub(super) fn close(&mut self, key: Key) {
        self.reports.forget(key);
        if let Some(channels) = self.pairs.remove(key) {
            self.outputs.push_back(Output::CloseChannel(channels));
        }
    }
}

/// The addresses under which the outermost NAT shows a device. IPv4 alone: IPv6 has no NAT to be behind together.
pub(super) fn outside(online: &Online) -> BTreeSet<IpAddr> {
    let told = online.candidates.iter().flat_map(|set| &set.candidates);
    let told = told.filter(|candidate| matches!(candidate.kind, CandidateKind::Mapped | CandidateKind::Reflexive));
    let addresses = told.map(|candidate| candidate.addr.ip()).chain([online.presence.observed.ip()]);
    addresses.filter(IpAddr::is_ipv4).collect()
}

pub(super) fn key(a: NodeId, b: NodeId) -> Key {
    if a < b { [a, b] } else { [b, a] }
}

/// No pair is started more often: a member must not be able to make another fire probes at a third party's address.
const START_EVERY: Duration = Duration::from_secs(10);
/// Two agents that decide to connect at the same moment ask within a round trip or two of each other.
const GLARE: Duration = Duration::from_secs(2);
/// Peers one device can have channels with: a busy server in a large mesh; memory stays bounded.
const MAX_PAIRS: usize = 1024;
