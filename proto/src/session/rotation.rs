//! Which session to send on, and how long each may still be received on.
//!
//! Both ends initiate at once here as a rule, not as an exception, and a rekey overlaps with the session it replaces.
//! So a peer has a short list of sessions; all of them receive, one of them sends:
//!
//! ```text
//!             confirmed, older          sending               unconfirmed (we answered, not yet heard on)
//!   receive   [ previous ]         [   current    ]           [ next ] [ next ]
//!   send                           [   current    ]
//! ```
//!
//! A newer confirmed session takes over sending. Of two born at the same time (both sides initiated) the one whose
//! initiator has the lower static key wins, so both ends settle on the same one and neither flaps. A session on which
//! the peer was heard before it initiated the other is no twin of that one: the peer had it, and wants another or has
//! lost it. A session that lost keeps receiving until its time is over: no packet in flight is lost by a rekey.
//!
//! Handshakes and the decision to start one belong to `peer`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{InboundSa, OutboundSa, SaParams};
use crate::crypto::{Suite, kdf};
use crate::keys::{Family, NodeId, SpiBase};

/// The four security associations that one handshake yields: two directions, two inner families.
pub struct Session {
    local: SpiBase,
    suite: Suite,
    initiator: bool,
    initiator_is_lower: bool,
    born: Instant,
    confirmed: bool,
    /// Too old to be sent on.
    retired: bool,
    /// When the peer was first heard on it.
    heard: Option<Instant>,
    outbound: [Arc<OutboundSa>; 2],
    inbound: [Arc<InboundSa>; 2],
}

/// What a finished handshake and the two certificates say about a session.
pub struct SessionParams {
    /// The agreed suite.
    pub suite: Suite,
    /// The base we chose: names what we receive.
    pub local: SpiBase,
    /// The base the peer chose: names what we send.
    pub remote: SpiBase,
    /// Whether we sent the INIT.
    pub initiator: bool,
    /// Whether the sender of the INIT has the lower static public key.
    pub initiator_is_lower: bool,
    /// The peer.
    pub peer: NodeId,
    /// Our overlay addresses, IPv4 then IPv6.
    pub local_addresses: [IpAddr; 2],
    /// The peer's overlay addresses, IPv4 then IPv6.
    pub peer_addresses: [IpAddr; 2],
    /// Our canonical TTL and hop limit.
    pub local_ttl: [u8; 2],
    /// The peer's canonical TTL and hop limit.
    pub peer_ttl: [u8; 2],
    /// Prefixes beyond its addresses that the peer's certificate allows.
    pub peer_routes: Vec<(IpAddr, u8)>,
}

impl Session {
    /// Derives the four SAs. `outbound_key` and `inbound_key` are the handshake's two direction keys.
    pub fn new(params: &SessionParams, outbound_key: &[u8; 32], inbound_key: &[u8; 32], now: Instant) -> Self {
        let sa_params = |family: Family, base: SpiBase, key: &[u8; 32], ttl: [u8; 2]| {
            let spi = base.spi(family);
            SaParams {
                suite: params.suite,
                spi,
                key_material: kdf::esp_key_material(key, params.suite, spi),
                peer: params.peer,
                local: params.local_addresses[family as usize],
                remote: params.peer_addresses[family as usize],
                ttl: ttl[family as usize],
                routes: params.peer_routes.clone(),
            }
        };
        let outbound =
            |family| Arc::new(OutboundSa::new(sa_params(family, params.remote, outbound_key, params.local_ttl)));
        let inbound = |family| Arc::new(InboundSa::new(sa_params(family, params.local, inbound_key, params.peer_ttl)));
        Self {
            local: params.local,
            suite: params.suite,
            initiator: params.initiator,
            initiator_is_lower: params.initiator_is_lower,
            born: now,
            confirmed: params.initiator,
            retired: false,
            heard: None,
            outbound: [outbound(Family::V4), outbound(Family::V6)],
            inbound: [inbound(Family::V4), inbound(Family::V6)],
        }
    }

    /// The SPI base of what we receive; names the session here.
    pub fn local(&self) -> SpiBase {
        self.local
    }

    /// The suite in use.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether we sent the INIT: then the rekey by time is ours to start.
    pub fn is_initiator(&self) -> bool {
        self.initiator
    }

    /// When it was derived.
    pub fn born(&self) -> Instant {
        self.born
    }

    /// Outbound SAs, IPv4 then IPv6.
    pub fn outbound(&self) -> &[Arc<OutboundSa>; 2] {
        &self.outbound
    }

    /// Inbound SAs, IPv4 then IPv6.
    pub fn inbound(&self) -> &[Arc<InboundSa>; 2] {
        &self.inbound
    }

    /// Packets sealed over both families.
    pub fn sealed(&self) -> u64 {
        self.outbound.iter().map(|sa| sa.sealed()).sum()
    }

    /// Packets opened over both families.
    pub fn opened(&self) -> u64 {
        self.inbound.iter().map(|sa| sa.opened()).sum()
    }

    /// Asks the packet path to tell the slow path of the next packet, either way.
    pub fn arm_wakes(&self) {
        self.outbound.iter().for_each(|sa| sa.arm_wake());
        self.inbound.iter().for_each(|sa| sa.arm_wake());
    }

    fn close(&self) {
        self.outbound.iter().for_each(|sa| sa.close());
        self.inbound.iter().for_each(|sa| sa.close());
    }
}

/// All sessions of one peer.
#[derive(Default)]
pub struct Rotation {
    sessions: Vec<Session>,
    sending: Option<SpiBase>,
    rekeys: u32,
    /// Packets of sessions that are gone, so that the totals never run backwards.
    retired: (u64, u64),
}

