//! The house rules that no compiler knows. Every finding names its file; all are shown before it fails.

mod arrows;
mod dependencies;
mod licences;
mod sources;
mod words;

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;
use crate::tidy::sources::Source;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let sources = sources::all(workspace)?;
    let mut findings = Vec::new();
    findings.extend(arrows::between_crates(workspace));
    findings.extend(arrows::between_modules(&sources));
    findings.extend(words::check(&sources));
    findings.extend(lints_of_crates(workspace)?);
    findings.extend(dependencies::unused(workspace, &sources));
    findings.extend(licences::check(workspace)?);

    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    ensure!(findings.is_empty(), "tidy found {} things to put right", findings.len());
    eprintln!("tidy: {} files are in order", sources.len());
    Ok(())
}

/// A crate without the workspace's lints is checked by nobody.
fn lints_of_crates(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in workspace.members() {
        let text = fs::read_to_string(&package.manifest_path).context("read a manifest")?;
        let manifest: toml::Table = text.parse().with_context(|| format!("read the manifest of {}", package.name))?;
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        if inherits != Some(true) {
            findings.push(format!("{}: the manifest lacks `[lints] workspace = true`", package.name));
        }
    }
    Ok(findings)
}

/// Shows a path from the workspace's root on.
fn show(source: &Source) -> String {
    source.path.display().to_string()
}
