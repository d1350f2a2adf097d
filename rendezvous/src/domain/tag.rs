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
    fn what_is_no_word_is_no_tag() {
        for bad in ["", "two words", "<b>", &"a".repeat(64)] {
            assert_eq!(checked(&[bad]), None, "{bad}");
        }
        let many: Vec<_> = (0..=MAX_TAGS).map(|number| number.to_string()).collect();
        assert!(check_tags(many).is_none());
    }
}
