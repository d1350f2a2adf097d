//! Which INITs are worth a Diffie-Hellman: the cheap checks that come first.
//!
//! mac1 proves that the sender knows our public key; under load a cookie proves that it can receive at its address; a
//! peer whose time stands still is asked to echo a challenge. Order and limits follow WireGuard sections 5.3 and 5.4.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use super::Node;
use crate::handshake::{Gate, Responder};
use crate::io::{Auxiliary, Discard, Remote};
use crate::keys::StaticPublic;
use crate::peer::InitOutcome;

/// Counts INITs and holds the cookie secret.
pub(super) struct Admission {
    gate: Gate,
    window: Instant,
    in_window: u32,
}

impl Admission {
    pub(super) fn new(own: StaticPublic, rng: &mut ChaCha20Rng, now: Instant) -> Self {
        Self { gate: Gate::new(own, rng, now), window: now, in_window: 0 }
    }

    /// Counts one INIT; says whether so many came lately that a cookie must be shown.
    fn is_under_load(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.window) >= LOAD_WINDOW {
            self.window = now;
            self.in_window = 0;
        }
        self.in_window += 1;
        self.in_window > LOAD_INITS
    }
}

impl Node {
    pub(super) fn handle_init(&mut self, from: Remote, datagram: &[u8], now: Instant) {
        if let Err(reason) = self.admit(from, datagram, now) {
            self.shared.count(reason);
        }
    }

    fn admit(&mut self, from: Remote, datagram: &[u8], now: Instant) -> Result<(), Discard> {
        let source = source_bytes(from);
        self.admission.gate.check_mac1(datagram)?;
        self.admission.gate.rotate(&mut self.shared.rng, now);
        if self.admission.is_under_load(now) && !self.admission.gate.check_mac2(datagram, &source) {
            let cookie = self.admission.gate.cookie_reply(datagram, &source, &mut self.shared.rng)?;
            self.shared.transmit(from, cookie);
            return Err(Discard::Mac2);
        }
        let received = Responder::read_init(&self.shared.identity, datagram)?;
        let id = *self.by_key.get(&received.peer_static).ok_or(Discard::UnknownPeer)?;
        let fresh = self.admission.gate.check_challenge(datagram, &source);
        let mut outcome = InitOutcome::Discarded(Discard::UnknownPeer);
        self.with(id, now, |peer, shared| outcome = peer.handle_init(received, fresh, from, shared, now));
        match outcome {
            InitOutcome::Answered => Ok(()),
            InitOutcome::Discarded(reason) => Err(reason),
            InitOutcome::Stale => {
                let challenge = self.admission.gate.stale_reply(datagram, &source, &mut self.shared.rng)?;
                self.shared.transmit(from, challenge);
                Err(Discard::StaleInit)
            }
        }
    }
}

/// What a cookie is bound to: the address and port, or the relay channel, that the INIT came from.
fn source_bytes(from: Remote) -> Vec<u8> {
    let (addr, channel) = match from {
        Remote::Auxiliary(Auxiliary { peer: addr, .. }) | Remote::Direct(addr) => (addr, 0),
        Remote::Relay(channel) => (channel.relay, channel.channel),
    };
    let mut bytes = match addr.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend(addr.port().to_be_bytes());
    bytes.extend(channel.to_be_bytes());
    bytes
}

/// A responder spends about 0.25 ms on an INIT: 200 a second are 5 % of one core, and more than 100 peers need even
/// when all of them restart together.
const LOAD_INITS: u32 = 200;
const LOAD_WINDOW: Duration = Duration::from_secs(1);
