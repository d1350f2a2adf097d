//! The short code by which a person finds the device that asks to be let in (RFC 8628 section 6.1).

use std::fmt;

/// Eight letters without vowels, which spell no word, and without letters that look alike.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EnrolmentCode(String);

impl EnrolmentCode {
    /// The code of random bits.
    pub fn new(random: [u8; 8]) -> Self {
        // 2^64 is so much more than 20^8 that no code is noticeably likelier
        let mut rest = u64::from_le_bytes(random);
        let mut letter = || {
            let at = rest % LETTERS.len() as u64;
            rest /= LETTERS.len() as u64;
            char::from(LETTERS[at as usize])
        };
        Self((0..LENGTH).map(|_| letter()).collect())
    }

    /// Reads what a person typed, in any case and with whatever stands between the letters.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase());
        let code: String = letters.take(LENGTH + 1).collect();
        (code.len() == LENGTH && code.bytes().all(|letter| LETTERS.contains(&letter))).then_some(Self(code))
    }

    /// The letters alone, as they are stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

/// The alphabet of RFC 8628 section 6.1: 20^8 codes, 34 bits, each good for a quarter of an hour and for one device.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = EnrolmentCode::new([7, 1, 200, 3, 9, 255, 4, 2]);
        let shown = code.to_string();

        assert_eq!(shown.len(), 9);
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " "), format!(" {}\n", code.as_str())] {
            assert_eq!(EnrolmentCode::parse(&typed), Some(code.clone()), "{typed}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for bad in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "BCDF-GHJ1", "BCDF-GHJÄ"] {
            assert_eq!(EnrolmentCode::parse(bad), None, "{bad}");
        }
    }
}
