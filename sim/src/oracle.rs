//! What must hold whatever happens, checked at every step of every world.
//!
//! The oracle knows what a member of a network cannot: every datagram with its sender and its way, and what each end made of
//! it. So it derives on its own which path was proved, rather than asking the code under test. A violation panics with
//! the seed that gives the same run again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use warren_proto::io::Remote;
use warren_proto::keys::NodeId;
use warren_proto::node::SaKeys;
use warren_proto::wire::path_probe::{PathMessage, ProbeId};
use warren_proto::wire::{self, Kind};

/// The watcher of one world.
pub struct Oracle {
    seed: u64,
    begin: Instant,
    sent: HashMap<(NodeId, [u8; 8]), Sent>,
    asked: HashMap<ProbeId, Asked>,
    /// Remotes to which a ping of the size of data was answered from there.
    proved: BTreeSet<(NodeId, SocketAddr)>,
    /// Remotes from which anything authentic came.
    heard: BTreeSet<(NodeId, SocketAddr)>,
    /// What went to remotes that were never heard, less what came from there.
    unheard: BTreeMap<(NodeId, SocketAddr), Account>,
    /// What went to unheard remotes of one address, over all ports and sockets.
    strangers: BTreeMap<(NodeId, IpAddr), Account>,
    /// Datagrams that left for unheard remotes by sockets beside the one that everything uses.
    searched: BTreeMap<NodeId, Account>,
    keys: HashMap<[u8; 36], BTreeSet<NodeId>>,
}

/// One ESP packet as it left.
struct Sent {
    digest: u64,
    to: Option<SocketAddr>,
    /// A remote that it went to and that nothing had proved.
    unproved: Option<SocketAddr>,
}

/// What was booked within the last minute.
#[derive(Default)]
struct Account {
    booked: VecDeque<(Instant, i64)>,
    total: i64,
}

struct Asked {
    by: NodeId,
    to: Option<SocketAddr>,
    length: usize,
}

/// What an ESP packet turned out to hold.
pub(crate) enum Content<'a> {
    Control(&'a [u8]),
    Data,
}

impl Oracle {
    pub(crate) fn new(seed: u64, begin: Instant) -> Self {
        Self {
            seed,
            begin,
            sent: HashMap::new(),
            asked: HashMap::new(),
            proved: BTreeSet::new(),
            heard: BTreeSet::new(),
            unheard: BTreeMap::new(),
            strangers: BTreeMap::new(),
            searched: BTreeMap::new(),
            keys: HashMap::new(),
        }
    }

    /// A datagram leaves a host; `to` is where to, unless it goes to a server.
    pub(crate) fn sent(&mut self, by: NodeId, to: Option<Remote>, datagram: &[u8], now: Instant) {
        let plain = datagram.chunks_exact(MARKER.len()).any(|chunk| chunk == MARKER);
        self.check(!plain, now, || format!("{by:?} put plaintext on the wire"));
        let straight = to.and_then(straight);
        if let Some(addr) = straight.filter(|addr| !self.heard.contains(&(by, *addr))) {
            self.charge_stranger(by, addr.ip(), datagram.len(), now);
            match to.and_then(|to| to.socket()) {
                Some(_) => self.charge_search(by, now),
                None => self.charge(by, addr, datagram.len(), now),
            }
        }
        if let (Ok(Kind::Esp(_)), Some(header)) = (wire::classify(datagram), datagram.first_chunk()) {
            self.sealed(by, *header, straight, datagram, now);
        }
    }

    fn sealed(&mut self, by: NodeId, header: [u8; 8], to: Option<SocketAddr>, datagram: &[u8], now: Instant) {
        let mut hasher = DefaultHasher::new();
        hasher.write(datagram);
        let digest = hasher.finish();
        let unproved = to.filter(|addr| !self.proved.contains(&(by, *addr)));
        let record = self.sent.entry((by, header)).or_insert(Sent { digest, to, unproved });
        record.unproved = record.unproved.or(unproved);
        let same = record.digest == digest;
        self.check(same, now, || format!("{by:?} used a nonce twice: {header:02x?}"));
    }

    /// A datagram comes to a host: an answer may be as long.
    pub(crate) fn received(&mut self, by: NodeId, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.book((by, from), -signed(datagram.len()), now);
        if !self.heard.contains(&(by, from)) {
            self.strangers.entry((by, from.ip())).or_default().book(-signed(datagram.len()), now);
        }
    }

    /// Nobody may be made to send much to an address that does not want it.
    fn charge(&mut self, by: NodeId, to: SocketAddr, bytes: usize, now: Instant) {
        let total = self.book((by, to), signed(bytes), now);
        self.check(total <= UNHEARD_MAX, now, || {
            format!("{by:?} sent {total} bytes within a minute to {to}, which never answered")
        });
    }

    /// However many ports of it are tried, an address is not to be flooded.
    fn charge_stranger(&mut self, by: NodeId, to: IpAddr, bytes: usize, now: Instant) {
        let total = self.strangers.entry((by, to)).or_default().book(signed(bytes), now);
        self.check(total <= STRANGER_MAX, now, || {
            format!("{by:?} sent {total} bytes within a minute to ports of {to} that never answered")
        });
    }

