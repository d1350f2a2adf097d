//! Names and keys as newtypes, so that a device id is never mistaken for a network id nor a secret for a public key.
//!
//! Secrets have neither `Debug` nor `Serialize`. What keys are *used* for is elsewhere: `handshake`, `certificate`.

use std::fmt;
use std::time::Duration;

use x25519_dalek::{PublicKey, StaticSecret as X25519Secret};

/// Declares a 16- or 32-byte public name that prints as hexadecimal.
macro_rules! public_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Wraps the raw bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Parses a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

public_bytes!(
    /// One mesh. Chosen at random by its rendezvous at first start; bound into every handshake.
    NetworkId,
    16
);
public_bytes!(
    /// One device of a mesh; a UUIDv7 made by the rendezvous at enrolment.
    NodeId,
    16
);
public_bytes!(
    /// The first 16 bytes of the SHA-256 of an encoded certificate; names the statement a handshake is bound to.
    CertificateId,
    16
);
public_bytes!(
    /// X25519 static public key of a device: what peers run the handshake against.
    StaticPublic,
    32
);
public_bytes!(
    /// Ed25519 public key by which a device proves itself to the rendezvous.
    IdentityPublic,
    32
);
public_bytes!(
    /// Ed25519 public key that signs the certificates of a network.
    NetworkPublic,
    32
);

impl NodeId {
    /// Parses 32 hexadecimal digits, with or without the hyphens of a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        let nibble = |digit: u8| (digit as char).to_digit(16);
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| u8::try_from(nibble(*high)? * 16 + nibble(*low)?).ok()).collect();
        Self::from_slice(&bytes?)
    }
}

/// X25519 static secret key of this device; zeroed on drop, never printed.
#[derive(Clone)]
pub struct StaticSecret(X25519Secret);

impl StaticSecret {
    /// Wraps 32 secret bytes; X25519 clamps them when they are used (RFC 7748 section 5).
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(X25519Secret::from(bytes))
    }

    /// The raw secret, for the identity file only.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> StaticPublic {
        StaticPublic::new(PublicKey::from(&self.0).to_bytes())
    }

    /// The Diffie-Hellman key with `peer`; `None` when the peer's point is of low order (RFC 7748 section 6.1).
    pub(crate) fn diffie_hellman(&self, peer: &StaticPublic) -> Option<x25519_dalek::SharedSecret> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*peer.as_bytes()));
        shared.was_contributory().then_some(shared)
    }
}

/// Security Parameters Index: names one inbound security association of its receiver (RFC 4303 section 2.1).
///
/// Layout: `0b10`, 27 random bits, 2 lane bits, 1 family bit. The receiver chooses it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(u32);

impl Spi {
    /// Accepts a word whose two top bits are `0b10`: all that our demultiplexer would ever call ESP.
    pub const fn new(word: u32) -> Option<Self> {
        if word >> 30 == 0b10 { Some(Self(word)) } else { None }
    }

    /// The word on the wire, to be written big-endian.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Which inner family this SPI carries: its lowest bit.
    pub const fn family(self) -> Family {
        if self.0 & 1 == 0 { Family::V4 } else { Family::V6 }
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({:#010x})", self.0)
    }
}

/// The eight SPIs (4 lanes x 2 families) that one session gives its receiver; also the handshake's index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpiBase(Spi);

impl SpiBase {
    /// Makes a base from 32 random bits: the tag bits are set and the three low ones cleared.
    pub const fn from_random(random: u32) -> Self {
        Self(Spi((random & 0x3fff_fff8) | 0x8000_0000))
    }

    /// Accepts an aligned base as it stands in a handshake message.
    pub const fn new(word: u32) -> Option<Self> {
        match Spi::new(word) {
            Some(spi) if word & 7 == 0 => Some(Self(spi)),
            _ => None,
        }
    }

    /// The base that `spi` belongs to.
    pub const fn of(spi: Spi) -> Self {
        Self(Spi(spi.0 & !7))
    }

    /// The word on the wire.
    pub const fn get(self) -> u32 {
        self.0.0
    }

    /// The SPI for one inner family; lane 0.
    pub const fn spi(self, family: Family) -> Spi {
        Spi(self.0.0 | family as u32)
    }
}

/// Family of the *inner* packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4 = 0,
    /// IPv6.
    V6 = 1,
}

/// Wall-clock time since 1970-01-01 UTC; passed in only where a message or certificate carries it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// From the duration since the epoch.
    pub const fn new(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// From whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// The duration since the epoch.
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// This time moved on by `by`.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_spi_base_made_from_any_bits_is_aligned_and_tagged() {
        for random in [0, 1, u32::MAX, 0x7fff_ffff, 0xdead_beef] {
            let base = SpiBase::from_random(random);

            assert_eq!(SpiBase::new(base.get()), Some(base));
            assert_eq!(base.spi(Family::V6).family(), Family::V6);
            assert_eq!(SpiBase::of(base.spi(Family::V6)), base);
        }
    }

    #[test]
    fn a_node_id_prints_as_it_parses() {
        let id = NodeId::new([0x5a; 16]);

        assert_eq!(NodeId::parse(&id.to_string()), Some(id));
        assert_eq!(NodeId::parse("5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a"), Some(id));
        assert_eq!(NodeId::parse("5a5a"), None);
        assert_eq!(NodeId::parse("zz5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"), None);
    }
}
