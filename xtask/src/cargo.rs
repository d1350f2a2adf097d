//! Cargo as the tasks use it: its subcommands, and what it knows about the workspace.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What `cargo metadata` says of all packages, ours and those we depend on.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
    #[serde(rename = "workspace_members")]
    member_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) rename: Option<String>,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let output =
            cargo(&["metadata", "--format-version", "1", "--locked"]).output().context("start cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("read cargo metadata")
    }

    /// Our own crates.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.member_ids.contains(&package.id))
    }

    /// Everything the lock file brings in.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !self.member_ids.contains(&package.id))
    }
}

impl Package {
    pub(crate) fn directory(&self) -> PathBuf {
        self.manifest_path.with_file_name("")
    }
}

impl Dependency {
    /// The name by which code refers to it.
    pub(crate) fn in_code(&self) -> String {
        self.rename.as_ref().unwrap_or(&self.name).replace('-', "_")
    }
}

/// The cargo that runs us, with these words.
///
/// It sees nothing of what cargo tells us about our own package: build scripts (ring's is one) watch those variables,
/// and everything above them would be built anew for each turn between a task and a plain `cargo build`.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Says what it runs, runs it, and insists on success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("\n\x1b[1m> {}\x1b[0m", spell(command));
    let status = command.status().with_context(|| format!("start {}", spell(command)))?;
    ensure!(status.success(), "`{}` ended with {status}", spell(command));
    Ok(())
}

fn spell(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}