    /// All searches together are one search's worth.
    fn charge_search(&mut self, by: NodeId, now: Instant) {
        let total = self.searched.entry(by).or_default().book(1, now);
        self.check(total <= SEARCH_MAX, now, || format!("{by:?} sent {total} datagrams of searches within a minute"));
    }

    /// `by` opened a packet of `peer` that came from `from`.
    pub(crate) fn opened(
        &mut self,
        by: NodeId,
        from: Remote,
        peer: NodeId,
        header: [u8; 8],
        content: &Content<'_>,
        now: Instant,
    ) {
        if let Some(addr) = straight(from) {
            self.heard.insert((by, addr));
            self.unheard.remove(&(by, addr));
        }
        match content {
            Content::Data => {
                let unproved = self.sent.get(&(peer, header)).and_then(|sent| sent.unproved);
                self.check(unproved.is_none(), now, || {
                    format!("{peer:?} sent data to {unproved:?}, which was not proved")
                });
            }
            Content::Control(message) => self.probed(by, from, peer, header, message),
        }
    }

    fn probed(&mut self, by: NodeId, from: Remote, peer: NodeId, header: [u8; 8], message: &[u8]) {
        match PathMessage::decode(message) {
            Ok(PathMessage::Ping(ping)) => {
                let to = self.sent.get(&(peer, header)).and_then(|sent| sent.to);
                self.asked.insert(ping.id, Asked { by: peer, to, length: ping.length.into() });
            }
            Ok(PathMessage::Pong(pong)) => {
                let Some(asked) = self.asked.get(&pong.id).filter(|asked| asked.by == by) else { return };
                let full = asked.length + ESP_OVERHEAD >= DATA_SIZE;
                if let Some(addr) = straight(from).filter(|addr| full && asked.to == Some(*addr)) {
                    self.proved.insert((by, addr));
                }
            }
            Ok(PathMessage::Close) | Err(_) => {}
        }
    }

    /// A session's keys are told by each of its two ends once, and to nobody else.
    pub(crate) fn keyed(&mut self, by: NodeId, keys: &SaKeys, now: Instant) {
        let told = self.keys.entry(keys.key_material).or_default();
        let fresh = told.insert(by);
        let holders = told.len();
        self.check(fresh && holders <= 2, now, || format!("{by:?} has a key that was used before"));
    }

    /// `by` has another network, or lost its memory: nothing that was proved counts.
    pub(crate) fn moved(&mut self, by: NodeId) {
        self.proved.retain(|(node, _)| *node != by);
        self.heard.retain(|(node, _)| *node != by);
        self.unheard.retain(|(node, _), _| *node != by);
        // who answered before it moved is no stranger to it, but to us
        self.strangers.retain(|(node, _), _| *node != by);
    }

    /// A NAT has so many new mappings of one device within a minute.
    pub(crate) fn mapped(&self, by: NodeId, within_a_minute: usize, now: Instant) {
        self.check(within_a_minute <= MAPPINGS_MAX, now, || {
            format!("{by:?} made {within_a_minute} mappings within a minute")
        });
    }

    fn book(&mut self, account: (NodeId, SocketAddr), bytes: i64, now: Instant) -> i64 {
        if self.heard.contains(&account) {
            return 0;
        }
        self.unheard.entry(account).or_default().book(bytes, now)
    }

    fn check(&self, holds: bool, now: Instant, what: impl FnOnce() -> String) {
        assert!(holds, "seed {}, at {:?}: {}", self.seed, now - self.begin, what());
    }
}

impl Account {
    /// Books something; gives what the last minute comes to.
    fn book(&mut self, amount: i64, now: Instant) -> i64 {
        self.booked.push_back((now, amount));
        self.total += amount;
        let old = |(at, _): &mut (Instant, i64)| now.saturating_duration_since(*at) >= MINUTE;
        while let Some((_, amount)) = self.booked.pop_front_if(old) {
            self.total -= amount;
        }
        self.total
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn straight(remote: Remote) -> Option<SocketAddr> {
    remote.straight()
}

/// What tests fill inner packets with; in ciphertext it appears once in 2^64 places.
pub const MARKER: [u8; 8] = [0xa5; 8];
/// No NAT is to see more new mappings from one agent in any minute: small routers hold 1,024 in all.
pub(crate) const MAPPINGS_MAX: usize = 300;
/// Twice what `docs/protocol.md` grants an address that never answered: two of its epochs may touch one minute.
const UNHEARD_MAX: i64 = 2 * 2048;
/// `docs/protocol.md` section 8, over all peers.
const SEARCH_MAX: i64 = 1300;
/// The common budget of an address that does not answer, twice for two of its minutes, and a search of 80 bytes a probe.
const STRANGER_MAX: i64 = 2 * (16 << 10) + SEARCH_MAX * 80;
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// A path on which no datagram of this size was answered carries no data (`docs/protocol.md`: 1,200 bytes are tried, 1,000,
/// 508).
const DATA_SIZE: usize = 508;
/// At the most, with an explicit IV: SPI, sequence number, IV, trailer, ICV.
const ESP_OVERHEAD: usize = 8 + 8 + 5 + 16;
