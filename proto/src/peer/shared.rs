//! What all peers of a node share, and where their output gathers until the driver drains it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::candidate::{Candidate, CandidateSet};
use crate::certificate::VerifiedCertificate;
use crate::config::Config;
use crate::control::{Network, ToServer};
use crate::crypto::Suite;
use crate::handshake::LocalIdentity;
use crate::io::{Discard, Remote, Transmit};
use crate::keys::{NodeId, Spi, SpiBase, StaticSecret, UnixTime};
use crate::path::{Allowance, Probe, ProbeBody, Selection, Via};
use crate::wire::handshake::INIT_LEN;
use crate::wire::introduction::Introduction;
use crate::wire::path_probe::PING_MIN;

/// Who this device is.
pub struct LocalDevice {
    /// Its X25519 key.
    pub static_secret: StaticSecret,
    /// What the network says of it.
    pub certificate: VerifiedCertificate,
    /// The network.
    pub network: Network,
}

/// What the driver is told.
#[derive(Debug)]
pub enum Event {
    /// The network issued this device another certificate (a rename): keep it.
    CertificateReplaced(Vec<u8>),
    /// To be sent to the rendezvous.
    Control(ToServer),
    /// The forwarding table is to be published anew.
    ForwardingChanged,
    /// Another path carries a peer's data, or none does.
    PathChanged {
        /// The peer.
        peer: NodeId,
        /// Its path.
        selection: Option<Selection>,
    },
    /// The answer to `Node::ping`.
    PingReply {
        /// The peer.
        peer: NodeId,
        /// The caller's token.
        token: u64,
        /// Round-trip time.
        rtt: Duration,
        /// Where the ping went.
        remote: Remote,
        /// Over which kind of path.
        via: Via,
    },
    /// Sockets beside the one that everything uses are to be closed: those that `Node::uses` does not own.
    SocketsChanged,
    /// A fresh look is to be taken at how our NAT numbers its mappings, for `Node::handle_candidates`.
    WantSample,
    /// Keys of a new SA, only where the configuration asks for them.
    SaKeys(Box<SaKeys>),
}

/// One SA's keys for an external analyser. `Debug` shows none of them.
pub struct SaKeys {
    /// The SA's SPI.
    pub spi: Spi,
    /// Its suite.
    pub suite: Suite,
    /// Key 32 bytes, salt 4 bytes.
    pub key_material: [u8; 36],
}

impl std::fmt::Debug for SaKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaKeys").field("spi", &self.spi).finish_non_exhaustive()
    }
}

/// State of the node that its peers read, and the queues they write.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) local: LocalDevice,
    /// `local`, as handshakes present it.
    pub(crate) identity: LocalIdentity,
    pub(crate) rng: ChaCha20Rng,
    /// Our own addresses as last gathered.
    pub(crate) candidates: CandidateSet,
    /// Whether the rendezvous can be asked now.
    pub(crate) control_up: bool,
    /// Whether this device uses the relay only.
    pub(crate) relay_only: bool,
    /// Whether the mesh is small enough that every pair connects by itself.
    pub(crate) small_mesh: bool,
    /// Data goes by a relay now that may not know our address any more.
    pub(crate) relays_doubted: bool,
    /// What all peers together may do to NATs and to strangers.
    pub(crate) allowance: Allowance,
    /// Whether a search for a port is on.
    pub(crate) searching: bool,
    /// Sockets beside the one that everything uses, by which paths go.
    pub(crate) kept_sockets: usize,
    wall: (UnixTime, Instant),
    bases: BTreeMap<SpiBase, NodeId>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    introductions: VecDeque<(NodeId, Introduction)>,
    forwarding_changed: bool,
    discards: [u64; Discard::ALL.len()],
}

impl Shared {
    pub(crate) fn new(config: Config, local: LocalDevice, rng: ChaCha20Rng, wall: UnixTime, now: Instant) -> Self {
        Self {
            identity: identity(&config, &local),
            relay_only: config.relay_only,
            config,
            local,
            rng,
            candidates: CandidateSet::default(),
            control_up: false,
            small_mesh: true,
            relays_doubted: false,
            allowance: Allowance::default(),
            searching: false,
            kept_sockets: 0,
            wall: (wall, now),
            bases: BTreeMap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            introductions: VecDeque::new(),
            forwarding_changed: false,
            discards: [0; Discard::ALL.len()],
        }
    }

