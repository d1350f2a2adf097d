//! Authenticated encryption in place, behind an enum so that the packet path makes no indirect call.
//!
//! `ring` seals the data plane; `aes-gcm` is the reference it is tested against and serves where `ring` has no assembly.
//! What nonce and associated data mean, and that no nonce repeats, is the caller's part.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};

use crate::io::Discard;

use super::Suite;

/// A suite's cipher with its key set up. The key is cleared on drop by `aes-gcm`; `ring` offers no such thing.
pub struct EspAead(Backend);

#[expect(
    clippy::large_enum_variant,
    reason = "the packet path's key lies in the association itself, not behind a pointer"
)]
enum Backend {
    Ring(LessSafeKey),
    RustCrypto(Box<Aes256Gcm>),
}

impl EspAead {
    /// Sets the key up with the backend that is fastest for `suite`.
    pub fn new(suite: Suite, key: &[u8; KEY_LEN]) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm | Suite::Aes256GcmIiv => &AES_256_GCM,
            Suite::ChaCha20Poly1305Iiv => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).expect("both algorithms take keys of 32 bytes");
        Self(Backend::Ring(LessSafeKey::new(key)))
    }

    /// Sets the key up with the portable backend; `None` for the suites it does not know.
    pub fn reference(suite: Suite, key: &[u8; KEY_LEN]) -> Option<Self> {
        match suite {
            Suite::Aes256Gcm | Suite::Aes256GcmIiv => {
                Some(Self(Backend::RustCrypto(Box::new(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))))))
            }
            Suite::ChaCha20Poly1305Iiv => None,
        }
    }

    /// Encrypts `buffer` and returns the tag over it and `aad`.
    ///
    /// # Panics
    /// Beyond 2^36 bytes, which no caller has.
    pub fn seal_in_place(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        match &self.0 {
            Backend::Ring(key) => {
                let nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer).expect(SHORT_ENOUGH);
                tag.as_ref().try_into().expect("both algorithms have tags of 16 bytes")
            }
            Backend::RustCrypto(cipher) => {
                cipher.encrypt_inout_detached(&Nonce::from(*nonce), aad, buffer.into()).expect(SHORT_ENOUGH).into()
            }
        }
    }

    /// Decrypts `buffer`. When the tag is wrong the buffer's contents are undefined, never plaintext.
    pub fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Discard> {
        match &self.0 {
            Backend::Ring(key) => {
                let nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
                key.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buffer, 0..)
                    .map(|_| ())
                    .map_err(|_| Discard::Authentication)
            }
            Backend::RustCrypto(cipher) => cipher
                .decrypt_inout_detached(&Nonce::from(*nonce), aad, buffer.into(), &Tag::from(*tag))
                .map_err(|_| Discard::Authentication),
        }
    }
}

/// Bytes of key, the same for AES-256 and ChaCha20.
pub const KEY_LEN: usize = 32;

/// Bytes of nonce: a salt of 4 and the IV of 8 (RFC 4106 section 4, RFC 7634 section 2).
pub const NONCE_LEN: usize = 12;

/// Bytes of tag; never truncated.
pub const TAG_LEN: usize = 16;

/// Why sealing cannot fail.
const SHORT_ENOUGH: &str = "a datagram is far below the limit of 2^36 bytes";
