//! The asking half of a peer: INITs until one is answered, and CONFIRM until the responder is heard.
//!
//! Without the rendezvous `path` says where INITs go, as probes. Which INITs are outstanding and when the next is due is `handshaking`; what a finished handshake becomes is `sessions`.

use std::time::{Duration, Instant};

use super::{CONNECT_RETRY_MAX, Peer, Shared};
use crate::handshake::Initiator;
use crate::io::{Discard, Remote};
use crate::keys::SpiBase;
use crate::timer::Timer;

/// A CONFIRM to be repeated until the responder is heard.
pub(super) struct Confirm {
    pub(super) session: SpiBase,
    to: Remote,
    datagram: Vec<u8>,
    left: u32,
}

impl Peer {
    /// The RESP to one of our INITs.
    pub(crate) fn handle_response(
        &mut self,
        base: SpiBase,
        bytes: &[u8],
        from: Remote,
        shared: &mut Shared,
        now: Instant,
    ) {
        let Some(initiator) = self.handshaking.get(base) else { return shared.count(Discard::Unsolicited) };
        let established = match initiator.read_response(&shared.identity, bytes) {
            Ok(established) if established.certificate_id == self.certificate.id() => established,
            Ok(_) => return shared.count(Discard::CertificateMismatch),
            Err(reason) => return shared.count(reason),
        };
        shared.release_bases(self.handshaking.finish_with(base));
        self.timers.stop(Timer::Handshake);
        shared.transmit(from, established.confirm.clone());
        self.confirm =
            Some(Confirm { session: base, to: from, datagram: established.confirm.clone(), left: CONFIRM_REPEATS });
        self.timers.set(Timer::Confirm, now + CONFIRM_AFTER);
        self.install(base, true, &established, shared, now);
        self.path.handle_handshake(from, now);
    }

    /// A COOKIE: the next INIT proves what it asks for, at once.
    pub(crate) fn handle_cookie(
        &mut self,
        base: SpiBase,
        bytes: &[u8],
        from: Remote,
        shared: &mut Shared,
        now: Instant,
    ) {
        match self.handshaking.take_cookie(base, bytes, from) {
            Ok(Some(to)) => self.send_init_to(to, shared, now),
            Ok(None) => {}
            Err(reason) => shared.count(reason),
        }
    }

    pub(super) fn start_handshake(&mut self, shared: &mut Shared, now: Instant) {
        if !self.handshaking.is_running() {
            self.send_init(shared, now);
        }
    }

    pub(super) fn retry_handshake(&mut self, shared: &mut Shared, now: Instant) {
        if self.handshaking.has_failed(now) {
            shared.release_bases(self.handshaking.finish());
            self.timers.set_no_later(Timer::Connect, now + CONNECT_RETRY_MAX);
            return;
        }
        self.send_init(shared, now);
    }

    pub(super) fn send_init(&mut self, shared: &mut Shared, now: Instant) {
        let relay = self.relay.map(Remote::Relay);
        let selected = self.path.selection().map(|selection| selection.remote);
        let direct = selected.filter(|remote| Some(*remote) != relay);
        if direct.is_none() && !shared.control_up {
            // a relay that is left may be gone with the rendezvous
            self.path.knock(now);
            self.wants_meeting = true;
        }
        // the path in use and the relay in turn: a rekey must also get through when the path has just died
        let (first, second) =
            if self.handshaking.tries().is_multiple_of(2) { (direct, relay) } else { (relay, direct) };
        match first.or(second) {
            Some(to) => self.send_init_to(to, shared, now),
            // the next relay channel or path begins anew
            None => self.handshaking.pause(),
        }
    }

    fn send_init_to(&mut self, to: Remote, shared: &mut Shared, now: Instant) {
        let Some((base, initiator)) = self.make_init(&[to], shared, now) else { return };
        let (gone, next) = self.handshaking.sent(base, to, initiator, now);
        shared.release_bases(gone);
        self.timers.set(Timer::Handshake, next);
    }

    /// INITs as probes: one for all addresses, for it says the same at each, but for those that want to see a proof.
    pub(super) fn knock(&mut self, at: Vec<Remote>, shared: &mut Shared, now: Instant) {
        let (proving, rest): (Vec<_>, Vec<_>) =
            at.into_iter().partition(|to| self.handshaking.proof_for(*to).is_some());
        for to in proving.into_iter().map(|to| vec![to]).chain([rest]).filter(|to| !to.is_empty()) {
            let Some((base, initiator)) = self.make_init(&to, shared, now) else { return };
            shared.release_bases(self.handshaking.knocked(base, to, initiator));
        }
    }

    /// Makes an INIT and sends it to each of these, with the proof that the first of them asked for.
    fn make_init(&mut self, to: &[Remote], shared: &mut Shared, now: Instant) -> Option<(SpiBase, Initiator)> {
        let base = shared.allocate_base(self.node());
        let timestamp = self.handshaking.timestamp(shared.unix_time(now));
        let peer = self.certificate.static_key;
        let proof = to.first().and_then(|to| self.handshaking.proof_for(*to));
        let started = Initiator::start(&shared.identity, &peer, base, timestamp, None, proof, &mut shared.rng);
        let Ok((initiator, datagram)) = started else {
            shared.release_bases([base]);
            shared.count(Discard::LowOrder);
            return None;
        };
        to.iter().for_each(|to| shared.transmit(*to, datagram.clone()));
        Some((base, initiator))
    }

    pub(super) fn repeat_confirm(&mut self, shared: &mut Shared, now: Instant) {
        let Some(confirm) = &mut self.confirm else { return };
        shared.transmit(confirm.to, confirm.datagram.clone());
        confirm.left -= 1;
        if confirm.left == 0 {
            self.confirm = None;
        } else {
            self.timers.set(Timer::Confirm, now + CONFIRM_AFTER);
        }
    }
}

/// How often, and how many times, CONFIRM is repeated: any ESP packet of ours would serve as well.
const CONFIRM_AFTER: Duration = Duration::from_millis(250);
const CONFIRM_REPEATS: u32 = 5;
