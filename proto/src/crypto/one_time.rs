//! AES-256-GCM keys that are used once and then gone.
//!
//! Each message part of the handshake has a key of its own, so the nonce is always zero. Sealing and opening consume
//! the key: that a nonce never repeats is checked by the compiler.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};

use super::kdf;
use crate::io::Discard;

/// A key for one message.
pub(crate) struct OneTimeKey(kdf::Key);

impl OneTimeKey {
    pub(crate) const fn new(key: kdf::Key) -> Self {
        Self(key)
    }

    /// Encrypts `buffer` and returns the tag over it and `aad`.
    pub(crate) fn seal(self, aad: &[u8], buffer: &mut [u8]) -> [u8; 16] {
        self.cipher()
            .encrypt_inout_detached(&ZERO_NONCE.into(), aad, buffer.into())
            .expect("a handshake message is far below the limit of AES-GCM")
            .into()
    }

    /// Decrypts `buffer`; on failure it is left encrypted.
    pub(crate) fn open(self, aad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> Result<(), Discard> {
        self.cipher()
            .decrypt_inout_detached(&Nonce::from(ZERO_NONCE), aad, buffer.into(), &Tag::from(*tag))
            .map_err(|_| Discard::Authentication)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(<&Key<Aes256Gcm>>::from(&*self.0))
    }
}

const ZERO_NONCE: [u8; 12] = [0; 12];
