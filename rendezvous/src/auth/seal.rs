//! Seals what the database must hold and must not tell: whoever reads the database alone cannot make anybody's codes.
//!
//! The key comes from the network's secret in the data directory, so that every replica has the same.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;

/// Seals and opens under one key.
pub(crate) struct Seal(LessSafeKey);

impl Seal {
    /// Under a key derived from `secret`.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, LABEL).extract(secret);
        let key = derived.expand(&[b"aes-256-gcm"], &AES_256_GCM).expect("one key is not too much for HKDF");
        Self(LessSafeKey::new(UnboundKey::from(key)))
    }

    /// Seals `plain` for one `place`, such as an account's id; it opens nowhere else. The nonce must be random.
    pub(crate) fn seal(&self, plain: &[u8], place: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut sealed)
            .expect("nothing we seal is longer than AES-GCM allows");
        [nonce.as_slice(), &sealed].concat()
    }

    /// What was sealed for that place.
    pub(crate) fn open(&self, sealed: &[u8], place: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let len = self.0.open_in_place(nonce, Aad::from(place), &mut plain).ok()?.len();
        plain.truncate(len);
        Some(plain)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

const LABEL: &[u8] = b"warren rendezvous: secrets in the database";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let seal = Seal::new(&[1; 32]);
        let sealed = seal.seal(b"secret", b"ada", [2; NONCE_LEN]);
        let mut changed = sealed.clone();
        changed[NONCE_LEN] ^= 1;

        assert_eq!(seal.open(&sealed, b"ada").as_deref(), Some(&b"secret"[..]));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(seal.open(&sealed, b"eve"), None);
        assert_eq!(seal.open(&changed, b"ada"), None);
        assert_eq!(Seal::new(&[2; 32]).open(&sealed, b"ada"), None);
        assert_eq!(seal.open(b"short", b"ada"), None);
    }
}
