//! The text of an API token: `warren_pat_`, 256 random bits, and a checksum.
//!
//! The prefix lets a scanner find one that was committed somewhere, the checksum lets it (and us) tell one from noise
//! without asking a database: the last seven characters are the first four bytes of the SHA-256 of all before them.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

/// What a program signs in with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiSecret([u8; 32]);

impl ApiSecret {
    /// Wraps random bytes.
    pub(crate) const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the text form; anything mistyped is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let word = text.strip_prefix(PREFIX)?;
        let (secret, _) = word.split_at_checked(SECRET_LETTERS)?;
        let bytes = BASE32_NOPAD.decode(secret.to_ascii_uppercase().as_bytes()).ok()?;
        let found = Self(bytes.try_into().ok()?);
        (found.to_text() == text).then_some(found)
    }

    /// The text form, shown once.
    pub(crate) fn to_text(&self) -> String {
        let body = format!("{PREFIX}{}", letters(&self.0));
        let checksum = Sha256::digest(&body);
        format!("{body}{}", letters(&checksum[..4]))
    }

    /// What the database stores.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// From which `auth::Identity` makes what only the holder can make.
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for ApiSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiSecret")
    }
}

fn letters(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// Names the kind of secret to scanners.
const PREFIX: &str = "warren_pat_";
/// 256 bits at five a letter.
const SECRET_LETTERS: usize = 52;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_form_and_no_mistyped_one_does() {
        let secret = ApiSecret::new([0xa5; 32]);
        let text = secret.to_text();

        assert!(text.len() == PREFIX.len() + SECRET_LETTERS + 7 && text.starts_with("warren_pat_"), "{text}");
        assert_eq!(ApiSecret::parse(&text), Some(secret));
        let wrong = text.replacen('u', "v", 1);
        for bad in [wrong.as_str(), &text[1..], &text[..text.len() - 1], &text.to_uppercase(), "", "warren_pat_", "ä"]
        {
            assert_eq!(ApiSecret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_secret_does_not_show() {
        assert_eq!(format!("{:?}", ApiSecret::new([1; 32])), "ApiSecret");
    }
}
