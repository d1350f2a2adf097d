//! Licences, banned crates and sources, as deny.toml states them.
//!
//! The file is cargo-deny's own, and whoever has that program may run it. It is not part of the gate: building it takes
//! several times as long as building Warren, and its list of advisories must be fetched from elsewhere. What the gate
//! needs is a lookup in what cargo already knows.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cargo::Workspace;

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace.root.join("deny.toml")).context("read deny.toml")?;
    let rules: Rules = toml::from_str(&text).context("understand deny.toml")?;
    let mut findings = Vec::new();
    for package in workspace.foreign() {
        let licence = package.license.as_deref().unwrap_or("none");
        if !permits(licence, &rules.licenses.allow) {
            findings.push(format!("{} {}: its licence is {licence}; see deny.toml", package.name, package.version));
        }
        if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == package.name) {
            findings.push(format!("{} {}: banned: {}", package.name, package.version, ban.reason));
        }
    }
    Ok(findings)
}

/// Whether the SPDX expression can be satisfied with the allowed licences. `AND` binds tighter than `OR`; the `/` of old
/// manifests means `OR`.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let mut words = spaced.split_whitespace().peekable();
    alternatives(&mut words, allowed)
}

type Words<'a, 'b> = &'b mut std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn alternatives(words: Words<'_, '_>, allowed: &[String]) -> bool {
    let mut permitted = conjunction(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= conjunction(words, allowed);
    }
    permitted
}

fn conjunction(words: Words<'_, '_>, allowed: &[String]) -> bool {
    let mut permitted = term(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= term(words, allowed);
    }
    permitted
}

fn term(words: Words<'_, '_>, allowed: &[String]) -> bool {
    match words.next() {
        Some("(") => {
            let permitted = alternatives(words, allowed);
            words.next_if_eq(&")").is_some() && permitted
        }
        Some(name) => allowed.iter().any(|licence| *licence == name.replace("+WITH+", " WITH ")),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::permits;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        let permitted = |expression| permits(expression, &allowed);

        assert!(permitted("MIT"));
        assert!(permitted("GPL-2.0 OR MIT"));
        assert!(permitted("Apache-2.0/MIT"));
        assert!(permitted("MIT AND ISC"));
        assert!(permitted("(GPL-2.0 OR MIT) AND ISC"));
        assert!(permitted("Apache-2.0 WITH LLVM-exception"));
        assert!(!permitted("GPL-2.0"));
        assert!(!permitted("MIT AND GPL-2.0"));
        assert!(!permitted("none"));
    }
}
