//! Password rule, hashing and checking (argon2id). Slow on purpose: callers run it off the async threads.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use crate::error::Error;

/// Hashes a new password to a PHC string with the given salt, or says why it is no good.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, Error> {
    if password.chars().count() < MIN_CHARS {
        return Err(Error::PasswordRefused("a password has at least 12 characters"));
    }
    if password.len() > MAX_BYTES {
        return Err(Error::PasswordRefused("a password has at most 1024 bytes"));
    }
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| anyhow::anyhow!("hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// Whether the password is the one that was hashed.
pub fn verify(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    password.len() <= MAX_BYTES && Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
}

/// Length is what counts; composition rules only make people write passwords down.
const MIN_CHARS: usize = 12;
/// Bounds the work one request can ask for.
const MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_that_was_hashed_verifies() {
        let hash = hash("correct horse battery", &[1; 16]).unwrap();

        assert!(verify("correct horse battery", &hash));
        assert!(!verify("correct horse batterY", &hash));
        assert!(!verify("correct horse battery", "not a hash"));
    }

    #[test]
    fn a_short_password_is_refused() {
        assert!(matches!(hash("hunter42", &[1; 16]), Err(Error::PasswordRefused(_))));
    }
}
