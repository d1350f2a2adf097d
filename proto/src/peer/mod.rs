//! One remote device: hands handshake, session and path to each other, none of which knows the others.
//!
//! ```text
//!            INIT / RESP / CONFIRM            keys                 probes, sealed
//!   node  <---------------------->  handshake ----> session (SAs) <---------------> path  ---> which Remote
//! ```
//!
//! A peer is *connected* on demand: it asks the rendezvous for a relay channel, shakes hands through it at once, and
//! lets `path` look for something better under the fresh session. It leaves bytes on the wire to `wire`, the choice of
//! an address to `path`, and the choice of a session to `session::rotation`. `initiating` and `responding` are the two halves of
//! a handshake, `sessions` what comes of it, `traffic` what the counters tell, `explaining` why the path is what it is.

mod explaining;
mod handshaking;
mod initiating;
mod meeting;
mod memory;
mod responding;
mod route;
mod sessions;
mod shared;
mod traffic;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::Rng;

pub use explaining::{HeldVerdict, Reason};
pub(crate) use responding::InitOutcome;
pub use route::{Forwarding, PeerRoute, PeerStatus, SessionStatus};
pub(crate) use shared::Shared;
pub use shared::{Event, LocalDevice, SaKeys};

use crate::candidate::CandidateSet;
use crate::certificate::VerifiedCertificate;
use crate::control::ToServer;
use crate::inner::Form;
use crate::io::{Discard, Obstacle, RelayChannel, Remote, SocketId, Transmit};
use crate::keys::{Family, NodeId, Spi, SpiBase, StaticPublic};
use crate::path::{self, PathEvent, Probe, ProbeBody};
use crate::session::{HEADROOM, NextHeader, Rotation, Session, TAILROOM};
use crate::stats::PeerStats;
use crate::timer::{Timer, TimerTable};
use crate::wire::introduction::Introduction;
use crate::wire::path_probe::PathMessage;
use handshaking::Handshaking;
use initiating::Confirm;
use memory::Remembered;
pub use memory::{Memory, PeerMemory, RememberedEndpoint};
use responding::Responding;
use traffic::Traffic;

/// One remote device of the mesh.
pub(crate) struct Peer {
    certificate: VerifiedCertificate,
    online: bool,
    relay: Option<RelayChannel>,
    path: path::Agent,
    handshaking: Handshaking,
    responding: Responding,
    rotation: Rotation,
    confirm: Option<Confirm>,
    /// Inner packets without a session or a path, and since when each waits.
    queue: VecDeque<(Instant, Vec<u8>)>,
    traffic: Traffic,
    timers: TimerTable,
    connect_pause: Duration,
    /// The remote of the last `PathChanged`.
    told: Option<Remote>,
    /// When a person last asked for another try.
    retried_at: Option<Instant>,
    /// What the rendezvous made of both ends' reports.
    verdict: Option<HeldVerdict>,
    /// Whether the peer uses the relay only.
    relay_only: bool,
    remembered: Remembered,
    /// Where its last path message came from, and when.
    heard_from: Option<(Remote, Instant)>,
    /// Whether a common peer is to be asked for help.
    wants_meeting: bool,
    stats: Arc<PeerStats>,
}

impl Peer {
    pub(crate) fn new(certificate: VerifiedCertificate, shared: &mut Shared, now: Instant) -> Self {
        let settings = path::Settings {
            we_keepalive: shared.local.certificate.static_key < certificate.static_key,
            keepalive: shared.config.keepalive,
        };
        let mut path = path::Agent::new(shared.rng.next_u64(), settings, now);
        path.set_local(&shared.candidates, now);
        path.set_relay_only(shared.relay_only, now);
        Self {
            certificate,
            online: false,
            relay: None,
            path,
            handshaking: Handshaking::default(),
            responding: Responding::default(),
            rotation: Rotation::default(),
            confirm: None,
            queue: VecDeque::new(),
            traffic: Traffic::new(now),
            timers: TimerTable::default(),
            connect_pause: CONNECT_RETRY,
            told: None,
            retried_at: None,
            verdict: None,
            relay_only: false,
            remembered: Remembered::default(),
            heard_from: None,
            wants_meeting: false,
            stats: Arc::new(PeerStats::default()),
        }
    }

    pub(crate) fn certificate(&self) -> &VerifiedCertificate {
        &self.certificate
    }

    pub(crate) fn is_online(&self) -> bool {
        self.online
    }

