//! The rule for what a person signs in with.

/// The name as it is stored, if it is one: an e-mail address fits, a page of text does not.
pub fn parse_user_name(text: &str) -> Option<&str> {
    let name = text.trim();
    let good = name.chars().all(|letter| letter.is_alphanumeric() || "-._@+".contains(letter));
    (good && !name.is_empty() && name.len() <= MAX_LEN).then_some(name)
}

/// The nearest name to what an OpenID provider calls somebody.
pub fn derive_user_name(text: &str) -> String {
    let mut name = String::new();
    for letter in text.trim().chars() {
        let letter = if letter.is_alphanumeric() || "-._@+".contains(letter) { letter } else { '-' };
        if name.len() + letter.len_utf8() > MAX_LEN - SUFFIX_ROOM {
            break;
        }
        name.push(letter);
    }
    let name = name.trim_matches('-');
    if name.is_empty() { "person".to_owned() } else { name.to_owned() }
}

const MAX_LEN: usize = 128;
/// Left free in a derived name for the suffix of one that is taken.
const SUFFIX_ROOM: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_letters_digits_and_a_few_signs() {
        assert_eq!(parse_user_name(" ada@example.org "), Some("ada@example.org"));
        assert_eq!(parse_user_name("Åsa"), Some("Åsa"));
        for bad in ["", " ", "a b", "<script>", "a/b", "a:b", &"a".repeat(129)] {
            assert_eq!(parse_user_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_derived_name_is_one_that_parses() {
        for text in ["Ada Lovelace", "<img>", "", "ä".repeat(200).as_str(), "a@b.c"] {
            let name = derive_user_name(text);
            assert_eq!(parse_user_name(&name), Some(name.as_str()), "{text}");
        }
        assert_eq!(derive_user_name("Ada Lovelace"), "Ada-Lovelace");
    }
}
