//! The answering half of a peer: a valid INIT becomes a half-open session, a CONFIRM makes it one to send on.
//!
//! Until then nothing of the INIT is believed (whoever holds *our* static key could have forged it): no endpoint moves and
//! nothing is sent but the RESP.

use std::time::Instant;

use super::{Peer, Shared};
use crate::handshake::{HalfOpen, Received};
use crate::io::{Discard, Remote};
use crate::keys::SpiBase;

/// Handshakes answered and not yet confirmed.
#[derive(Default)]
pub(super) struct Responding {
    half_open: Vec<(SpiBase, HalfOpen)>,
}

impl Responding {
    pub(super) fn forget(&mut self, base: SpiBase) {
        self.half_open.retain(|(held, _)| *held != base);
    }

    fn hold(&mut self, base: SpiBase, half_open: HalfOpen) {
        if self.half_open.len() == MAX_HALF_OPEN {
            self.half_open.remove(0);
        }
        self.half_open.push((base, half_open));
    }
}

/// What became of an INIT.
pub(crate) enum InitOutcome {
    /// Answered by a RESP.
    Answered,
    /// Valid, but not newer than the last one: to be challenged.
    Stale,
    /// Not answered.
    Discarded(Discard),
}

impl Peer {
    /// An INIT that decrypted to this peer's static key. `fresh` says that it echoed our challenge, so its time does not
    /// matter.
    pub(crate) fn handle_init(
        &mut self,
        received: Received,
        fresh: bool,
        from: Remote,
        shared: &mut Shared,
        now: Instant,
    ) -> InitOutcome {
        if received.certificate_id != self.certificate.id() {
            return InitOutcome::Discarded(Discard::CertificateMismatch);
        }
        if !fresh && self.handshaking.latest_init.is_some_and(|latest| received.timestamp <= latest) {
            return InitOutcome::Stale;
        }
        let timestamp = received.timestamp;
        let base = shared.allocate_base(self.node());
        let (half_open, response) = match received.respond(&shared.identity, base, None, &mut shared.rng) {
            Ok(answer) => answer,
            Err(reason) => {
                shared.release_bases([base]);
                return InitOutcome::Discarded(reason);
            }
        };
        self.handshaking.latest_init = self.handshaking.latest_init.max(Some(timestamp));
        // receive keys first, then RESP: the initiator may send on the session as soon as it has read it
        self.install(base, false, half_open.established(), shared, now);
        self.responding.hold(base, half_open);
        shared.transmit(from, response);
        InitOutcome::Answered
    }

    /// The CONFIRM of a session we answered.
    pub(crate) fn handle_confirm(
        &mut self,
        base: SpiBase,
        bytes: &[u8],
        from: Remote,
        shared: &mut Shared,
        now: Instant,
    ) {
        let Some((_, half_open)) = self.responding.half_open.iter().find(|(held, _)| *held == base) else {
            return shared.count(Discard::Unsolicited);
        };
        match half_open.verify_confirm(bytes) {
            Ok(()) => {
                self.heard(base, shared, now);
                self.path.handle_handshake(from, now);
            }
            Err(reason) => shared.count(reason),
        }
    }
}

/// As many as the rotation keeps unconfirmed sessions.
const MAX_HALF_OPEN: usize = 4;
