//! A peer's sessions: what a finished handshake becomes, when sending moves to it, and when it is replaced or over.
//!
//! The list itself, and which of it sends, is `session::rotation`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::shared::CANONICAL_TTL;
use super::{Event, Peer, SaKeys, Shared, TICK};
use crate::crypto::kdf;
use crate::handshake::Established;
use crate::keys::{Family, SpiBase};
use crate::session::{Session, SessionParams};
use crate::timer::Timer;

impl Peer {
    /// Everything the two certificates and the handshake say about a new session.
    pub(super) fn session_params(
        &self,
        local: SpiBase,
        initiator: bool,
        done: &Established,
        shared: &Shared,
    ) -> SessionParams {
        let own = &shared.local.certificate;
        let we_are_lower = own.static_key < self.certificate.static_key;
        SessionParams {
            suite: done.suite,
            local,
            remote: done.peer_spi,
            initiator,
            initiator_is_lower: we_are_lower == initiator,
            peer: self.node(),
            local_addresses: [IpAddr::V4(own.v4), IpAddr::V6(own.v6)],
            peer_addresses: [IpAddr::V4(self.certificate.v4), IpAddr::V6(self.certificate.v6)],
            local_ttl: CANONICAL_TTL,
            peer_ttl: done.peer_ttl,
            peer_routes: self.certificate.routes.clone(),
        }
    }

    /// Adds a session and, when it is ours to send on at once, moves sending to it.
    pub(super) fn install(
        &mut self,
        local: SpiBase,
        initiator: bool,
        done: &Established,
        shared: &mut Shared,
        now: Instant,
    ) {
        let params = self.session_params(local, initiator, done, shared);
        let keys = &done.keys;
        let (outbound, inbound) = if initiator {
            (&keys.initiator_to_responder, &keys.responder_to_initiator)
        } else {
            (&keys.responder_to_initiator, &keys.initiator_to_responder)
        };
        let session = Session::new(&params, outbound, inbound, now);
        session.arm_wakes();
        export_keys(&params, outbound, inbound, shared);
        shared.release_bases(self.rotation.install(session, simultaneous(shared)));
        if initiator {
            self.sending_changed(shared, now);
        } else {
            shared.forwarding_changed();
        }
        self.set_expiry(shared);
    }

    /// Something authentic arrived on a session.
    pub(super) fn heard(&mut self, base: SpiBase, shared: &mut Shared, now: Instant) {
        if self.confirm.as_ref().is_some_and(|confirm| confirm.session == base) {
            self.confirm = None;
            self.timers.stop(Timer::Confirm);
        }
        if self.rotation.heard(base, simultaneous(shared), now) {
            self.responding.forget(base);
            self.sending_changed(shared, now);
        }
    }

    pub(super) fn sending_changed(&mut self, shared: &mut Shared, now: Instant) {
        shared.release_bases(self.handshaking.finish());
        self.timers.stop(Timer::Handshake);
        shared.forwarding_changed();
        let iv_len = self.rotation.sending().map_or(0, |session| session.suite().iv_len());
        self.path.session_ready(ESP_OVERHEAD + iv_len, now);
        if let Some(session) = self.rotation.sending() {
            let after = rekey_after(session.is_initiator(), shared);
            self.timers.set(Timer::Rekey, session.born() + after);
        }
        self.set_expiry(shared);
        self.traffic.woken();
        self.timers.set_no_later(Timer::Tick, now + TICK);
    }

    pub(super) fn set_expiry(&mut self, shared: &Shared) {
        match self.rotation.next_expiry(shared.config.reject_after) {
            Some(at) => self.timers.set(Timer::Expire, at),
            None => self.timers.stop(Timer::Expire),
        }
    }

    pub(super) fn expire(&mut self, shared: &mut Shared, now: Instant) {
        let was_sending = self.rotation.sending().is_some();
        let gone = self.rotation.expire(shared.config.reject_after, now);
        gone.iter().for_each(|base| self.responding.forget(*base));
        shared.release_bases(gone);
        shared.forwarding_changed();
        self.set_expiry(shared);
        if was_sending && self.rotation.sending().is_none() {
            self.path.session_lost(now);
            if self.is_wanted(shared, now) && self.may_be_there(shared) {
                self.connect(shared, now);
            }
        }
    }

    /// Makes up for a handshake that could not be made, or was not wanted, when it was due.
    pub(super) fn rekey_if_overdue(&mut self, shared: &mut Shared, now: Instant) {
        let due = |session: &Session| session.born() + rekey_after(session.is_initiator(), shared);
        if self.rotation.sending().map_or(now, due) <= now {
            self.start_handshake(shared, now);
        }
    }

    pub(super) fn rekey(&mut self, shared: &mut Shared, now: Instant) {
        if self.is_wanted(shared, now) {
            self.start_handshake(shared, now);
        }
    }
}

fn export_keys(params: &SessionParams, outbound: &[u8; 32], inbound: &[u8; 32], shared: &mut Shared) {
    if !shared.config.export_sa_keys {
        return;
    }
    for (base, key) in [(params.local, inbound), (params.remote, outbound)] {
        for family in [Family::V4, Family::V6] {
            let spi = base.spi(family);
            let key_material = kdf::esp_key_material(key, params.suite, spi);
            shared.event(Event::SaKeys(Box::new(SaKeys { spi, suite: params.suite, key_material: *key_material })));
        }
    }
}

/// The initiator rekeys on time; the responder only when the initiator has missed three quarters of what is left.
fn rekey_after(initiator: bool, shared: &Shared) -> Duration {
    let config = &shared.config;
    if initiator {
        config.rekey_after
    } else {
        config.rekey_after + config.reject_after.saturating_sub(config.rekey_after) * 3 / 4
    }
}

/// Sessions born closer together than this were initiated by both sides at once. Below the rekey interval, or a
/// successor would be taken for a twin.
fn simultaneous(shared: &Shared) -> Duration {
    SIMULTANEOUS.min(shared.config.rekey_after / 2)
}

const SIMULTANEOUS: Duration = Duration::from_secs(5);
/// What ESP with an implicit IV adds to a path message: header, pad, trailer, ICV.
const ESP_OVERHEAD: usize = 26;
