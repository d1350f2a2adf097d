//! Passwords: what is accepted, how it is hashed, how it is checked.
//!
//! Argon2id is meant to be slow and to fill memory, so it runs on blocking threads behind a semaphore: a flood of
//! sign-ins queues instead of exhausting the machine. Who may try how often is `domain`'s to say.

use std::sync::Arc;

use anyhow::Context as _;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::error::Error;

/// Hashes a new password to a PHC string, or says why it will not do. Slow on purpose: for a command line.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, Error> {
    let password = NewPassword::parse(password, "").map_err(|weak| Error::PasswordRefused(weak.text()))?;
    Ok(password.hash(salt)?)
}

/// Hashes and checks passwords, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    /// With room for `AT_ONCE` computations.
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The PHC string of an acceptable password; it names its own parameters, so that they can be raised later.
    pub(crate) async fn hash(&self, password: NewPassword, salt: [u8; 16]) -> anyhow::Result<String> {
        self.run(move || password.hash(&salt)).await
    }

    /// Whether `password` is the one behind `hash`. Without a hash (no such user) it works as long and says no, so
    /// that the time taken does not tell which names exist.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> anyhow::Result<bool> {
        self.run(move || {
            let argon2 = Argon2::default();
            let Some(hash) = hash.as_deref() else {
                let decoy: Result<PasswordHash, _> = argon2.hash_password_with_salt(password.as_bytes(), DECOY_SALT);
                drop(decoy);
                return Ok(false);
            };
            let hash = PasswordHash::new(hash).map_err(|error| anyhow::anyhow!("read a password hash: {error}"))?;

            Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.context("wait for a hashing slot")?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .context("hash a password")?
    }
}

/// A password good enough to be set.
pub(crate) struct NewPassword(String);

/// Why a password cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WeakPassword {
    /// On the list that every attacker tries first, or one pattern repeated.
    Common,
    /// Longer than `MAX_BYTES`.
    Long,
    /// Fewer than `MIN_CHARS` characters.
    Short,
}

impl WeakPassword {
    /// For a person.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Common => "this password is among the first that an attacker tries; choose another",
            Self::Long => "a password has at most 1,024 bytes",
            Self::Short => "a password has at least 12 characters",
        }
    }
}

impl NewPassword {
    /// Accepts by length alone, but for what is guessed at once; `name` is the user's.
    pub(crate) fn parse(password: &str, name: &str) -> Result<Self, WeakPassword> {
        if password.chars().count() < MIN_CHARS {
            return Err(WeakPassword::Short);
        }
        if password.len() > MAX_BYTES {
            return Err(WeakPassword::Long);
        }
        let plain = password.to_lowercase();
        let distinct: std::collections::BTreeSet<char> = plain.chars().collect();
        if distinct.len() < MIN_DISTINCT || plain == name.to_lowercase() || COMMON.contains(&plain.as_str()) {
            return Err(WeakPassword::Common);
        }
        Ok(Self(password.to_owned()))
    }

    fn hash(&self, salt: &[u8; 16]) -> anyhow::Result<String> {
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_salt(self.0.as_bytes(), salt)
            .map_err(|error| anyhow::anyhow!("hash a password: {error}"))?;
        Ok(hash.to_string())
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword")
    }
}

/// Each computation takes 19 MiB and one core: two keep a small server responsive.
const AT_ONCE: usize = 2;
/// NIST SP 800-63B asks for 15 where a password stands alone and 8 otherwise; back-off on guesses makes 12 enough.
const MIN_CHARS: usize = 12;
/// Keeps a request from making the hash function read megabytes.
const MAX_BYTES: usize = 1024;
/// "aaaaaaaaaaaa" and "abababababab" are not twelve characters' worth.
const MIN_DISTINCT: usize = 4;
/// Any fixed salt: its hash is thrown away.
const DECOY_SALT: &[u8] = b"no such user 001";
/// The passwords of at least 12 characters that head the published lists of leaked ones.
const COMMON: &[&str] = &[
    "1234567890123456",
    "123456789012",
    "1234567891011",
    "123456789123",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abc123456789",
    "abcdefghijkl",
    "administrator",
    "changemenow1",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmeinletmein",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdfghjkl",
    "unknownpassword",
    "warrenwarren",
    "welcome12345",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_alone_makes_a_password_acceptable() {
        assert!(NewPassword::parse("blue kettle of rain", "ada").is_ok());
        assert_eq!(NewPassword::parse("elevenchars", "ada").unwrap_err(), WeakPassword::Short);
        assert_eq!(NewPassword::parse(&"kettle".repeat(200), "ada").unwrap_err(), WeakPassword::Long);
    }

    #[test]
    fn what_is_guessed_at_once_is_refused() {
        for guess in ["Password1234", "aaaaaaaaaaaaaa", "ababababababab", "Ada Lovelace the first"] {
            let refused = NewPassword::parse(guess, "ada lovelace the first").unwrap_err();

            assert_eq!(refused, WeakPassword::Common, "{guess}");
        }
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let passwords = Passwords::new();
        let password = NewPassword::parse("blue kettle of rain", "ada").unwrap();

        let hash = passwords.hash(password, [7; 16]).await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("blue kettle of rain".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("blue kettle of snow".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("blue kettle of rain".to_owned(), None).await.unwrap());
    }
}
