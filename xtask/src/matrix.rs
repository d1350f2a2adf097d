//! `cargo xtask matrix`: builds what meets, and hands over to the lab.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::Workspace;
use crate::system::{self, Profile};

/// What may be asked of the matrix; names are the lab's to check.
#[derive(Args)]
pub(crate) struct MatrixArgs {
    /// Pairs of these kinds alone: none, full-cone, address-restricted, port-restricted, port-restricted-open,
    /// port-block, carrier-grade, symmetric-sequential, address-dependent, symmetric, dual-stack, ipv6-only, blocked,
    /// rejected
    #[arg(long, value_name = "KIND,..")]
    only: Option<String>,
    /// How often each pair meets
    #[arg(long, value_name = "N", default_value_t = 3)]
    tries: u32,
    /// Unoptimised programs: built sooner, and slower
    #[arg(long)]
    dev: bool,
    /// Where matrix.json, matrix.svg and matrix.md go [default: matrix below the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Replaces this process by the lab, so that Ctrl-C reaches it and nothing else.
pub(crate) fn run(workspace: &Workspace, arguments: &MatrixArgs) -> Result<()> {
    let profile = if arguments.dev { Profile::Debug } else { Profile::Release };
    system::build_programs(profile)?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.target.join("matrix"));
    let mut command = system::lab(workspace, profile)?;
    command.arg("matrix").arg("--tries").arg(arguments.tries.to_string()).arg("--out").arg(out);
    command.args(arguments.only.iter().flat_map(|only| ["--only", only]));
    Err(command.exec()).context("start the matrix")
}