impl Rotation {
    /// Adds a session. One we initiated is confirmed by the RESP itself and may take over sending at once; one we
    /// answered waits for `confirm`. Returns the bases that had to give way.
    pub fn install(&mut self, session: Session, simultaneous: Duration) -> Vec<SpiBase> {
        let gone = self.make_room(session.confirmed);
        let (local, confirmed) = (session.local, session.confirmed);
        self.sessions.push(session);
        if confirmed {
            self.elect(local, simultaneous);
        }
        gone
    }

    /// The peer was heard on a session: one that it initiated may be sent on. Says whether the sending session changed.
    pub fn heard(&mut self, local: SpiBase, simultaneous: Duration, now: Instant) -> bool {
        let Some(session) = self.sessions.iter_mut().find(|session| session.local == local) else { return false };
        session.heard.get_or_insert(now);
        if std::mem::replace(&mut session.confirmed, true) {
            return false;
        }
        self.elect(local, simultaneous)
    }

    /// The session to send on.
    pub fn sending(&self) -> Option<&Session> {
        self.sending.and_then(|local| self.find(local))
    }

    /// The session of this base.
    pub fn find(&self, local: SpiBase) -> Option<&Session> {
        self.sessions.iter().find(|session| session.local == local)
    }

    /// Every session that still receives.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter()
    }

    /// How often sending moved to another session.
    pub fn rekeys(&self) -> u32 {
        self.rekeys
    }

    /// Packets sealed and opened since the peer is known; never runs backwards.
    pub fn packets(&self) -> (u64, u64) {
        self.sessions
            .iter()
            .fold(self.retired, |(sealed, opened), session| (sealed + session.sealed(), opened + session.opened()))
    }

    /// Ends what is past its time: `HALF_OPEN` for a session never confirmed; a confirmed one is not sent on after
    /// `reject_after`, and received on for a little longer. Returns the bases that are gone.
    pub fn expire(&mut self, reject_after: Duration, now: Instant) -> Vec<SpiBase> {
        let over = |session: &Session| now.saturating_duration_since(session.born) >= lifetime(session, reject_after);
        for session in self.sessions.iter_mut().filter(|session| over(session) && session.confirmed && !session.retired)
        {
            session.retired = true;
            session.outbound.iter().for_each(|sa| sa.close());
        }
        self.sending = self.sending().filter(|session| !session.retired).map(Session::local);
        let gone: Vec<SpiBase> = self.sessions.iter().filter(|session| over(session)).map(Session::local).collect();
        gone.iter().for_each(|local| self.remove(*local));
        gone
    }

    /// When `expire` next has something to do.
    pub fn next_expiry(&self, reject_after: Duration) -> Option<Instant> {
        self.sessions.iter().map(|session| session.born + lifetime(session, reject_after)).min()
    }

    /// Closes every session: the peer is revoked, gone, or said CLOSE.
    pub fn clear(&mut self) -> Vec<SpiBase> {
        let gone: Vec<SpiBase> = self.sessions.iter().map(Session::local).collect();
        gone.iter().for_each(|local| self.remove(*local));
        gone
    }

    /// Moves sending to the session `local` unless the present one was born at the same time and wins the tie.
    fn elect(&mut self, local: SpiBase, simultaneous: Duration) -> bool {
        let Some(challenger) = self.find(local) else { return false };
        let wins = match self.sending() {
            None => true,
            Some(current) => {
                let apart = challenger.born.max(current.born) - challenger.born.min(current.born);
                let unknown = current.heard.is_none_or(|at| at >= challenger.born);
                let tie = apart < simultaneous && challenger.initiator != current.initiator && unknown;
                if tie { challenger.initiator_is_lower } else { challenger.born >= current.born }
            }
        };
        if wins {
            self.rekeys += u32::from(self.sending.is_some());
            self.sending = Some(local);
        }
        wins
    }

    /// Evicts the oldest session of the same standing when its share of the list is full.
    fn make_room(&mut self, confirmed: bool) -> Vec<SpiBase> {
        let of_kind = |session: &&Session| session.confirmed == confirmed;
        if self.sessions.iter().filter(of_kind).count() < MAX_OF_KIND {
            return Vec::new();
        }
        let oldest = self
            .sessions
            .iter()
            .filter(of_kind)
            .filter(|session| Some(session.local) != self.sending)
            .min_by_key(|session| session.born)
            .map(Session::local);
        oldest.into_iter().inspect(|local| self.remove(*local)).collect()
    }

    fn remove(&mut self, local: SpiBase) {
        let Some(index) = self.sessions.iter().position(|session| session.local == local) else { return };
        let session = self.sessions.remove(index);
        session.close();
        self.retired.0 += session.sealed();
        self.retired.1 += session.opened();
        if self.sending == Some(local) {
            self.sending = None;
        }
    }
}

fn lifetime(session: &Session, reject_after: Duration) -> Duration {
    match (session.confirmed, session.retired) {
        (false, _) => HALF_OPEN.min(reject_after),
        (true, false) => reject_after,
        (true, true) => reject_after + LAST_ARRIVALS,
    }
}

/// Sessions of one standing (confirmed, or answered and not yet heard on) per peer. Retries of INIT over a slow relay
/// overlap, so one half-open session would be replaced just before its CONFIRM arrives; four cover 3 s of retries.
const MAX_OF_KIND: usize = 4;
/// The initiator's session is younger by up to a round trip, and what it sends last takes its time.
const LAST_ARRIVALS: Duration = Duration::from_secs(2);
/// An INIT may be a replay: its session is worth keeping only as long as a CONFIRM may be under way.
const HALF_OPEN: Duration = Duration::from_secs(10);
