//! `warren completions SHELL` and `warren man [DIR]`: what packages install beside the program, and what those without a
//! package can make for themselves.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::exit::Failure;

pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "warren", &mut script);

    super::print(&String::from_utf8_lossy(&script))
}

/// All pages into a directory, or the main one to standard output.
pub(super) fn man(directory: Option<&Path>) -> Result<(), Failure> {
    if let Some(directory) = directory {
        std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        clap_mangen::generate_to(Cli::command(), directory).context("write the manual")?;
        return Ok(());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).context("write the manual")?;
    super::print(&String::from_utf8_lossy(&page))
}
