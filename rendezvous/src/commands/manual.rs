//! `completions SHELL` and `man [DIR]`: what packages install beside the program, and what those without a package can
//! make for themselves.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::Cli;

pub(super) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "warren-rendezvous", &mut script);
    print(&script)
}

/// All pages into a directory, or the main one to standard output.
pub(super) fn man(directory: Option<&Path>) -> Result<()> {
    if let Some(directory) = directory {
        std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        return clap_mangen::generate_to(Cli::command(), directory).context("write the manual");
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).context("write the manual")?;
    print(&page)
}

/// A reader that went away (`| head`) is no failure.
fn print(text: &[u8]) -> Result<()> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("write to standard output"),
        Ok(()) | Err(_) => Ok(()),
    }
}
