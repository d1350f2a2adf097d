//! Is the pair used, and is it heard? Reads the counters that the packet path raises, once to five times a second
//! while something moves, and lets the packet path wake it when nothing does.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Event, Peer, Shared, TICK};
use crate::control::{PathReport, ToServer};
use crate::keys::SpiBase;
use crate::path::{Selection, Tally};
use crate::timer::Timer;

/// What the counters said last.
pub(super) struct Traffic {
    sealed: u64,
    opened: u64,
    /// What the session we send on had opened.
    answered: Option<(SpiBase, u64)>,
    data: u64,
    quiet_ticks: u32,
    /// Whether so much is sent that the next look should come soon.
    is_busy: bool,
    used_at: Instant,
    /// Since when we have sent without hearing anything.
    unheard_since: Option<Instant>,
    reported_at: Option<Instant>,
    reported: u64,
    /// Until when somebody looks at the pair.
    watched_until: Option<Instant>,
    measured_at: Option<Instant>,
    tally: Tally,
}

impl Traffic {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sealed: 0,
            opened: 0,
            answered: None,
            data: 0,
            quiet_ticks: 0,
            is_busy: false,
            used_at: now,
            unheard_since: None,
            reported_at: None,
            reported: 0,
            watched_until: None,
            measured_at: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn used(&mut self, now: Instant) {
        self.used_at = now;
    }

    pub(super) fn woken(&mut self) {
        self.quiet_ticks = 0;
    }

    /// What was reported is known to nobody any more: the next keepalive has something to say.
    pub(super) fn forget_report(&mut self) {
        self.reported_at = None;
    }

    fn is_watched(&self, now: Instant) -> bool {
        self.watched_until.is_some_and(|until| now < until)
    }

    pub(super) fn is_recent(&self, within: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.used_at) < within
    }
}

impl Peer {
    /// Whether what woke a pair at rest was a path message and nothing else: `path` looks after those by itself, and an
    /// idle pair would be watched for seconds after each keepalive. Wakes are armed again first, so that data that comes
    /// while we look is met by one or the other.
    pub(super) fn rests_on(&mut self, woken: SpiBase) -> bool {
        if self.traffic.quiet_ticks < REST_AFTER_TICKS {
            return false;
        }
        if let Some(session) = self.rotation.find(woken) {
            session.arm_wakes();
        }
        if self.data() != self.traffic.data {
            return false;
        }
        (self.traffic.sealed, self.traffic.opened) = self.rotation.packets();
        self.traffic.answered = self.rotation.sending().map(|session| (session.local(), session.opened()));
        self.path.pass_over_traffic(self.traffic.sealed, self.traffic.opened);
        true
    }

    /// One look at the counters.
    pub(super) fn tick(&mut self, shared: &mut Shared, now: Instant) {
        let (sealed, opened) = self.rotation.packets();
        let data = self.data();
        let (sent, heard) = (sealed > self.traffic.sealed, opened > self.traffic.opened);
        if data > self.traffic.data {
            self.traffic.used_at = now;
            self.rekey_if_overdue(shared, now);
        }
        self.traffic.is_busy = sealed.saturating_sub(self.traffic.sealed) >= BUSY;
        self.traffic.quiet_ticks = if sent || heard { 0 } else { self.traffic.quiet_ticks + 1 };
        (self.traffic.sealed, self.traffic.opened, self.traffic.data) = (sealed, opened, data);
        self.path.note_load(self.stats.tx_bytes.load(Ordering::Relaxed), now);
        self.path.note_traffic(sealed, opened, now);
        self.look_for_deaf_peer(sent, shared, now);
        self.check_packet_limit(shared, now);
        self.measure_if_watched(now);
        self.report_if_due(shared, now);
        self.rest_or_tick_again(now);
    }

    /// A peer that restarted has lost its keys and cannot say so: a new handshake finds out (WireGuard section 6.5).
    /// What it says on another session than the one we send on does not prove that it can open what we send.
    fn look_for_deaf_peer(&mut self, sent: bool, shared: &mut Shared, now: Instant) {
        let answered = self.rotation.sending().map(|session| (session.local(), session.opened()));
        if std::mem::replace(&mut self.traffic.answered, answered) != answered {
            self.traffic.unheard_since = None;
        } else if sent {
            let since = *self.traffic.unheard_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= DEAF_AFTER {
                self.traffic.unheard_since = Some(now);
                self.start_handshake(shared, now);
            }
        }
    }

    /// Inner packets carried so far.
    fn data(&self) -> u64 {
        self.stats.rx_packets.load(Ordering::Relaxed) + self.stats.tx_packets.load(Ordering::Relaxed)
    }

    fn check_packet_limit(&mut self, shared: &mut Shared, now: Instant) {
        if self.rotation.sending().is_some_and(|session| session.sealed() >= REKEY_PACKETS) {
            self.start_handshake(shared, now);
        }
    }

