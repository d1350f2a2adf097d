//! Which version of a thing somebody has seen, so that two who change it at once do not undo each other's work.
//!
//! A version names what can be changed of a thing, and nothing that is merely observed of it: a device that comes online
//! is the same version as before.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Names what a thing says at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version([u8; 16]);

/// What a change requires of the thing it changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Nothing.
    Any,
    /// To be one of these versions.
    OneOf(Vec<Version>),
}

impl Version {
    /// The version of a thing that says these, field by field.
    pub fn of(fields: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for field in fields {
            // with lengths, so that no two lists of fields read alike
            hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(field);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut version = [0; 16];
        version.copy_from_slice(&digest[..16]);
        Self(version)
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Expected {
    /// Whether a thing of this version may be changed.
    pub fn holds(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_depends_on_every_field_and_on_where_each_ends() {
        let version = Version::of(&["laptop", "a"]);

        assert_eq!(version, Version::of(&["laptop", "a"]));
        assert_ne!(version, Version::of(&["laptopa", ""]));
        assert_eq!(Version::parse(&version.to_string()), Some(version));
    }

    #[test]
    fn what_is_expected_is_one_of_what_was_named() {
        let (seen, other) = (Version::of(&["a"]), Version::of(&["b"]));

        assert!(Expected::Any.holds(seen) && Expected::OneOf(vec![other, seen]).holds(seen));
        assert!(!Expected::OneOf(vec![other]).holds(seen) && !Expected::OneOf(Vec::new()).holds(seen));
    }
}
