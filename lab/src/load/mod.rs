//! How many agents one rendezvous carries: thousands of them from one process, over real QUIC to the real server.
//!
//! An agent here is its control connection alone: it enrols with an invite, proves itself, holds the map's revision, tells
//! where it may be reached and what it measures, asks for pairs, and returns when the connection breaks. `swarm` keeps
//! them, `stage` lets them do one thing after the other and measures, `figures` says what came of it. All of it stays on
//! the loopback addresses, of which every few agents share one: the server limits what one source may do.

mod agent;
mod figures;
mod server;
mod stage;
mod swarm;
mod tls;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime;

use crate::run::Run;

pub use figures::Figures;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many agents.
    pub agents: usize,
    /// For how long the server is watched while nothing happens, and while things do.
    pub watch: Duration,
    /// PostgreSQL's URL; SQLite if there is none.
    pub database_url: Option<String>,
}

/// Runs all stages against a server of its own.
pub fn run(settings: &Settings) -> Result<Figures> {
    let run = Run::begin()?;
    let measured = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the agents' runtime")?
        .block_on(stage::all(&run, settings));
    run.remove()?;
    measured
}
