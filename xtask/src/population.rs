//! `cargo xtask population`: simulates ten thousand agents and writes the page that docs/ shows of them.

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::{Workspace, cargo, run as expect};

/// What may be asked of the simulation.
#[derive(Args)]
pub(crate) struct PopulationArgs {
    /// How many agents
    #[arg(long, default_value_t = 10_000)]
    agents: usize,
    /// Another seed, another population
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A build for speed would take longer than it saves: what costs time is optimised in every profile.
pub(crate) fn run(workspace: &Workspace, arguments: &PopulationArgs) -> Result<()> {
    let mut command = cargo(&["run", "-q", "-p", "warren-sim", "--", "population"]);
    command.arg("--agents").arg(arguments.agents.to_string()).arg("--seed").arg(arguments.seed.to_string());
    command.arg("--out").arg(workspace.root.join("docs"));
    expect(&mut command).context("simulate a population")
}
