//! X25519: ephemeral key pairs, and shared secrets that are refused when they are not secret.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::kdf::Key;
use crate::io::Discard;
use crate::keys::{StaticPublic, StaticSecret};

/// A key pair of one handshake; zeroed with it.
pub(crate) struct Ephemeral {
    secret: StaticSecret,
    public: StaticPublic,
}

impl Ephemeral {
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        let secret = StaticSecret::new(*bytes);
        Self { public: secret.public(), secret }
    }

    pub(crate) const fn public(&self) -> &StaticPublic {
        &self.public
    }

    pub(crate) fn shared(&self, peer: &StaticPublic) -> Result<Key, Discard> {
        shared(&self.secret, peer)
    }
}

/// The shared secret with `peer`. A point of low order, whose result anyone could know, is refused (RFC 7748
/// section 6.1).
pub(crate) fn shared(secret: &StaticSecret, peer: &StaticPublic) -> Result<Key, Discard> {
    let shared = secret.diffie_hellman(peer).ok_or(Discard::LowOrder)?;
    Ok(Zeroizing::new(shared.to_bytes()))
}
