//! Random tokens that a browser holds, and the masked form of the one that guards forms.
//!
//! The server stores only a token's SHA-256: who reads the database signs in as nobody. A form token is masked afresh
//! in each response, so that compression reveals nothing about it (the BREACH attack).

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// 256 random bits in a cookie or a link.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token([u8; 32]);

impl Token {
    /// Wraps random bytes.
    pub(crate) const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The text form, for the cookie or link only.
    pub(crate) fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// What the database stores.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The form secret that belongs to this token.
    pub(crate) fn form_secret(&self) -> FormSecret {
        FormSecret(Sha256::new().chain_update(FORM_LABEL).chain_update(self.0).finalize().into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// What every form of one session carries, never as it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FormSecret([u8; 32]);

impl FormSecret {
    /// The secret of a stored session.
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret under a mask of random bytes: `mask ‖ mask XOR secret`.
    pub(crate) fn masked(&self, mask: [u8; 32]) -> String {
        let covered = std::array::from_fn::<u8, 32, _>(|at| mask[at] ^ self.0[at]);
        BASE64URL_NOPAD.encode(&[mask, covered].concat())
    }

    /// Whether `text` is this secret under some mask.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        let Ok(bytes) = BASE64URL_NOPAD.decode(text.as_bytes()) else { return false };
        let ([mask, covered], []) = bytes.as_chunks::<32>() else { return false };
        let bare = std::array::from_fn::<u8, 32, _>(|at| mask[at] ^ covered[at]);
        bare.ct_eq(&self.0).into()
    }
}

impl std::fmt::Debug for FormSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormSecret")
    }
}

/// Keeps a form secret from being a hash of the token that anything else uses.
const FORM_LABEL: &[u8] = b"warren form v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_differs_each_time_and_is_accepted_each_time() {
        let secret = Token::new([1; 32]).form_secret();

        let (first, second) = (secret.masked([2; 32]), secret.masked([3; 32]));

        assert_ne!(first, second);
        assert!(secret.accepts(&first) && secret.accepts(&second));
    }

    #[test]
    fn a_form_token_of_another_session_is_refused() {
        let (mine, theirs) = (Token::new([1; 32]).form_secret(), Token::new([2; 32]).form_secret());

        assert!(!mine.accepts(&theirs.masked([3; 32])));
        assert!(!mine.accepts("") && !mine.accepts("????") && !mine.accepts("AAAA"));
    }

    #[test]
    fn a_token_survives_its_text_form() {
        let token = Token::new([2; 32]);

        assert_eq!(Token::parse(&token.to_text()), Some(token));
        assert_eq!(Token::parse("short"), None);
    }
}
