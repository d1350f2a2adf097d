//! Where the programs under test are, and where this run's records go.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The agent, `warren`.
pub fn agent() -> Result<PathBuf> {
    find("WARREN_BIN", "warren")
}

/// The rendezvous server, `warren-rendezvous`.
pub fn rendezvous() -> Result<PathBuf> {
    find("WARREN_RENDEZVOUS_BIN", "warren-rendezvous")
}

/// Cargo's target directory that this program was built into.
pub fn target_directory() -> Result<PathBuf> {
    let program = env::current_exe().context("find our own program file")?;
    let marked = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists());
    marked.map(Path::to_path_buf).with_context(|| format!("{} is in no target directory", program.display()))
}

/// The named program: from the environment, else from the profile directory this program itself lies in.
fn find(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let program = env::current_exe().context("find our own program file")?;
    let found = program.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| path.is_file());
    let path = found.unwrap_or_default();
    ensure!(path.is_file(), "{name} is not built: run `cargo build --bins`, or set {variable}");
    Ok(path)
}
