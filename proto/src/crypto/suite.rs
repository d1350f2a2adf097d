//! The ESP suites, their stable names, and what makes a device want one of them. How they seal is `aead`'s business.

use std::fmt;
use std::str::FromStr;

/// An ESP transform; the discriminant is its number on the wire and in the key derivation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u16)]
pub enum Suite {
    /// AES-256-GCM with a 16-byte ICV and implicit IV (RFC 8750).
    #[default]
    Aes256GcmIiv = 1,
    /// AES-256-GCM with a 16-byte ICV and explicit IV (RFC 4106).
    Aes256Gcm = 2,
    /// ChaCha20-Poly1305 with implicit IV (RFC 8750), for hosts without AES instructions.
    ChaCha20Poly1305Iiv = 3,
}

impl Suite {
    /// Every suite, best first.
    pub const ALL: [Self; 3] = [Self::Aes256GcmIiv, Self::Aes256Gcm, Self::ChaCha20Poly1305Iiv];

    /// The suite with this number.
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| *suite as u16 == number)
    }

    /// The stable name of flags and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256GcmIiv => "aes256gcm-iiv",
            Self::Aes256Gcm => "aes256gcm",
            Self::ChaCha20Poly1305Iiv => "chacha20poly1305-iiv",
        }
    }

    /// Bytes of IV sent in each packet.
    pub const fn iv_len(self) -> usize {
        match self {
            Self::Aes256Gcm => 8,
            Self::Aes256GcmIiv | Self::ChaCha20Poly1305Iiv => 0,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, UnknownSuite> {
        Self::ALL.into_iter().find(|suite| suite.name() == text).ok_or(UnknownSuite)
    }
}

/// Which suite a device would like its sessions to have. What becomes of the wishes of both ends is in docs/protocol.md,
/// section 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preference {
    /// A person asked for this one.
    Asked(Suite),
    /// This one is fastest on this device.
    Fastest(Suite),
}

impl Preference {
    /// What is fastest on a processor with, or without, instructions for AES and for GCM's multiplication.
    ///
    /// With them AES is more than twice as fast as ChaCha20; without, it takes several times as long.
    pub const fn of_processor(has_aes: bool) -> Self {
        Self::Fastest(if has_aes { Suite::Aes256GcmIiv } else { Suite::ChaCha20Poly1305Iiv })
    }

    /// The suite itself.
    pub const fn suite(self) -> Suite {
        match self {
            Self::Asked(suite) | Self::Fastest(suite) => suite,
        }
    }
}

impl Default for Preference {
    fn default() -> Self {
        Self::Fastest(Suite::default())
    }
}

/// A suite name that is none of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown suite: use aes256gcm-iiv, aes256gcm or chacha20poly1305-iiv")]
pub struct UnknownSuite;
