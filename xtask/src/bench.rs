//! `cargo xtask bench`: builds what is measured, the yardstick with it, and hands over to the lab.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{Workspace, run as expect};
use crate::setup;
use crate::system::{self, Profile};

/// What may be asked of the benchmark; names are the lab's to check.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// How often every contender runs
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// How long each phase measures
    #[arg(long, value_name = "S", default_value_t = 5)]
    seconds: u32,
    /// Only these contenders: plain, limit, warren, warren-relay, gotatun, boringtun, wireguard-go, nebula, openvpn
    #[arg(long, value_name = "NAME,..")]
    only: Option<String>,
    /// Only these phases: ping-idle, one-flow, eight-flows, both-directions, small-packets, ping-loaded, wire, memory
    #[arg(long, value_name = "NAME,..")]
    phases: Option<String>,
    /// Source of the yardstick [default: ../shared/limit/limit.c beside the checkout]
    #[arg(long, value_name = "FILE")]
    limit: Option<PathBuf>,
    /// Add to the rounds that are there, instead of beginning anew
    #[arg(long)]
    append: bool,
    /// Where bench.json, bench.svg and bench.md go [default: bench below the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Replaces this process by the lab, so that Ctrl-C reaches it and nothing else.
pub(crate) fn run(workspace: &Workspace, arguments: &BenchArgs) -> Result<()> {
    let limit = build_limit(workspace, arguments.limit.as_deref())?;
    system::build_programs(Profile::Release)?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.target.join("bench"));
    let mut command = system::lab(workspace, Profile::Release)?;
    command.arg("bench").arg("--rounds").arg(arguments.rounds.to_string());
    command.arg("--seconds").arg(arguments.seconds.to_string());
    for (flag, names) in [("--only", &arguments.only), ("--phases", &arguments.phases)] {
        command.args(names.iter().flat_map(|names| [flag, names]));
    }
    command.args(arguments.append.then_some("--append"));
    if let Some(limit) = limit {
        command.arg("--limit").arg(limit);
    }
    command.arg("--peers").arg(setup::peers_directory(workspace).join("bin")).arg("--out").arg(out);
    Err(command.exec()).context("start the benchmark")
}

/// The yardstick's program; none when its source is not here and nobody asked for it.
fn build_limit(workspace: &Workspace, source: Option<&Path>) -> Result<Option<PathBuf>> {
    let usual = workspace.root.join("../shared/limit/limit.c");
    let path = source.unwrap_or(&usual);
    if !path.is_file() {
        ensure!(source.is_none(), "{} is not there", path.display());
        eprintln!("bench: the yardstick is not measured: there is no {} (--limit FILE)", path.display());
        return Ok(None);
    }
    let program = workspace.target.join("limit");
    let mut command = Command::new("cc");
    command.args(["-O2", "-o"]).arg(&program).arg(path).arg("-lpthread");
    expect(&mut command).context("build the yardstick")?;
    Ok(Some(program))
}
