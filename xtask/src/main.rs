//! `cargo xtask`: everything the project does to itself. Each command is safe to run again.

mod cargo;
mod check;
mod postgres;
mod setup;
mod system;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cargo::Workspace;
use crate::setup::Purpose;

/// Warren's own tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install the programs that the tests and the demo need and this machine lacks.
    Setup,
    /// Format, lints, documentation, tidy: what every change must pass.
    Check,
    /// The arrows between modules and crates, house rules, dependencies and their licences.
    Tidy,
    /// Set up, check, and run all tests: what CI runs.
    Test,
    /// Two hosts behind two NATs become a mesh, told as it happens; stays up until Ctrl-C.
    Demo {
        /// End by itself; exit code 0 only if everything happened.
        #[arg(long)]
        once: bool,
    },
}

fn main() -> ExitCode {
    match execute(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(task: &Task) -> Result<()> {
    let workspace = Workspace::load()?;
    match task {
        Task::Setup => setup::run(&workspace, Purpose::Tests),
        Task::Check => check::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Test => {
            setup::run(&workspace, Purpose::Tests)?;
            check::run(&workspace)?;
            system::unit_tests()?;
            system::system_tests(&workspace)
        }
        Task::Demo { once } => {
            setup::run(&workspace, Purpose::Demo)?;
            system::demo(&workspace, *once)
        }
    }
}