    /// Somebody looks at the pair for so long. It is measured and reported, but not kept for that: nobody uses it.
    pub(crate) fn watch(&mut self, within: Duration, now: Instant) {
        self.traffic.watched_until = Some(now + within.min(WATCH_MAX));
        self.timers.set_no_later(Timer::Tick, now);
    }

    fn measure_if_watched(&mut self, now: Instant) {
        let due = self.traffic.measured_at.is_none_or(|at| now.saturating_duration_since(at) >= WATCH_EVERY);
        if due && self.traffic.is_watched(now) {
            self.traffic.measured_at = Some(now);
            self.path.measure(now);
        }
    }

    fn rest_or_tick_again(&mut self, now: Instant) {
        let Some(session) = self.rotation.sending() else { return };
        if self.traffic.quiet_ticks >= REST_AFTER_TICKS && !self.traffic.is_watched(now) {
            session.arm_wakes();
        } else {
            let pause = if self.traffic.is_busy { BUSY_TICK } else { TICK };
            self.timers.set(Timer::Tick, now + pause);
        }
    }

    fn report_if_due(&mut self, shared: &mut Shared, now: Instant) {
        let moved = self.traffic.data != self.traffic.reported;
        let watched = self.traffic.is_watched(now);
        let pause = if watched { WATCH_EVERY } else { REPORT_EVERY };
        if (moved || watched) && self.is_report_older_than(pause, now) {
            self.report(shared, now);
        }
    }

    /// An idle pair has something to say when a keepalive was answered, and needs no wake-up of its own to say it.
    pub(super) fn report_if_stale(&mut self, shared: &mut Shared, now: Instant) {
        if self.told.is_some() && self.is_report_older_than(REPORT_IDLE_EVERY, now) {
            self.report(shared, now);
        }
    }

    fn is_report_older_than(&self, age: Duration, now: Instant) -> bool {
        self.traffic.reported_at.is_none_or(|at| now.saturating_duration_since(at) >= age)
    }

    /// Tells the rendezvous what this path is like, for the dashboard.
    pub(super) fn report(&mut self, shared: &mut Shared, now: Instant) {
        if !shared.control_up {
            return;
        }
        self.traffic.reported_at = Some(now);
        self.traffic.reported = self.traffic.data;
        let tally = self.path.take_tally(now);
        self.traffic.tally.probes += tally.probes;
        self.traffic.tally.lost += tally.lost;
        let selection = self.path.selection();
        let since = selection.map_or(now, |selection| selection.since);
        let since_unix = shared.unix_time(now).since_epoch().saturating_sub(now.saturating_duration_since(since));
        let report = PathReport {
            peer: self.node(),
            kind: selection.map_or("none", |selection| selection.via.kind()).to_owned(),
            via: selection.map_or("", |selection| selection.via.name()).to_owned(),
            remote: selection.and_then(direct_address),
            rtt_us: selection.map_or(0, |selection| u64::try_from(selection.rtt.as_micros()).unwrap_or(u64::MAX)),
            mtu: selection.map_or(0, |selection| u32::try_from(selection.udp_payload).unwrap_or(u32::MAX)),
            since_unix_ms: u64::try_from(since_unix.as_millis()).unwrap_or(u64::MAX),
            rx_bytes: self.stats.rx_bytes.load(Ordering::Relaxed),
            tx_bytes: self.stats.tx_bytes.load(Ordering::Relaxed),
            reason_code: self.path.explain(self.online).code.to_owned(),
            rx_packets: self.stats.rx_packets.load(Ordering::Relaxed),
            tx_packets: self.stats.tx_packets.load(Ordering::Relaxed),
            probes: self.traffic.tally.probes,
            probes_lost: self.traffic.tally.lost,
        };
        shared.event(Event::Control(ToServer::PathReport(report)));
    }
}

fn direct_address(selection: Selection) -> Option<std::net::SocketAddr> {
    selection.remote.straight()
}

/// Half of the integrity limit's margin: QUIC's confidentiality bound for AES-GCM (RFC 9001 section 6.6) is 2^28 packets
/// at our size.
const REKEY_PACKETS: u64 = 1 << 28;
/// Packets sent between two looks that make the next one soon: a flow of some tens of packets a second would miss those
/// of a second, a keystroke now and then would not.
const BUSY: u64 = 5;
/// Between looks while so much is sent: half of the silence that `path` takes for a sign.
const BUSY_TICK: Duration = Duration::from_millis(200);
/// Quiet seconds after which the counters are no longer read until the packet path says that something moves.
const REST_AFTER_TICKS: u32 = 3;
/// Sent this long without hearing anything: the peer may have lost its keys. Below WireGuard's 15 s because a restarted
/// agent must be back in 5 s.
const DEAF_AFTER: Duration = Duration::from_secs(4);
/// How often a moving pair is reported to the rendezvous: one point of its history.
const REPORT_EVERY: Duration = Duration::from_secs(15);
/// How often an idle pair is.
const REPORT_IDLE_EVERY: Duration = Duration::from_secs(300);
/// How often a pair that somebody looks at is measured and reported.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// Longest that one message makes us do so.
const WATCH_MAX: Duration = Duration::from_secs(60);
