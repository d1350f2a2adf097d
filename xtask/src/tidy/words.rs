//! What no file may say, and what each must say first.

use std::path::Path;

use crate::tidy::show;
use crate::tidy::sources::Source;

/// Words that promise work instead of doing it, and why each is unwelcome.
const BANNED: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "open an issue"),
    (concat!("FIX", "ME"), "open an issue"),
    (concat!("to", "do!("), "write it or leave it out"),
    (concat!("unimple", "mented!("), "write it or leave it out"),
    (concat!("fn te", "st_"), "a test's name is a sentence"),
    (concat!("#[igno", "re]"), "say why: #[ignore = \"reason\"]"),
    (concat!("Place", "holder."), "write it or leave it out"),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common_utils", "helper", "helpers", "manager", "misc", "types", "util", "utils"];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let first = source.text.lines().next().unwrap_or_default();
        if !first.starts_with("//!") && !first.starts_with("#![doc") {
            findings.push(format!("{}: must open with `//!` and its purpose", show(source)));
        }
        for (index, line) in source.text.lines().enumerate() {
            for (word, remedy) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
                findings.push(format!("{}:{}: `{word}`: {remedy}", show(source), index + 1));
            }
        }
        findings.extend(empty_name(&source.path).map(|name| format!("{}: `{name}` says nothing", show(source))));
    }
    findings
}

fn empty_name(path: &Path) -> Option<&str> {
    let stems = path.iter().filter_map(|part| part.to_str()).map(|part| part.strip_suffix(".rs").unwrap_or(part));
    stems.into_iter().find(|stem| EMPTY_NAMES.contains(stem))
}
