//! How two devices agree on keys: `Noise_IKpsk2_25519_AESGCM_SHA256`, WireGuard's macs and cookie, and a CONFIRM.
//!
//! ```text
//! initiator                                        responder
//!   |   INIT    e, es, {static key}, ss, {time, terms}   |
//!   | -------------------------------------------------> |  Responder::read_init -> Received
//!   |   COOKIE  (only under load, or for a stale time)   |
//!   | <- - - - - - - - - - - - - - - - - - - - - - - - - |  Gate; the next INIT carries the proof in mac2
//!   |   RESP    e, ee, se, psk, {terms}                  |
//!   | <------------------------------------------------- |  Received::respond -> HalfOpen: may receive
//!   |   CONFIRM tag                                      |  Initiator::read_response -> Established: may send
//!   | -------------------------------------------------> |  HalfOpen::verify_confirm: may send
//! ```
//!
//! A half-finished handshake is a value, and each step makes the next one of it. Where a forged message could arrive
//! in place of the true one, a step borrows instead, so that the forgery costs nothing but time. There are no timers,
//! retries, tables or clocks here: `peer` repeats INIT with fresh keys and decides what is stale.
//!
//! # Claims
//! - Both ends have proved their static keys to each other when CONFIRM (or any ESP packet) verifies, and not before:
//!   INIT alone can be forged by whoever holds the *responder's* static key, so nothing it says may have effects.
//! - Keys are forward secret: both static keys leaked later open nothing recorded. The initiator's static key in INIT
//!   is hidden from all but the holder of the responder's, without forward secrecy.
//! - The network, every byte of INIT's header and of RESP's header are bound: INIT's through the prologue, RESP's
//!   through CONFIRM, both SPIs through the ESP keys.
//! - Overlay addresses never occur: they come from the certificate whose id is in the sealed terms.
//! - A message without the right mac1 gets no answer, so a scanner that does not know our key finds nothing here.
//!
//! The psk is all zero where there is none; RESP's flag says whether the responder had one, so that an end that lost
//! it by a restart can still answer. Whether that is good enough is told by [`Established::psk_used`] and judged by
//! `peer`. See docs/protocol.md for the layouts and `crypto::kdf` for every derivation.

mod cookie;
mod initiator;
mod responder;
mod symmetric;
mod terms;
mod timestamp;

use zeroize::Zeroizing;

use crate::crypto::kdf::{self, Key};
use crate::crypto::mac::mac;
use crate::crypto::{OneTimeKey, Preference, Suite};
use crate::keys::{CertificateId, NetworkId, SpiBase, StaticPublic, StaticSecret};
use crate::wire::handshake::{Confirm, MACS_LEN};

pub use cookie::{Cookie, Gate};
pub use initiator::Initiator;
pub use responder::{HalfOpen, Received, Responder};
pub use terms::Caps;
pub use timestamp::Tai64n;

use terms::Terms;

/// This device, as its handshakes present it.
pub struct LocalIdentity {
    static_secret: StaticSecret,
    static_public: StaticPublic,
    mac1_key: [u8; 32],
    network: NetworkId,
    terms: Terms,
}

impl LocalIdentity {
    /// `ttl` is what this host's stack sends with, IPv4 then IPv6, never 0; `suite` is the one it would like.
    pub fn new(
        static_secret: StaticSecret,
        certificate_id: CertificateId,
        network: NetworkId,
        ttl: [u8; 2],
        suite: Preference,
    ) -> Self {
        let static_public = static_secret.public();
        Self {
            static_secret,
            static_public,
            mac1_key: kdf::mac1_key(&static_public),
            network,
            terms: Terms { certificate_id, ttl, caps: Caps::preferring(suite) },
        }
    }

    /// The public half of its key.
    pub const fn static_public(&self) -> &StaticPublic {
        &self.static_public
    }
}

/// The keys of one session. They seal nothing themselves: security associations are derived from them.
pub struct SessionKeys {
    /// For what the initiator sends.
    pub initiator_to_responder: Zeroizing<[u8; 32]>,
    /// For what the responder sends.
    pub responder_to_initiator: Zeroizing<[u8; 32]>,
}

/// What a handshake has come to, the same at both ends but for who the peer is.
pub struct Established {
    /// The session's keys.
    pub keys: SessionKeys,
    /// The suite of all its security associations.
    pub suite: Suite,
    /// The key the peer proved.
    pub peer_static: StaticPublic,
    /// The statement about itself that the peer is bound to.
    pub certificate_id: CertificateId,
    /// The TTL and the hop limit that the peer's host sends with.
    pub peer_ttl: [u8; 2],
    /// The SPIs under which the peer receives.
    pub peer_spi: SpiBase,
    /// Whether a pre-shared key was mixed in.
    pub psk_used: bool,
    /// Noise's handshake hash: names this handshake, and is no secret.
    pub handshake_hash: [u8; 32],
    /// The CONFIRM: sent by the initiator, and again until something arrives; expected by the responder.
    pub confirm: Vec<u8>,
}

impl Established {
    /// A secret that only the two ends of this handshake know, another one for each label.
    pub fn export(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        kdf::export(&self.keys.initiator_to_responder, &self.handshake_hash, label)
    }
}

/// CONFIRM: whoever makes it has the session's keys and saw RESP's header as it was sent.
fn confirm(keys: &SessionKeys, spi_r: SpiBase, response_header: &[u8; 12], handshake_hash: &[u8; 32]) -> Vec<u8> {
    let header = Confirm::header(spi_r);
    let key = OneTimeKey::new(kdf::confirm_key(&keys.initiator_to_responder));
    let tag = key.seal(&[&header[..], response_header, handshake_hash].concat(), &mut []);
    Confirm::encode(&header, &tag)
}

/// Fills in the macs of an encoded INIT or RESP.
fn write_macs(message: &mut [u8], mac1_key: &[u8; 32], proof: Option<&Cookie>) {
    let (covered, macs) = message.split_at_mut(message.len() - MACS_LEN);
    let (mac1, mac2) = macs.split_at_mut(MACS_LEN / 2);
    mac1.copy_from_slice(&mac(mac1_key, &[covered]));
    if let Some(proof) = proof {
        mac2.copy_from_slice(&mac(proof.as_bytes(), &[covered, mac1]));
    }
}

/// The psk slot's content where there is no psk.
const NO_PSK: [u8; 32] = [0; 32];

fn psk_or_zero(psk: Option<&[u8; 32]>) -> Key {
    Zeroizing::new(*psk.unwrap_or(&NO_PSK))
}
