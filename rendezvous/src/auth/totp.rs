//! One-time codes of an authenticator app (RFC 6238): HMAC-SHA1, six digits, steps of 30 s, which is what every app takes.
//!
//! A code is accepted one step early and one late, for clocks that differ; that none is taken twice is the caller's to hold,
//! by the step that is returned.

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use warren_proto::keys::UnixTime;

/// What app and server share.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TotpSecret([u8; SECRET_LEN]);

impl TotpSecret {
    /// Wraps random bytes.
    pub(crate) const fn new(random: [u8; SECRET_LEN]) -> Self {
        Self(random)
    }

    /// Reads what was sealed.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// To be sealed.
    pub(crate) const fn as_bytes(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// For typing into an app that cannot scan, in groups of four.
    pub(crate) fn to_text(&self) -> String {
        let text = BASE32_NOPAD.encode(&self.0);
        let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..(at + 4).min(text.len())]).collect();
        groups.join(" ")
    }

    /// What an app scans: the key URI format that all of them read.
    pub(crate) fn uri(&self, server: &str, name: &str) -> String {
        let (server, name) = (escape(server), escape(name));
        format!("otpauth://totp/{server}:{name}?secret={}&issuer={server}", BASE32_NOPAD.encode(&self.0))
    }

    /// The step whose code this is, if it is one near `now` and after the step `last`.
    pub(crate) fn accepts(&self, code: &str, last: u64, now: UnixTime) -> Option<u64> {
        let digits: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let current = now.as_secs() / STEP_SECS;
        (current.saturating_sub(1)..=current + 1).find(|step| *step > last && self.code(*step) == digits)
    }

    /// The code of a step (RFC 4226 section 5.3).
    fn code(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes[bytes.len() - 1] & 0xf);
        let word = bytes[offset..offset + 4].iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret")
    }
}

/// Percent-encodes a label; some apps take the first colon for the one that ends the issuer.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// As long as the hash (RFC 4226 section 4, R6).
pub(crate) const SECRET_LEN: usize = 20;
const DIGITS: usize = 6;
const STEP_SECS: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = TotpSecret::new(*b"12345678901234567890");

        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(secs / STEP_SECS), code, "{secs}");
        }
    }

    #[test]
    fn a_code_works_one_step_early_or_late_and_only_once() {
        let secret = TotpSecret::new([7; SECRET_LEN]);
        let now = UnixTime::from_secs(3000);
        let accepted = |step| secret.accepts(&secret.code(step), 0, now);

        assert_eq!([98, 99, 100, 101, 102].map(accepted), [None, Some(99), Some(100), Some(101), None]);
        assert_eq!(secret.accepts(&secret.code(100), 100, now), None);
        let spaced = format!(" {} {}", &secret.code(100)[..3], &secret.code(100)[3..]);
        assert_eq!(secret.accepts(&spaced, 99, now), Some(100));
        for nonsense in ["", "12345", "1234567", "abcdef", "１２３４５６"] {
            assert_eq!(secret.accepts(nonsense, 0, now), None);
        }
    }

    #[test]
    fn an_app_is_told_whose_code_it_is() {
        let uri = TotpSecret::new([0; SECRET_LEN]).uri("home: net", "ada");

        assert_eq!(uri, format!("otpauth://totp/home%3A%20net:ada?secret={}&issuer=home%3A%20net", "A".repeat(32)));
    }
}