    fn node(&self) -> NodeId {
        self.certificate.node
    }

    /// Takes a renewed certificate of the same key and addresses; live sessions go on.
    pub(crate) fn renew(&mut self, certificate: VerifiedCertificate, shared: &mut Shared) {
        self.certificate = certificate;
        shared.forwarding_changed();
    }

    pub(crate) fn set_online(&mut self, online: bool, shared: &mut Shared, now: Instant) {
        let came = online && !self.online;
        self.online = online;
        self.remembered.confirm();
        if came && (shared.small_mesh || self.has_waiting(now)) {
            self.connect_anew(shared, now);
        }
    }

    pub(crate) fn set_local(&mut self, candidates: &CandidateSet, now: Instant) {
        self.path.set_local(candidates, now);
    }

    pub(crate) fn set_remote_candidates(&mut self, set: &CandidateSet, now: Instant) {
        self.path.set_remote_candidates(set, now);
    }

    /// Whether `remote` is being probed for this pair.
    pub(crate) fn probes(&self, remote: Remote) -> bool {
        self.path.probes(remote)
    }

    pub(crate) fn handle_obstacle(&mut self, remote: Remote, obstacle: Obstacle, now: Instant) {
        self.path.handle_obstacle(remote, obstacle, now);
    }

    /// The rendezvous is back: what it held for us is gone with the old connection.
    pub(crate) fn control_renewed(&mut self, shared: &mut Shared, now: Instant) {
        self.set_relay(None, now);
        self.traffic.forget_report();
        self.path.end_knocking();
        let wanted = shared.small_mesh || self.rotation.sending().is_some() || self.has_waiting(now);
        if self.online && wanted {
            self.connect_anew(shared, now);
        }
    }

    /// Connects at once, whatever pause earlier failures had come to.
    fn connect_anew(&mut self, shared: &mut Shared, now: Instant) {
        self.timers.stop(Timer::Connect);
        self.connect(shared, now);
    }

    /// Wants a session and a path, now. Idempotent.
    pub(crate) fn connect(&mut self, shared: &mut Shared, now: Instant) {
        self.traffic.used(now);
        if self.relay.is_none() && !self.timers.is_set(Timer::Connect) {
            self.connect_pause = CONNECT_RETRY;
            self.ask_for_pair(shared, now);
        }
        if self.rotation.sending().is_none() {
            self.start_handshake(shared, now);
            self.path.hurry_knocking(now);
        }
    }

    pub(crate) fn handle_pair_opened(&mut self, channel: RelayChannel, shared: &mut Shared, now: Instant) {
        self.timers.stop(Timer::Connect);
        self.set_relay(Some(channel), now);
        if self.rotation.sending().is_none() {
            shared.release_bases(self.handshaking.finish());
        }
        self.rekey_if_overdue(shared, now);
    }

    /// The relay sends on to us from now on: answers to earlier INITs were lost there.
    pub(crate) fn handle_relay_bound(&mut self, relay: SocketAddr, now: Instant) {
        if self.relay.is_some_and(|channel| channel.relay == relay) && self.handshaking.is_running() {
            self.timers.set(Timer::Handshake, now);
        }
    }

    /// `search` is where the rendezvous sees the peer, if both may search for a port there.
    pub(crate) fn handle_start(
        &mut self,
        attempt: u64,
        delay: Duration,
        search: Option<SocketAddr>,
        shared: &mut Shared,
        now: Instant,
    ) {
        if search.is_none() || shared.may_search() {
            self.path.handle_start(attempt, delay, search, now);
        }
    }

    /// Whether a socket beside the one that everything uses serves this peer.
    pub(crate) fn uses(&self, socket: SocketId) -> bool {
        self.path.uses(socket)
    }

    pub(crate) fn is_searching(&self) -> bool {
        self.path.is_searching()
    }

    pub(crate) fn kept_sockets(&self) -> usize {
        self.path.kept_sockets()
    }

    pub(crate) fn handle_network_change(&mut self, shared: &mut Shared, now: Instant) {
        self.path.handle_network_change(now);
        if self.rotation.sending().is_some() {
            self.ask_for_pair(shared, now);
        }
    }

    /// A packet for this peer that the packet path had no SA or no address for.
    pub(crate) fn handle_packet(&mut self, packet: Vec<u8>, shared: &mut Shared, now: Instant) {
        if self.queue.len() == MAX_QUEUE {
            self.queue.pop_front();
            self.stats.count_dropped(Discard::QueueFull);
        }
        self.queue.push_back((now, packet));
        self.connect(shared, now);
    }

