//! Three libraries behind one trait, so that each is measured by the same code.
//!
//! Only what a packet needs: a key of 32 bytes, a nonce of 12, eight bytes of associated data, a tag of 16.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use chacha20poly1305::ChaCha20Poly1305;

/// The two AEADs that Warren's suites use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Algorithm {
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

/// A library with a key set up.
pub(crate) trait Backend {
    /// Sets the key up.
    fn new(algorithm: Algorithm, key: &[u8; 32]) -> Self;

    /// Encrypts in place and returns the tag.
    fn seal(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8]) -> [u8; 16];

    /// Verifies and decrypts in place; false if the tag is wrong.
    fn open(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8], tag: &[u8; 16]) -> bool;
}

/// A library that can also read here and write there.
pub(crate) trait OutOfPlace: Backend {
    /// Encrypts `plaintext` into the first bytes of `out`, and writes the tag behind them.
    fn seal_into(&self, nonce: [u8; 12], aad: &[u8; 8], plaintext: &[u8], out: &mut [u8]);
}

/// `ring`.
pub(crate) struct Ring(ring::aead::LessSafeKey);

impl Backend for Ring {
    fn new(algorithm: Algorithm, key: &[u8; 32]) -> Self {
        use ring::aead::{AES_256_GCM, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
        let algorithm = match algorithm {
            Algorithm::Aes256Gcm => &AES_256_GCM,
            Algorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        Self(LessSafeKey::new(UnboundKey::new(algorithm, key).expect(KEY)))
    }

    #[inline]
    fn seal(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8]) -> [u8; 16] {
        let nonce = ring::aead::Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, ring::aead::Aad::from(aad), buffer).expect(SEALS);
        tag.as_ref().try_into().expect(TAG)
    }

    #[inline]
    fn open(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8], tag: &[u8; 16]) -> bool {
        let nonce = ring::aead::Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, ring::aead::Aad::from(aad), (*tag).into(), buffer, 0..).is_ok()
    }
}

/// `aws-lc-rs`.
pub(crate) struct AwsLc(aws_lc_rs::aead::LessSafeKey);

impl Backend for AwsLc {
    fn new(algorithm: Algorithm, key: &[u8; 32]) -> Self {
        use aws_lc_rs::aead::{AES_256_GCM, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
        let algorithm = match algorithm {
            Algorithm::Aes256Gcm => &AES_256_GCM,
            Algorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        Self(LessSafeKey::new(UnboundKey::new(algorithm, key).expect(KEY)))
    }

    #[inline]
    fn seal(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8]) -> [u8; 16] {
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
        let mut tag = [0; 16];
        self.0.seal_in_place_scatter(nonce, aws_lc_rs::aead::Aad::from(aad), buffer, &[], &mut tag).expect(SEALS);
        tag
    }

    #[inline]
    fn open(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8], tag: &[u8; 16]) -> bool {
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, aws_lc_rs::aead::Aad::from(aad), tag, buffer).is_ok()
    }
}

impl OutOfPlace for AwsLc {
    #[inline]
    fn seal_into(&self, nonce: [u8; 12], aad: &[u8; 8], plaintext: &[u8], out: &mut [u8]) {
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
        let (ciphertext, rest) = out.split_at_mut(plaintext.len());
        let aad = aws_lc_rs::aead::Aad::from(aad);
        self.0.seal_out_of_place_scatter(nonce, aad, plaintext, ciphertext, &[], &mut rest[..16]).expect(SEALS);
    }
}

/// `aes-gcm` and `chacha20poly1305`.
pub(crate) enum RustCrypto {
    /// The first.
    Aes(Box<Aes256Gcm>),
    /// The second.
    ChaCha(Box<ChaCha20Poly1305>),
}

impl RustCrypto {
    #[inline]
    fn encrypt(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: InOutBuf<'_, '_, u8>) -> [u8; 16] {
        match self {
            Self::Aes(cipher) => cipher.encrypt_inout_detached(&nonce.into(), aad, buffer).expect(SEALS).into(),
            Self::ChaCha(cipher) => cipher.encrypt_inout_detached(&nonce.into(), aad, buffer).expect(SEALS).into(),
        }
    }
}

impl Backend for RustCrypto {
    fn new(algorithm: Algorithm, key: &[u8; 32]) -> Self {
        match algorithm {
            Algorithm::Aes256Gcm => Self::Aes(Box::new(Aes256Gcm::new(&(*key).into()))),
            Algorithm::ChaCha20Poly1305 => Self::ChaCha(Box::new(ChaCha20Poly1305::new(&(*key).into()))),
        }
    }

    #[inline]
    fn seal(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8]) -> [u8; 16] {
        self.encrypt(nonce, aad, buffer.into())
    }

    #[inline]
    fn open(&self, nonce: [u8; 12], aad: &[u8; 8], buffer: &mut [u8], tag: &[u8; 16]) -> bool {
        let tag = Tag::from(*tag);
        match self {
            Self::Aes(cipher) => cipher.decrypt_inout_detached(&nonce.into(), aad, buffer.into(), &tag).is_ok(),
            Self::ChaCha(cipher) => cipher.decrypt_inout_detached(&nonce.into(), aad, buffer.into(), &tag).is_ok(),
        }
    }
}

impl OutOfPlace for RustCrypto {
    #[inline]
    fn seal_into(&self, nonce: [u8; 12], aad: &[u8; 8], plaintext: &[u8], out: &mut [u8]) {
        let (ciphertext, rest) = out.split_at_mut(plaintext.len());
        let tag = self.encrypt(nonce, aad, InOutBuf::new(plaintext, ciphertext).expect("two slices of one length"));
        rest[..16].copy_from_slice(&tag);
    }
}

const KEY: &str = "both algorithms take keys of 32 bytes";
const SEALS: &str = "a packet is far below the limit of either algorithm";
const TAG: &str = "both algorithms have tags of 16 bytes";
