//! Words that group devices.

/// The tags as they are stored: in order, each once; `None` for what would not fit on a page.
pub fn check_tags(tags: Vec<String>) -> Option<Vec<String>> {
    let mut tags: Vec<String> = tags.into_iter().map(|tag| tag.trim().to_owned()).collect();
    let good = |tag: &String| {
        let visible = tag.chars().all(|letter| letter.is_alphanumeric() || "-_.:/".contains(letter));
        visible && !tag.is_empty() && tag.len() <= MAX_TAG
    };
    if tags.len() > MAX_TAGS || !tags.iter().all(good) {
        return None;
    }
    tags.sort();
    tags.dedup();
    Some(tags)
}

/// Reads tags from what a person typed, with commas or spaces between.
pub fn parse_tags(text: &str) -> Option<Vec<String>> {
    let words = text.split(|letter: char| letter == ',' || letter.is_whitespace());
    check_tags(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// A device that belongs to more groups belongs to none.
const MAX_TAGS: usize = 32;
/// As long as a name.
const MAX_TAG: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(tags: &[&str]) -> Option<Vec<String>> {
        check_tags(tags.iter().copied().map(str::to_owned).collect())
    }

    #[test]
    fn tags_are_put_in_order_and_repetitions_left_out() {
        assert_eq!(checked(&["nas", " home ", "nas"]), Some(vec!["home".to_owned(), "nas".to_owned()]));
        assert_eq!(checked(&[]), Some(Vec::new()));
    }

    #[test]
    fn tags_are_read_however_they_are_apart() {
        assert_eq!(parse_tags("office, linux  office\nlab-2").unwrap(), ["lab-2", "linux", "office"]);
        assert_eq!(parse_tags(" , ").unwrap(), Vec::<String>::new());
        assert_eq!(parse_tags("a <b>"), None);
    }

    #[test]
    fn what_is_no_word_is_no_tag() {
        for bad in ["", "two words", "<b>", &"a".repeat(64)] {
            assert_eq!(checked(&[bad]), None, "{bad}");
        }
        let many: Vec<_> = (0..=MAX_TAGS).map(|number| number.to_string()).collect();
        assert!(check_tags(many).is_none());
    }
}