    /// The opened payload of an ESP packet with Next Header 253.
    pub(crate) fn handle_opened(&mut self, spi: Spi, from: Remote, payload: &[u8], shared: &mut Shared, now: Instant) {
        self.heard(SpiBase::of(spi), shared, now);
        self.heard_from = Some((from, now));
        if Introduction::is_introduction(payload) {
            return self.hear_introduction(payload, shared);
        }
        match PathMessage::decode(payload) {
            Ok(PathMessage::Ping(ping)) => self.path.handle_ping(from, &ping, now),
            Ok(PathMessage::Pong(pong)) => match self.path.handle_pong(from, &pong, now) {
                Ok(()) => self.report_if_stale(shared, now),
                Err(reason) => self.stats.count_dropped(reason),
            },
            Ok(PathMessage::Close) => self.close(shared, now),
            Err(reason) => self.stats.count_dropped(reason),
        }
    }

    /// The packet path saw the first packet of an SA since it was asked to look out.
    pub(crate) fn handle_wake(&mut self, spi: Spi, shared: &mut Shared, now: Instant) {
        self.heard(SpiBase::of(spi), shared, now);
        if !self.rests_on(SpiBase::of(spi)) {
            self.watch_traffic(now);
        }
    }

    /// Something moves: reads the counters soon, and every second until nothing does.
    pub(crate) fn watch_traffic(&mut self, now: Instant) {
        self.traffic.woken();
        self.timers.set_no_later(Timer::Tick, now);
    }

    /// False if there is no path yet to ping over.
    pub(crate) fn ping(&mut self, token: u64, shared: &mut Shared, now: Instant) -> bool {
        self.retry_in_passing(shared, now);
        self.path.request_ping(token, now)
    }

    /// Looks for a direct path now, because somebody asks for just that.
    pub(crate) fn retry(&mut self, shared: &mut Shared, now: Instant) {
        self.connect(shared, now);
        self.retried_at = Some(now);
        self.path.retry_now(now);
    }

    /// The same because somebody wants to reach the peer at all, unless that is what was done a moment ago.
    fn retry_in_passing(&mut self, shared: &mut Shared, now: Instant) {
        self.connect(shared, now);
        if self.retried_at.is_none_or(|at| now.saturating_duration_since(at) >= RETRY_SILENCE) {
            self.retried_at = Some(now);
            self.path.retry_now(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Confirm => self.repeat_confirm(shared, now),
                Timer::Connect => self.retry_connect(shared, now),
                Timer::Expire => self.expire(shared, now),
                Timer::Handshake => self.retry_handshake(shared, now),
                Timer::Rekey => self.rekey(shared, now),
                Timer::Tick => self.tick(shared, now),
            }
        }
        if self.path.poll_timeout().is_some_and(|at| at <= now) {
            self.path.handle_timeout(now);
        }
    }

    /// Whether this end is to keep the path open, and would do so within that time.
    pub(crate) fn keepalive_within(&self, early: Duration, now: Instant) -> bool {
        self.path.keepalive_at().is_some_and(|at| at <= now + early)
    }

    /// Keeps the path open now instead of then.
    pub(crate) fn keep_alive(&mut self, now: Instant) {
        self.path.keep_alive(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.next(), self.path.poll_timeout()].into_iter().flatten().min()
    }

    /// Moves what path decided to the outside; the last step of every call.
    pub(crate) fn drain(&mut self, shared: &mut Shared, now: Instant) {
        let mut knocks = Vec::new();
        while let Some(probe) = self.path.poll_probe() {
            if !matches!(probe.body, ProbeBody::Pong(_)) {
                self.stats.count_probe();
            }
            match probe.body {
                ProbeBody::Knock if !shared.afford(&probe, now) => self.stats.count_dropped(Discard::RateLimited),
                ProbeBody::Knock => knocks.push(probe.to),
                ProbeBody::Opener | ProbeBody::Ping(_) | ProbeBody::Pong(_) => self.send_probe(probe, shared, now),
            }
        }
        self.knock(knocks, shared, now);
        while let Some(event) = self.path.poll_event() {
            self.handle_path_event(event, shared, now);
        }
        self.flush(shared, now);
    }

