//! Dependencies that no code names.
//!
//! cargo-udeps needs a nightly compiler and cargo-machete one more program to build; reading our own files for the
//! crate's name finds the same and costs nothing.

use crate::cargo::Workspace;
use crate::tidy::sources::Source;

pub(crate) fn unused(workspace: &Workspace, sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in workspace.members() {
        let directory = package.directory();
        let directory = directory.strip_prefix(&workspace.root).unwrap_or(&directory);
        let files: Vec<_> = sources.iter().filter(|source| source.path.starts_with(directory)).collect();
        for dependency in &package.dependencies {
            let name = dependency.in_code();
            let needed = INDIRECT.contains(&name.as_str()) || files.iter().any(|file| mentions(&file.text, &name));
            if !needed {
                findings.push(format!("{}: nothing uses the dependency {}", package.name, dependency.name));
            }
        }
    }
    findings
}

/// Crates that are needed without being named: generated code names them.
const INDIRECT: &[&str] = &[];

/// Whether the name stands in the text as a word, outside of comments.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|line| {
        line.match_indices(name).any(|(start, found)| {
            !line[..start].ends_with(is_part) && !line[start + found.len()..].starts_with(is_part)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_counts_only_as_a_whole_word_of_code() {
        assert!(mentions("use time::OffsetDateTime;", "time"));
        assert!(!mentions("use std::timer;", "time"));
        assert!(!mentions("// use time", "time"));
        assert!(!mentions("let lifetime = 3;", "time"));
    }
}
