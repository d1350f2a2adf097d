//! What each end tells the other under encryption, and how one suite comes of it.
//!
//! | length | field |
//! |---|---|
//! | 16 | id of the sender's certificate |
//! | 1, 1 | TTL and hop limit its host sends with, not 0 |
//! | 2 | caps: bits 0-7 the suites it supports (bit n-1 = suite n), bits 8-11 the suite it prefers, bit 12 whether a |
//! |   | person asked for that one, the rest 0 |
//!
//! The *responder* chooses, for it knows both caps first, and says so by offering nothing else in RESP: there is one
//! judge, so ends of different versions need not judge alike. What a person asked for comes first, the initiator's
//! person before the responder's. A suite that is merely fastest at one end gives way to ChaCha20-Poly1305 if the other
//! end has no instructions for AES: a pair is as fast as its slower end, and that is then several times as fast.
//!
//! An initiator takes what it prefers if that is offered, else the lowest-numbered suite it can. Bits without a meaning
//! here are a newer version's, and ignored.

use crate::crypto::{Preference, Suite};
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

/// The suites one end supports, the one it prefers, and whose wish that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps(u16);

impl Caps {
    /// All suites of this version, one of them before the others.
    pub(super) fn preferring(preference: Preference) -> Self {
        let supported = Suite::ALL.into_iter().fold(0, |bits, suite| bits | Self::bit(suite));
        let asked = if matches!(preference, Preference::Asked(_)) { ASKED } else { 0 };
        Self(supported | (preference.suite() as u16) << PREFERRED_SHIFT | asked)
    }

    /// Nothing but `suite`: the responder's choice.
    pub(super) const fn only(suite: Suite) -> Self {
        Self(Self::bit(suite) | (suite as u16) << PREFERRED_SHIFT)
    }

    fn supports(self, suite: Suite) -> bool {
        self.0 & Self::bit(suite) != 0
    }

    /// The suite it prefers, if it is one that this version knows.
    fn preferred(self) -> Option<Suite> {
        Suite::from_wire(self.0 >> PREFERRED_SHIFT & 0xf)
    }

    /// The suite that a person asked for at that end.
    fn asked(self) -> Option<Suite> {
        self.preferred().filter(|_| self.0 & ASKED != 0)
    }

    const fn bit(suite: Suite) -> u16 {
        1 << (suite as u16 - 1)
    }
}

/// What the responder chooses; `None` when the two have no suite in common.
pub(super) fn choose(initiator: Caps, responder: Caps) -> Option<Suite> {
    let both = |suite: &Suite| initiator.supports(*suite) && responder.supports(*suite);
    let without_aes = [initiator.preferred(), responder.preferred()].contains(&Some(Suite::ChaCha20Poly1305Iiv));
    let for_the_slower = Some(Suite::ChaCha20Poly1305Iiv).filter(|_| without_aes);

    let wishes = [initiator.asked(), responder.asked(), for_the_slower];
    wishes.into_iter().flatten().find(both).or_else(|| accept(initiator, responder))
}

/// What the initiator takes of a responder's offer; `None` when there is nothing it knows.
pub(super) fn accept(initiator: Caps, offer: Caps) -> Option<Suite> {
    let both = |suite: &Suite| initiator.supports(*suite) && offer.supports(*suite);
    let lowest = || Suite::ALL.into_iter().filter(both).min();
    initiator.preferred().filter(both).or_else(lowest)
}

pub(super) const TERMS_LEN: usize = 20;
const PREFERRED_SHIFT: u16 = 8;
const ASKED: u16 = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_which_one_end_lacks_aes_uses_chacha20_whoever_begins() {
        let (with, without) = (Preference::of_processor(true), Preference::of_processor(false));

        assert_eq!(chosen(with, with), Some(Suite::Aes256GcmIiv));
        assert_eq!(chosen(with, without), Some(Suite::ChaCha20Poly1305Iiv));
        assert_eq!(chosen(without, with), Some(Suite::ChaCha20Poly1305Iiv));
        assert_eq!(chosen(without, without), Some(Suite::ChaCha20Poly1305Iiv));
    }

    #[test]
    fn what_a_person_asked_for_beats_what_is_fastest_at_either_end() {
        for asked in Suite::ALL {
            for has_aes in [false, true] {
                let fastest = Preference::of_processor(has_aes);

                assert_eq!(chosen(Preference::Asked(asked), fastest), Some(asked));
                assert_eq!(chosen(fastest, Preference::Asked(asked)), Some(asked));
            }
        }
    }

    #[test]
    fn of_two_persons_the_initiators_is_heard() {
        for mine in Suite::ALL {
            for theirs in Suite::ALL {
                assert_eq!(chosen(Preference::Asked(mine), Preference::Asked(theirs)), Some(mine));
            }
        }
    }

    #[test]
    fn an_initiator_that_does_not_know_who_asks_is_used_as_it_prefers() {
        let all = 0b111;
        let older = |suite: Suite| Caps(all | (suite as u16) << PREFERRED_SHIFT);

        for suite in Suite::ALL {
            assert_eq!(choose(older(suite), Caps::preferring(Preference::default())), Some(suite));
            assert_eq!(accept(older(suite), Caps::only(Suite::Aes256Gcm)), Some(Suite::Aes256Gcm));
        }
    }

    #[test]
    fn a_responder_that_offers_everything_has_left_the_choice_to_the_initiator() {
        let everything = Caps::preferring(Preference::Asked(Suite::Aes256Gcm));

        for suite in Suite::ALL {
            assert_eq!(accept(Caps::preferring(Preference::Fastest(suite)), everything), Some(suite));
        }
    }

    #[test]
    fn what_only_one_end_supports_is_wished_for_in_vain() {
        let all = Caps::preferring(Preference::default());

        assert_eq!(choose(all, Caps(0b110)), Some(Suite::Aes256Gcm));
        assert_eq!(choose(Caps(0x1200 | 0b101), all), Some(Suite::Aes256GcmIiv));
        assert_eq!(choose(Caps(0x0300 | 0b011), all), Some(Suite::Aes256GcmIiv));
        assert_eq!(choose(Caps(0xff00 | 0b100), all), Some(Suite::ChaCha20Poly1305Iiv));
        assert_eq!(choose(Caps(0b001), Caps(0b110)), None);
        assert_eq!(choose(Caps(0xf8f8), all), None);
        assert_eq!(accept(Caps(0b001), Caps::only(Suite::Aes256Gcm)), None);
    }

    #[test]
    fn caps_are_encoded_as_documented() {
        assert_eq!(Caps::preferring(Preference::Fastest(Suite::ChaCha20Poly1305Iiv)).0, 0x0307);
        assert_eq!(Caps::preferring(Preference::Asked(Suite::Aes256Gcm)).0, 0x1207);
        assert_eq!(Caps::only(Suite::ChaCha20Poly1305Iiv).0, 0x0304);
    }

    #[test]
    fn a_ttl_of_zero_is_refused() {
        let terms = Terms { certificate_id: CertificateId::new([1; 16]), ttl: [64, 0], caps: Caps(1) };

        assert_eq!(Terms::decode(&terms.encode()).err(), Some(Discard::Malformed));
    }

    /// What comes of two devices' wishes, by both ends' reckoning.
    fn chosen(initiator: Preference, responder: Preference) -> Option<Suite> {
        let (initiator, responder) = (Caps::preferring(initiator), Caps::preferring(responder));
        let suite = choose(initiator, responder);
        assert_eq!(suite.and_then(|suite| accept(initiator, Caps::only(suite))), suite);
        suite
    }
}
