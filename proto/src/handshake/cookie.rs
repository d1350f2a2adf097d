//! What an INIT may be asked for before it is answered: a proof of address under load, or of freshness.
//!
//! Both are 16 bytes made from a secret that changes every two minutes and the source address, so the responder keeps
//! nothing per sender. They travel sealed in a COOKIE, bound to the INIT it answers, and come back as the key of the
//! next INIT's mac2. The *cookie* proves that the sender receives at its address. The *challenge* proves that it is
//! there at this moment, so that a clock that went back does not lock a device out; only INITs that opened are
//! challenged. mac2 is not bound to the static key: who records an INIT, knows our public key and answers the challenge
//! gets a half-open session and no further. When there is load, and which time is stale, is decided elsewhere.

use std::time::{Duration, Instant};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::OneTimeKey;
use crate::crypto::kdf::{self, Key};
use crate::crypto::mac::{mac, tags_equal};
use crate::io::Discard;
use crate::keys::StaticPublic;
use crate::wire::handshake::{CookieReply, Init, Message};

/// What a COOKIE asked for: handed to the next `Initiator::start`.
#[derive(Clone)]
pub struct Cookie {
    bytes: Zeroizing<[u8; 16]>,
    stale: bool,
}

impl Cookie {
    /// Whether it answers an INIT whose time was not after the last one, rather than load.
    pub const fn is_challenge(&self) -> bool {
        self.stale
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    pub(super) fn open(reply: &CookieReply<'_>, sender: &StaticPublic, mac1: &[u8; 16]) -> Result<Self, Discard> {
        let mut bytes = Zeroizing::new(*reply.sealed);
        let key = OneTimeKey::new(kdf::cookie_key(sender, reply.nonce));
        key.open(&[&reply.header[..], mac1].concat(), bytes.as_mut_slice(), reply.tag)?;
        Ok(Self { bytes, stale: reply.stale })
    }
}

/// Makes and checks cookies and challenges; also checks mac1, the first thing to do with INIT and RESP.
pub struct Gate {
    own: StaticPublic,
    mac1_key: [u8; 32],
    current: Key,
    previous: Key,
    rotated: Instant,
}

impl Gate {
    /// A gate in front of the device with the static key `own`.
    pub fn new(own: StaticPublic, rng: &mut impl CryptoRng, now: Instant) -> Self {
        Self { mac1_key: kdf::mac1_key(&own), own, current: secret(rng), previous: secret(rng), rotated: now }
    }

    /// Changes the secret when it is due; to be called before the other methods. What was made with the last one
    /// stays good, so a cookie lives for two to four minutes.
    pub fn rotate(&mut self, rng: &mut impl CryptoRng, now: Instant) {
        let age = now.saturating_duration_since(self.rotated);
        if age < ROTATE_AFTER {
            return;
        }
        let fresh = secret(rng);
        self.previous = std::mem::replace(&mut self.current, fresh);
        if age >= 2 * ROTATE_AFTER {
            self.previous = secret(rng);
        }
        self.rotated = now;
    }

    /// Whether the sender of this INIT or RESP knows our public key.
    pub fn check_mac1(&self, datagram: &[u8]) -> Result<(), Discard> {
        let macs = match Message::parse(datagram)? {
            Message::Init(init) => init.macs,
            Message::Response(response) => response.macs,
            Message::Confirm(_) | Message::Cookie(_) => return Err(Discard::Malformed),
        };
        if tags_equal(&mac(&self.mac1_key, &[macs.before_mac1]), macs.mac1) { Ok(()) } else { Err(Discard::Mac1) }
    }

    /// Whether this INIT proves that its sender receives at `source`: by a cookie, or by a challenge.
    pub fn check_mac2(&self, datagram: &[u8], source: &[u8]) -> bool {
        self.proves(datagram, source, kdf::address_proof) || self.check_challenge(datagram, source)
    }

    /// Whether this INIT echoes a challenge given to `source` within the last four minutes; its time then does not matter.
    pub fn check_challenge(&self, datagram: &[u8], source: &[u8]) -> bool {
        self.proves(datagram, source, kdf::freshness_proof)
    }

    /// The COOKIE that asks the sender of this INIT, at `source`, to prove its address.
    pub fn cookie_reply(&self, datagram: &[u8], source: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, Discard> {
        self.reply(datagram, kdf::address_proof(&self.current, source), false, rng)
    }

    /// The COOKIE that challenges the sender of this INIT, which opened but is stale.
    pub fn stale_reply(&self, datagram: &[u8], source: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, Discard> {
        self.reply(datagram, kdf::freshness_proof(&self.current, source), true, rng)
    }

    fn reply(
        &self,
        datagram: &[u8],
        mut sealed: [u8; 16],
        stale: bool,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Discard> {
        let init = Init::parse(datagram)?;
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let header = CookieReply::header(init.spi_i, stale);
        let key = OneTimeKey::new(kdf::cookie_key(&self.own, &nonce));
        let tag = key.seal(&[&header[..], init.macs.mac1].concat(), &mut sealed);
        Ok(CookieReply::encode(&header, &nonce, &sealed, &tag))
    }

    fn proves(&self, datagram: &[u8], source: &[u8], proof: fn(&[u8; 32], &[u8]) -> [u8; 16]) -> bool {
        let Ok(init) = Init::parse(datagram) else { return false };
        [&self.current, &self.previous]
            .into_iter()
            .any(|secret| tags_equal(&mac(&proof(secret, source), &[init.macs.before_mac2]), init.macs.mac2))
    }
}

fn secret(rng: &mut impl CryptoRng) -> Key {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.fill_bytes(bytes.as_mut_slice());
    bytes
}

/// WireGuard's COOKIE_SECRET_MAX_AGE.
const ROTATE_AFTER: Duration = Duration::from_secs(120);