    /// Ends everything with this peer; it stays known.
    pub(crate) fn close(&mut self, shared: &mut Shared, now: Instant) {
        shared.release_bases(self.rotation.clear());
        shared.release_bases(self.handshaking.finish());
        self.timers = TimerTable::default();
        self.confirm = None;
        self.responding = Responding::default();
        self.path.session_lost(now);
        shared.forwarding_changed();
    }

    /// Tells the peer that we go, so that it need not find out.
    pub(crate) fn say_close(&mut self, shared: &mut Shared) {
        if let Some(selection) = self.path.selection() {
            self.send_control(&PathMessage::Close, selection.remote, shared);
        }
    }

    pub(crate) fn route(&self) -> PeerRoute {
        let selection = self.path.selection();
        PeerRoute {
            node: self.node(),
            v4: self.certificate.v4,
            v6: self.certificate.v6,
            routes: self.certificate.routes.clone(),
            outbound: self.rotation.sending().map(|session| session.outbound().clone()),
            remote: selection.map(|selection| selection.remote),
            hedge: self.path.hedge(),
            udp_payload: selection.map_or(path::BASE_UDP_PAYLOAD, |selection| selection.udp_payload),
            stats: Arc::clone(&self.stats),
        }
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.rotation.iter()
    }

    pub(crate) fn status(&self, shared: &Shared) -> PeerStatus {
        let session = self.rotation.sending().map(|session| SessionStatus {
            suite: session.suite(),
            established: session.born(),
            rekeys: self.rotation.rekeys(),
        });
        PeerStatus {
            node: self.node(),
            name: self.certificate.name.clone(),
            v4: self.certificate.v4,
            v6: self.certificate.v6,
            online: self.online,
            from_memory: self.remembered.is_unconfirmed(),
            selection: self.path.selection(),
            session,
            reason: self.reason(shared),
            attempts: self.path.attempts().cloned().collect(),
            verdict: self.verdict.clone(),
            relay_only: self.is_relay_only(shared),
            candidates: self.path.remote_candidates().clone(),
            stats: Arc::clone(&self.stats),
        }
    }

    fn set_relay(&mut self, channel: Option<RelayChannel>, now: Instant) {
        self.relay = channel;
        self.path.set_relay(channel, now);
    }

    fn ask_for_pair(&mut self, shared: &mut Shared, now: Instant) {
        if shared.control_up {
            shared.event(Event::Control(ToServer::Connect(self.node())));
        }
        self.timers.set(Timer::Connect, now + self.connect_pause);
        self.connect_pause = (self.connect_pause * 2).min(CONNECT_RETRY_MAX);
    }

    fn retry_connect(&mut self, shared: &mut Shared, now: Instant) {
        if !self.is_wanted(shared, now) {
            return self.path.end_knocking();
        }
        if !self.may_be_there(shared) {
            return;
        }
        if self.relay.is_none() {
            self.ask_for_pair(shared, now);
        }
        if self.rotation.sending().is_none() {
            self.start_handshake(shared, now);
        }
    }

    /// Whether somebody would miss the pair: it is used, or the mesh is small enough to keep every pair.
    fn is_wanted(&self, shared: &Shared, now: Instant) -> bool {
        (shared.small_mesh && self.may_be_there(shared)) || self.traffic.is_recent(shared.config.idle_after, now)
    }

    /// Whether the peer could answer. The rendezvous knows; without it there is hope.
    fn may_be_there(&self, shared: &Shared) -> bool {
        self.online || !shared.control_up
    }

    fn send_probe(&mut self, probe: Probe, shared: &mut Shared, now: Instant) {
        if !shared.afford(&probe, now) {
            self.path.note_refused(&probe);
            return self.stats.count_dropped(Discard::RateLimited);
        }
        match probe.body {
            // one byte that every ESP receiver ignores (RFC 3948 section 2.3): it only has to open our own NAT
            ProbeBody::Knock => {}
            ProbeBody::Opener => shared.push_transmit(Transmit { to: probe.to, ttl: probe.ttl, datagram: vec![0xff] }),
            ProbeBody::Ping(ping) => self.send_control(&PathMessage::Ping(ping), probe.to, shared),
            ProbeBody::Pong(pong) => self.send_control(&PathMessage::Pong(pong), probe.to, shared),
        }
    }

    fn send_control(&mut self, message: &PathMessage, to: Remote, shared: &mut Shared) {
        self.send_payload(&message.encode(), to, shared);
    }

