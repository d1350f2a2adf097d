//! `cargo xtask`: everything the project does to itself. Each command is safe to run again.

mod bench;
mod cargo;
mod check;
mod load;
mod matrix;
mod package;
mod population;
mod postgres;
mod profile;
mod setup;
mod system;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::cargo::Workspace;
use crate::load::LoadArgs;
use crate::matrix::MatrixArgs;
use crate::package::PackageArgs;
use crate::population::PopulationArgs;
use crate::profile::ProfileArgs;
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
    Setup {
        /// Also the other tunnels that `bench` compares with.
        #[arg(long)]
        peers: bool,
    },
    /// Format, lints, documentation, tidy: what every change must pass.
    Check,
    /// The arrows between modules and crates, house rules, dependencies and their licences.
    Tidy,
    /// Set up, check, and run all tests: what CI runs.
    Test,
    /// Build the image, host a mesh with `docker-compose up`, restart it, upgrade it, remove it.
    Compose,
    /// Speed and cost of the data plane, beside the machine's own limit and other tunnels.
    Bench(BenchArgs),
    /// Thousands of agents at one rendezvous: what each costs it, and how soon everybody knows of a change.
    Load(LoadArgs),
    /// Every kind of NAT against every other: which pairs go direct, how, how soon, and why not.
    Matrix(MatrixArgs),
    /// Where the time of the data plane goes: a flame graph of one agent under one TCP flow.
    Profile(ProfileArgs),
    /// Ten thousand simulated agents: how many pairs become direct, how soon, at which cost; writes docs/population.md.
    Population(PopulationArgs),
    /// Debian packages of both programs, below the target directory.
    Package(PackageArgs),
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
        Task::Setup { peers } => {
            setup::run(&workspace, Purpose::Tests)?;
            if *peers { setup::peers(&workspace) } else { Ok(()) }
        }
        Task::Check => check::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Test => {
            setup::run(&workspace, Purpose::Tests)?;
            check::run(&workspace)?;
            system::unit_tests()?;
            system::system_tests(&workspace)?;
            system::compose_test(&workspace)
        }
        Task::Compose => {
            setup::run(&workspace, Purpose::Tests)?;
            system::compose_test(&workspace)
        }
        Task::Bench(arguments) => {
            setup::run(&workspace, Purpose::Bench)?;
            bench::run(&workspace, arguments)
        }
        Task::Load(arguments) => {
            setup::run(&workspace, Purpose::Demo)?;
            load::run(&workspace, arguments)
        }
        Task::Matrix(arguments) => {
            setup::run(&workspace, Purpose::Demo)?;
            matrix::run(&workspace, arguments)
        }
        Task::Profile(arguments) => {
            setup::run(&workspace, Purpose::Profile)?;
            profile::run(&workspace, arguments)
        }
        Task::Package(arguments) => package::run(&workspace, arguments),
        Task::Population(arguments) => population::run(&workspace, arguments),
        Task::Demo { once } => {
            setup::run(&workspace, Purpose::Demo)?;
            system::demo(&workspace, *once)
        }
    }
}
