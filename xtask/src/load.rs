//! `cargo xtask load`: thousands of agents at one rendezvous, on either engine.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::{Workspace, run as expect};
use crate::postgres::Server;
use crate::system::{self, Profile};

/// What may be asked of the load.
#[derive(Args)]
pub(crate) struct LoadArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 1000)]
    agents: u32,
    /// For how long the server is watched, at rest and at work
    #[arg(long, value_name = "S", default_value_t = 20)]
    seconds: u32,
    /// On a PostgreSQL of its own in place of SQLite
    #[arg(long)]
    postgres: bool,
    /// The build as it is while developing, which is there sooner
    #[arg(long)]
    debug: bool,
}

/// Hands over to the lab.
pub(crate) fn run(workspace: &Workspace, arguments: &LoadArgs) -> Result<()> {
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    system::build_programs(profile)?;
    let mut command = system::lab(workspace, profile)?;
    command.arg("load").arg("--agents").arg(arguments.agents.to_string());
    command.arg("--seconds").arg(arguments.seconds.to_string());
    if arguments.postgres {
        let server = Server::start()?;
        return expect(command.arg("--database-url").arg(server.url()));
    }
    Err(command.exec()).context("start the load")
}
