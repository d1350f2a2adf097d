//! Looking into HTML without a browser: enough of a tokenizer to find attributes and to hold pages to our rules.

use std::collections::BTreeSet;

/// The value of `name` in the first tag that contains `marker`.
pub(crate) fn attribute(html: &str, marker: &str, name: &str) -> Option<String> {
    let tag = tags(html).into_iter().find(|tag| tag.contains(marker))?;
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescape(rest.split('"').next()?))
}

/// What is left without tags.
pub(crate) fn text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Panics unless the page is well formed and keeps to what the content security policy will allow.
pub(crate) fn lint(path: &str, html: &str) {
    let mut open = Vec::new();
    let mut ids = BTreeSet::new();
    for tag in tags(html) {
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        assert_ne!(name, "style", "{path}: an inline style element");
        assert!(!tag.contains(" style="), "{path}: an inline style: {tag}");
        assert!(!tag.contains("javascript:"), "{path}: a script URL: {tag}");
        assert!(name != "script" || tag.starts_with('/') || tag.contains(" src=\"/assets/"), "{path}: inline script");
        for attribute in tag.split_whitespace().skip(1) {
            assert!(!attribute.starts_with("on") || !attribute.contains('='), "{path}: an inline handler: {tag}");
        }
        if let Some((_, rest)) = tag.split_once(" id=\"") {
            let id = rest.split('"').next().unwrap();
            assert!(ids.insert(id.to_owned()), "{path}: the id {id} twice");
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{path}: </{name}> closes nothing of the kind");
        } else if !VOID.contains(&name.as_str()) && !tag.ends_with('/') && !tag.starts_with('!') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{path}: left open: {open:?}");
}

fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect()
}

fn unescape(text: &str) -> String {
    text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&")
}

/// Elements without an end tag.
const VOID: &[&str] = &["meta", "link", "input", "br", "img", "hr"];
