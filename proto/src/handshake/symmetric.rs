//! The symmetric state of the Noise specification (section 5.2), for this one pattern.
//!
//! Noise's cipher state counts nonces. In IKpsk2 every key seals exactly one part, so here mixing a key in yields a
//! [`OneTimeKey`] that sealing or opening consumes, and there is no nonce to get wrong.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::SessionKeys;
use crate::crypto::OneTimeKey;
use crate::crypto::kdf::{self, Key};
use crate::io::Discard;
use crate::keys::{NetworkId, StaticPublic};

#[derive(Clone)]
pub(super) struct Symmetric {
    chaining_key: Key,
    hash: [u8; 32],
}

impl Symmetric {
    /// Binds the protocol, the network, INIT's clear header, and the responder's key that IK presumes to be known.
    pub(super) fn new(network: &NetworkId, init_header: &[u8; 8], responder: &StaticPublic) -> Self {
        let mut symmetric = Self { chaining_key: Zeroizing::new(*PROTOCOL_NAME), hash: *PROTOCOL_NAME };
        symmetric.mix_hash(&[PROLOGUE_LABEL, network.as_bytes(), init_header].concat());
        symmetric.mix_hash(responder.as_bytes());
        symmetric
    }

    pub(super) const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = Sha256::new().chain_update(self.hash).chain_update(data).finalize().into();
    }

    /// The token `e`. Patterns with a psk also mix the public key into the chaining key (section 9.2).
    pub(super) fn mix_ephemeral(&mut self, public: &StaticPublic) {
        self.mix_hash(public.as_bytes());
        self.mix_key(public.as_bytes());
    }

    /// The tokens `ee`, `es`, `se` and `ss`. A key that another token follows at once goes unused.
    pub(super) fn mix_key(&mut self, shared: &[u8; 32]) -> OneTimeKey {
        let [chaining_key, key] = kdf::noise(&self.chaining_key, shared);
        self.chaining_key = chaining_key;
        OneTimeKey::new(key)
    }

    /// The token `psk`.
    pub(super) fn mix_key_and_hash(&mut self, psk: &[u8; 32]) -> OneTimeKey {
        let [chaining_key, hash, key] = kdf::noise(&self.chaining_key, psk);
        self.chaining_key = chaining_key;
        self.mix_hash(&*hash);
        OneTimeKey::new(key)
    }

    /// Seals one part and binds it; `SEALED` is 16 more than its length.
    pub(super) fn seal<const SEALED: usize>(&mut self, key: OneTimeKey, part: &[u8]) -> [u8; SEALED] {
        let mut sealed = [0; SEALED];
        let (body, tag) = sealed.split_last_chunk_mut::<16>().expect("a sealed part has a tag");
        body.copy_from_slice(part);
        *tag = key.seal(&self.hash, body);
        self.mix_hash(&sealed);
        sealed
    }

    /// Opens one part and binds it; `PART` is 16 less than the sealed length.
    pub(super) fn open<const PART: usize>(&mut self, key: OneTimeKey, sealed: &[u8]) -> Result<[u8; PART], Discard> {
        let (body, tag) = sealed.split_last_chunk::<16>().ok_or(Discard::Length)?;
        let mut part: [u8; PART] = body.try_into().map_err(|_| Discard::Length)?;
        key.open(&self.hash, &mut part, tag)?;
        self.mix_hash(sealed);
        Ok(part)
    }

    /// The end of the handshake.
    pub(super) fn split(self) -> SessionKeys {
        let [initiator_to_responder, responder_to_initiator] = kdf::noise(&self.chaining_key, &[]);
        SessionKeys { initiator_to_responder, responder_to_initiator }
    }
}

/// Exactly as long as a hash, so it is the first hash itself (section 5.2, InitializeSymmetric).
const PROTOCOL_NAME: &[u8; 32] = b"Noise_IKpsk2_25519_AESGCM_SHA256";
/// Opens the prologue; changes with anything in the messages that Noise does not see.
const PROLOGUE_LABEL: &[u8] = b"mesh-esp v1";