    /// Takes our own renewed certificate.
    pub(crate) fn renew(&mut self, certificate: VerifiedCertificate) {
        self.local.certificate = certificate;
        self.identity = identity(&self.config, &self.local);
    }

    /// Anchors the wall clock anew: it may have been set.
    pub(crate) fn set_wall(&mut self, wall: UnixTime, now: Instant) {
        self.wall = (wall, now);
    }

    /// The wall clock at `now`.
    pub(crate) fn unix_time(&self, now: Instant) -> UnixTime {
        self.wall.0.plus(now.saturating_duration_since(self.wall.1))
    }

    /// A fresh SPI base, unique here, that names `peer` from now on.
    pub(crate) fn allocate_base(&mut self, peer: NodeId) -> SpiBase {
        loop {
            let base = SpiBase::from_random(self.rng.next_u32());
            if let Entry::Vacant(vacant) = self.bases.entry(base) {
                vacant.insert(peer);
                return base;
            }
        }
    }

    /// Forgets bases whose handshake or session is over.
    pub(crate) fn release_bases(&mut self, bases: impl IntoIterator<Item = SpiBase>) {
        bases.into_iter().for_each(|base| {
            self.bases.remove(&base);
        });
    }

    /// Whose handshake or session a base is.
    pub(crate) fn peer_of(&self, base: SpiBase) -> Option<NodeId> {
        self.bases.get(&base).copied()
    }

    /// Whether a peer may search for a port: one at a time, and only as many as sockets can be kept for.
    pub(crate) fn may_search(&self) -> bool {
        self.config.port_search && !self.searching && self.kept_sockets < MAX_KEPT_SOCKETS
    }

    /// Whether a probe fits into what the node may do; if so it is booked.
    pub(crate) fn afford(&mut self, probe: &Probe, now: Instant) -> bool {
        let bytes = match probe.body {
            ProbeBody::Knock => INIT_LEN,
            ProbeBody::Opener => 1,
            ProbeBody::Ping(ping) => usize::from(ping.length) + SEALING,
            ProbeBody::Pong(_) => PING_MIN + SEALING,
        };
        self.allowance.take(probe, bytes, self.candidates.nat.mapping, now)
    }

    pub(crate) fn transmit(&mut self, to: Remote, datagram: Vec<u8>) {
        self.push_transmit(Transmit { to, ttl: None, datagram });
    }

    /// Queues a datagram; at the limit the oldest goes, as it would on a congested link.
    pub(crate) fn push_transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() == MAX_TRANSMITS {
            self.transmits.pop_front();
            self.count(Discard::QueueFull);
        }
        self.transmits.push_back(transmit);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// A peer speaks of another one; the node knows both, and listens after every message.
    pub(super) fn introduction(&mut self, from: NodeId, message: Introduction) {
        self.introductions.push_back((from, message));
    }

    pub(crate) fn poll_introduction(&mut self) -> Option<(NodeId, Introduction)> {
        self.introductions.pop_front()
    }

    pub(crate) fn forwarding_changed(&mut self) {
        self.forwarding_changed = true;
    }

    pub(crate) fn count(&mut self, reason: Discard) {
        self.discards[reason as usize] += 1;
    }

    pub(crate) fn discards(&self) -> &[u64; Discard::ALL.len()] {
        &self.discards
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The forwarding change comes first: whatever else is told, the table is already right.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.forwarding_changed) {
            return Some(Event::ForwardingChanged);
        }
        self.events.pop_front()
    }

    /// Our candidates with the addresses in order of preference.
    pub(crate) fn own_candidates(&self) -> &[Candidate] {
        &self.candidates.candidates
    }
}

fn identity(config: &Config, local: &LocalDevice) -> LocalIdentity {
    let secret = local.static_secret.clone();
    LocalIdentity::new(secret, local.certificate.id(), local.network.id, CANONICAL_TTL, config.suite)
}

/// Paths that go by a socket of their own: a descriptor and a NAT mapping each, so as many as a small mesh has peers that
/// may need one, and no more.
const MAX_KEPT_SOCKETS: usize = 16;
/// What sealing adds to a path message, about.
const SEALING: usize = 28;
/// What Linux and macOS send with, IPv4 and IPv6; announced in the handshake.
pub(super) const CANONICAL_TTL: [u8; 2] = [64, 64];
/// Datagrams waiting for the driver, which drains after every call: only a call that queues more than this for many
/// peers at once can meet it.
const MAX_TRANSMITS: usize = 4096;
