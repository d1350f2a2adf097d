//! Replays a seed of chaos, runs many, or runs a population and writes its page.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use warren_sim::{chaos, population};

/// Worlds in memory.
#[derive(Parser)]
enum Arguments {
    /// Trouble in small worlds; every pair must talk again.
    Chaos {
        /// Where to begin; alone, the one to replay.
        #[arg(long)]
        seed: u64,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u64,
    },
    /// Many agents behind the field's mix of NATs.
    Population {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        agents: usize,
        /// Another seed, another population.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where population.md and population.svg go.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse() {
        Arguments::Chaos { seed, count } => {
            let failures = chaos::failures(seed..seed.saturating_add(count));
            failures.iter().for_each(|(seed, failure)| println!("seed {seed}: {failure}"));
            println!("{} of {count} failed", failures.len());
            Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Arguments::Population { agents, seed, out } => {
            let report = population::run(agents, seed);
            print!("{report}");
            if let Some(directory) = out {
                fs::write(directory.join("population.md"), report.page()).context("write the page")?;
                fs::write(directory.join("population.svg"), report.chart()).context("write the chart")?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