    /// Seals what the packet path hands up at the other end.
    fn send_payload(&mut self, payload: &[u8], to: Remote, shared: &mut Shared) {
        let Some(session) = self.rotation.sending() else { return };
        match session.outbound()[Family::V4 as usize].seal_control(NextHeader::Control, payload) {
            Ok(datagram) => shared.transmit(to, datagram),
            Err(reason) => self.stats.count_dropped(reason),
        }
    }

    fn handle_path_event(&mut self, event: PathEvent, shared: &mut Shared, now: Instant) {
        match event {
            PathEvent::Selected => {
                shared.forwarding_changed();
                shared.relays_doubted |= self.path.hedge().is_some();
                let selection = self.path.selection();
                if selection.is_some() && self.is_wanted(shared, now) {
                    self.rekey_if_overdue(shared, now);
                }
                let remote = selection.map(|selection| selection.remote);
                if remote != self.told {
                    self.told = remote;
                    shared.event(Event::PathChanged { peer: self.node(), selection });
                    self.report(shared, now);
                }
            }
            PathEvent::WantReport => self.report_attempts(shared, now),
            PathEvent::SocketsChanged => shared.event(Event::SocketsChanged),
            PathEvent::WantSample => shared.event(Event::WantSample),
            PathEvent::WantSearch => {
                if shared.control_up && shared.config.port_search {
                    shared.event(Event::Control(ToServer::Search(self.node())));
                }
            }
            PathEvent::WantStart => {
                if shared.control_up {
                    shared.event(Event::Control(ToServer::Connect(self.node())));
                } else {
                    self.wants_meeting = true;
                }
            }
            PathEvent::PingReply { token, rtt, remote, via } => {
                shared.event(Event::PingReply { peer: self.node(), token, rtt, remote, via });
            }
        }
    }

    /// Whether packets wait for a session. Those that nobody expects to arrive any more are thrown away.
    fn has_waiting(&mut self, now: Instant) -> bool {
        while self.queue.pop_front_if(|(since, _)| now.saturating_duration_since(*since) > WAIT_MAX).is_some() {
            self.stats.count_dropped(Discard::QueueFull);
        }
        !self.queue.is_empty()
    }

    /// Sends what waited for a session and a path.
    fn flush(&mut self, shared: &mut Shared, now: Instant) {
        if !self.has_waiting(now) {
            return;
        }
        let (Some(session), Some(selection)) = (self.rotation.sending(), self.path.selection()) else { return };
        for (_, packet) in self.queue.drain(..) {
            match seal(session, &packet) {
                Ok((datagram, form)) => {
                    self.stats.count_sent(1, packet.len(), form);
                    shared.transmit(selection.remote, datagram);
                }
                Err(reason) => self.stats.count_dropped(reason),
            }
        }
    }
}

/// Seals one queued inner packet; the slow path may allocate.
fn seal(session: &Session, packet: &[u8]) -> Result<(Vec<u8>, Form), Discard> {
    let family = match packet.first().map(|byte| byte >> 4) {
        Some(4) => Family::V4,
        Some(6) => Family::V6,
        _ => return Err(Discard::InnerMalformed),
    };
    let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + packet.len();
    buffer[range.clone()].copy_from_slice(packet);
    let sealed = session.outbound()[family as usize].seal_packet(&mut buffer, range)?;
    Ok((buffer[sealed.datagram].to_vec(), sealed.form))
}

/// Whether `a` names the same key and addresses as `b`, so that live sessions may go on under it.
pub(crate) fn same_binding(a: &VerifiedCertificate, b: &VerifiedCertificate) -> bool {
    let key = |certificate: &VerifiedCertificate| -> (StaticPublic, _, _) {
        (certificate.static_key, certificate.v4, certificate.v6)
    };
    key(a) == key(b) && a.routes == b.routes
}

/// A ping ends the pause after failures, but not the silence that heals a NAT (30 s on Linux): many follow each other.
const RETRY_SILENCE: Duration = Duration::from_secs(40);
/// Packets kept per peer while its session is made: 1,000 a second for the quarter of a second that a slow relay takes.
const MAX_QUEUE: usize = 256;
/// How long a packet may wait: TCP has repeated it by then, and what is minutes old would only astonish its receiver.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// First pause before the rendezvous is asked again for a pair; doubles up to the maximum.
const CONNECT_RETRY: Duration = Duration::from_secs(5);
const CONNECT_RETRY_MAX: Duration = Duration::from_secs(60);
/// How often the counters of an active pair are read.
const TICK: Duration = Duration::from_secs(1);
