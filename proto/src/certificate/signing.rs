//! The Ed25519 keys: the network's, which signs certificates, and a device's, which proves it to the rendezvous.
//!
//! Both verify strictly (RFC 8032 with canonical points and no small orders), so one signature has one reading.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::keys::{IdentityPublic, NetworkPublic};

/// The key that signs the certificates of a network; zeroed on drop, never printed.
pub struct NetworkSigner(SigningKey);

impl NetworkSigner {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The raw secret, for the store only.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> NetworkPublic {
        NetworkPublic::new(self.0.verifying_key().to_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The key by which a device proves itself to the rendezvous; zeroed on drop, never printed.
#[derive(Clone)]
pub struct IdentitySecret(SigningKey);

impl IdentitySecret {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The raw secret, for the identity file only.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> IdentityPublic {
        IdentityPublic::new(self.0.verifying_key().to_bytes())
    }

    /// Signs a message that starts with a label of its own.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Whether the device that holds `key` signed `message`.
pub fn verify_identity(key: &IdentityPublic, message: &[u8], signature: &[u8; 64]) -> bool {
    verify(key.as_bytes(), message, signature)
}

pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}
