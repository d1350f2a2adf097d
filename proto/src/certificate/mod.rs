//! What a peer is allowed to be: which names, addresses and keys go together, signed by the network.
//!
//! A certificate is the only source of a peer's overlay addresses and static key. Nothing it says is believed before
//! [`VerifiedCertificate::verify`]; there is no other way to obtain one. Who gets a certificate is the rendezvous's
//! decision, and revocation is the map's: this module only signs, encodes and verifies.

mod encode;
mod signing;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::keys::{CertificateId, IdentityPublic, NetworkId, NetworkPublic, NodeId, StaticPublic, UnixTime};

pub use encode::{MAX_CERTIFICATE, MAX_ROUTES};
pub use signing::{IdentitySecret, NetworkSigner, verify_identity};

/// What is said of one device. A plain value: anyone may make one, only the network's key can sign it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The mesh it is valid in.
    pub network: NetworkId,
    /// The device.
    pub node: NodeId,
    /// Its host name in the mesh; see [`is_valid_name`].
    pub name: String,
    /// Its overlay address.
    pub v4: Ipv4Addr,
    /// Its overlay address.
    pub v6: Ipv6Addr,
    /// The key its handshakes prove.
    pub static_key: StaticPublic,
    /// The key by which it proves itself to the rendezvous.
    pub identity_key: IdentityPublic,
    /// Prefixes behind the device that it may send from and receive for; host bits are zero, at most [`MAX_ROUTES`].
    pub routes: Vec<(IpAddr, u8)>,
    /// Valid from this time on, in whole seconds.
    pub not_before: UnixTime,
    /// Not valid at this time and after, in whole seconds.
    pub not_after: UnixTime,
    /// Grows with each certificate of the device; a lower one than the one held is not taken back.
    pub epoch: u64,
}

impl Certificate {
    /// Encodes and signs; fails only when the name or the routes break their rules.
    pub fn sign(&self, key: &NetworkSigner) -> Result<Vec<u8>, CertificateError> {
        let mut bytes = encode::encode(self)?;
        let signature = key.sign(&signed_text(&bytes));
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }

    /// Whether `now` lies in the validity, with [`CLOCK_SKEW`] of mercy for a clock that is behind the issuer's.
    pub fn check_time(&self, now: UnixTime) -> Result<(), CertificateError> {
        if now.plus(CLOCK_SKEW) < self.not_before {
            return Err(CertificateError::NotYetValid);
        }
        if now >= self.not_after {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }
}

/// A certificate whose signature, network and validity have been checked, with the bytes they were checked on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedCertificate {
    certificate: Certificate,
    encoded: Vec<u8>,
    id: CertificateId,
}

impl VerifiedCertificate {
    /// Believes `bytes` if `key` signed them, for `network`, and `now` lies in their validity.
    pub fn verify(
        bytes: &[u8],
        network: &NetworkId,
        key: &NetworkPublic,
        now: UnixTime,
    ) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Encoding);
        }
        let (body, signature) = bytes.split_last_chunk().ok_or(CertificateError::Encoding)?;
        if !signing::verify(key.as_bytes(), &signed_text(body), signature) {
            return Err(CertificateError::Signature);
        }
        let certificate = encode::decode(body)?;
        if certificate.network != *network {
            return Err(CertificateError::Network);
        }
        certificate.check_time(now)?;
        Ok(Self { certificate, encoded: bytes.to_vec(), id: certificate_id(bytes) })
    }

    /// Names this statement in handshakes.
    pub const fn id(&self) -> CertificateId {
        self.id
    }

    /// The signed bytes, as they were verified.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

impl Deref for VerifiedCertificate {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.certificate
    }
}

/// Why a certificate is not made or not believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not the layout of this version, byte for byte.
    #[error("this is not a certificate of a version we know")]
    Encoding,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// See [`is_valid_name`].
    #[error("a device name is 1 to 63 lowercase letters, digits and hyphens, with no hyphen at either end")]
    Name,
    /// Signed for another mesh.
    #[error("the certificate belongs to another network")]
    Network,
    /// Its time has not come.
    #[error("the certificate is not valid yet: is the clock right?")]
    NotYetValid,
    /// Too many routes, a prefix longer than its address, or host bits set.
    #[error("the certificate has too many routes, or one that is not a prefix")]
    Route,
    /// Not signed by the network's key.
    #[error("the certificate is not signed by the network's key")]
    Signature,
}

/// Whether `name` may name a device: a DNS label in lower case (RFC 1123 section 2.1, RFC 1035 section 2.3.4).
pub fn is_valid_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    letters && (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// The first half of the SHA-256 of a signed certificate.
fn certificate_id(bytes: &[u8]) -> CertificateId {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let (id, _) = digest.split_first_chunk().expect("a SHA-256 is longer than an id");
    CertificateId::new(*id)
}

/// What the network key signs; the label keeps this signature from meaning anything elsewhere.
fn signed_text(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_LABEL, body].concat()
}

/// Longest DNS label (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 63;

/// How far a device's clock may be behind the issuer's. A certificate is used within seconds of its making, and an
/// hour also covers a clock set to the wrong side of a daylight-saving change.
pub const CLOCK_SKEW: Duration = Duration::from_secs(3600);

const SIGNATURE_LABEL: &[u8] = b"warren certificate v1";

#[cfg(test)]
mod tests;
