//! What each end tells the other under encryption, and how both pick the same suite from it.
//!
//! | length | field |
//! |---|---|
//! | 16 | id of the sender's certificate |
//! | 1, 1 | TTL and hop limit its host sends with, not 0 |
//! | 2 | caps: bits 0-7 the suites it supports (bit n-1 = suite n), bits 8-11 the suite it prefers, the rest 0 |
//!
//! The suite of a session is the one the *initiator* prefers, if the responder supports it; else the lowest-numbered
//! suite that both support. Both ends know both caps by the end of RESP and come to the same answer. The responder's
//! preference counts when it initiates. Bits without a meaning here are a newer version's, and ignored.

use crate::crypto::Suite;
use crate::io::Discard;
use crate::keys::CertificateId;

/// The sealed payload of RESP, and of INIT after its timestamp.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) certificate_id: CertificateId,
    pub(super) ttl: [u8; 2],
    pub(super) caps: Caps,
}

impl Terms {
    pub(super) fn encode(&self) -> [u8; TERMS_LEN] {
        let mut bytes = [0; TERMS_LEN];
        bytes[..16].copy_from_slice(self.certificate_id.as_bytes());
        bytes[16..18].copy_from_slice(&self.ttl);
        bytes[18..].copy_from_slice(&self.caps.0.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; TERMS_LEN]) -> Result<Self, Discard> {
        let [id @ .., v4, v6, c0, c1] = *bytes;
        if v4 == 0 || v6 == 0 {
            return Err(Discard::Malformed);
        }
        let caps = Caps(u16::from_be_bytes([c0, c1]));
        Ok(Self { certificate_id: CertificateId::new(id), ttl: [v4, v6], caps })
    }
}

/// The suites one end supports, and the one it prefers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps(u16);

impl Caps {
    /// All suites of this version, `suite` before the others.
    pub fn preferring(suite: Suite) -> Self {
        let supported = Suite::ALL.into_iter().fold(0, |bits, suite| bits | Self::bit(suite));
        Self(supported | (suite as u16) << PREFERRED_SHIFT)
    }

    fn supports(self, suite: Suite) -> bool {
        self.0 & Self::bit(suite) != 0
    }

    fn preferred(self) -> Option<Suite> {
        Suite::from_wire(self.0 >> PREFERRED_SHIFT & 0xf)
    }

    const fn bit(suite: Suite) -> u16 {
        1 << (suite as u16 - 1)
    }
}

/// The suite of a session; `None` when the two have none in common.
pub fn agree(initiator: Caps, responder: Caps) -> Option<Suite> {
    let both = |suite: &Suite| initiator.supports(*suite) && responder.supports(*suite);
    let lowest = || Suite::ALL.into_iter().filter(both).min();
    initiator.preferred().filter(both).or_else(lowest)
}

pub(super) const TERMS_LEN: usize = 20;
const PREFERRED_SHIFT: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initiators_preference_decides() {
        for mine in Suite::ALL {
            for theirs in Suite::ALL {
                assert_eq!(agree(Caps::preferring(mine), Caps::preferring(theirs)), Some(mine));
            }
        }
    }

    #[test]
    fn without_the_preferred_suite_the_lowest_common_one_is_used() {
        let all = Caps::preferring(Suite::Aes256GcmIiv);

        assert_eq!(agree(all, Caps(0b110)), Some(Suite::Aes256Gcm));
        assert_eq!(agree(Caps(0x200 | 0b101), all), Some(Suite::Aes256GcmIiv));
        assert_eq!(agree(Caps(0xf00 | 0b100), all), Some(Suite::ChaCha20Poly1305Iiv));
        assert_eq!(agree(Caps(0b001), Caps(0b110)), None);
        assert_eq!(agree(Caps(0xf8f8), all), None);
    }

    #[test]
    fn caps_are_encoded_as_documented() {
        assert_eq!(Caps::preferring(Suite::ChaCha20Poly1305Iiv).0, 0x0307);
    }

    #[test]
    fn a_ttl_of_zero_is_refused() {
        let terms = Terms { certificate_id: CertificateId::new([1; 16]), ttl: [64, 0], caps: Caps(1) };

        assert_eq!(Terms::decode(&terms.encode()).err(), Some(Discard::Malformed));
    }
}
