//! Every key that is derived from another, with every label, so that no two uses can meet by accident.
//!
//! | key | from | by |
//! |---|---|---|
//! | Noise chaining and cipher keys | chaining key, DH result or psk | HKDF(salt = chaining key), no label: the Noise specification's |
//! | ESP key ‖ salt of one SA | direction key | HKDF-Expand, `esp` ‖ suite u16 ‖ receiver's SPI u32 |
//! | CONFIRM key | initiator's direction key | HKDF-Expand, `confirm` |
//! | exported secret | initiator's direction key | HKDF-Expand, `exporter` ‖ handshake hash ‖ the user's label |
//! | mac1 key | receiver's static public key | SHA-256, `mac1` ‖ key |
//! | key that seals a COOKIE | its sender's static public key, nonce | SHA-256, `cookie` ‖ key, then HKDF-Expand with the nonce |
//! | cookie | responder's secret | HMAC, `address` ‖ source address |
//! | challenge to a stale INIT | responder's secret | HMAC, `freshness` ‖ source address |
//!
//! mac1 and the COOKIE's key come from public keys: they keep out those who do not know whom they talk to, not peers.

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Suite;
use super::mac::mac;
use crate::keys::{Spi, StaticPublic};

/// 32 secret bytes, cleared when dropped.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Key 32 ‖ salt 4 of one security association (RFC 4106 section 8.1), from the session's key for its direction and
/// the SPI that its receiver chose. ChaCha20-Poly1305 takes the same 36 bytes (RFC 7634 section 2).
pub fn esp_key_material(direction: &[u8; 32], suite: Suite, spi: Spi) -> Zeroizing<[u8; 36]> {
    expand(direction, &[ESP, &(suite as u16).to_be_bytes(), &spi.get().to_be_bytes()])
}

/// Keys the CONFIRM message.
pub(crate) fn confirm_key(initiator_to_responder: &[u8; 32]) -> Key {
    expand(initiator_to_responder, &[CONFIRM])
}

/// A secret that only the two ends of one handshake know, for `label`.
pub(crate) fn export(initiator_to_responder: &[u8; 32], handshake_hash: &[u8; 32], label: &[u8]) -> Key {
    expand(initiator_to_responder, &[EXPORTER, handshake_hash, label])
}

/// Keys mac1 of messages to the owner of `receiver`.
pub(crate) fn mac1_key(receiver: &StaticPublic) -> [u8; 32] {
    Sha256::new().chain_update(MAC1).chain_update(receiver.as_bytes()).finalize().into()
}

/// Seals one COOKIE from the owner of `sender`. AES-GCM has no 192-bit nonce, so the nonce makes a key instead.
pub(crate) fn cookie_key(sender: &StaticPublic, nonce: &[u8; 24]) -> Key {
    let key: [u8; 32] = Sha256::new().chain_update(COOKIE).chain_update(sender.as_bytes()).finalize().into();
    expand(&key, &[nonce])
}

/// The cookie: what a sender at `source` must show under load.
pub(crate) fn address_proof(secret: &[u8; 32], source: &[u8]) -> [u8; 16] {
    mac(secret, &[ADDRESS, source])
}

/// The challenge: what a sender at `source` must show when its time is stale.
pub(crate) fn freshness_proof(secret: &[u8; 32], source: &[u8]) -> [u8; 16] {
    mac(secret, &[FRESHNESS, source])
}

/// HKDF of the Noise specification (section 4.3), for two or three outputs.
pub(crate) fn noise<const OUTPUTS: usize>(chaining_key: &[u8; 32], input: &[u8]) -> [Key; OUTPUTS] {
    let mut bytes = Zeroizing::new([0; 96]);
    Hkdf::<Sha256>::new(Some(chaining_key), input)
        .expand(&[], bytes.as_mut_slice())
        .expect("HKDF-SHA256 can expand to 8160 bytes");
    let (keys, []) = bytes.as_chunks::<32>() else { unreachable!("96 bytes are three keys") };
    std::array::from_fn(|index| Zeroizing::new(keys[index]))
}

fn expand<const N: usize>(key: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut output = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::from_prk(key)
        .expect("a key of 32 bytes is as long as a SHA-256")
        .expand_multi_info(info, output.as_mut_slice())
        .expect("HKDF-SHA256 can expand to 8160 bytes");
    output
}

const ADDRESS: &[u8] = b"address";
const CONFIRM: &[u8] = b"confirm";
const COOKIE: &[u8] = b"cookie";
const ESP: &[u8] = b"esp";
const EXPORTER: &[u8] = b"exporter";
const FRESHNESS: &[u8] = b"freshness";
const MAC1: &[u8] = b"mac1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sa_of_a_session_has_its_own_key() {
        let material = |direction, suite, spi| esp_key_material(&[direction; 32], suite, Spi::new(spi).unwrap());
        let one = material(1, Suite::Aes256GcmIiv, 0x8000_0008);

        assert_eq!(*one, *material(1, Suite::Aes256GcmIiv, 0x8000_0008));
        assert_ne!(*one, *material(2, Suite::Aes256GcmIiv, 0x8000_0008));
        assert_ne!(*one, *material(1, Suite::Aes256Gcm, 0x8000_0008));
        assert_ne!(*one, *material(1, Suite::Aes256GcmIiv, 0x8000_0009));
    }

    #[test]
    fn the_labels_of_one_key_are_no_prefixes_of_each_other() {
        for (one, other) in [(ESP, CONFIRM), (ESP, EXPORTER), (CONFIRM, EXPORTER)] {
            assert!(!one.starts_with(other) && !other.starts_with(one));
        }
    }
}
