//! `lab`: the laboratory by hand. `cargo xtask demo` is how most people meet it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use time::OffsetDateTime;
use warren_lab::bench::{self, Contender, Phase, Programs, Recording, Side};
use warren_lab::nat::NatKind;
use warren_lab::topology::Internet;
use warren_lab::{demo, interrupt, load, matrix, run};

/// An internet of network namespaces, for demonstrations and tests. Needs root.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the machine without a tunnel, the yardstick, Warren and others, in turn, several rounds.
    Bench(BenchArgs),
    /// Remove what killed runs left behind.
    Clean,
    /// Two hosts behind two NATs become a mesh, told as it happens; stays up until Ctrl-C.
    Demo {
        /// End by itself; exit code 0 only if everything happened.
        #[arg(long)]
        once: bool,
    },
    /// Build the two sites of Figure 1 with nothing running in them, and keep them until Ctrl-C.
    Hold {
        /// The coffee shop's NAT.
        #[arg(long, default_value = "port-restricted")]
        coffee_shop: NatKind,
        /// The home's NAT.
        #[arg(long, default_value = "port-restricted")]
        home: NatKind,
    },
    /// Thousands of agents at one rendezvous: what each costs it, and how soon everybody knows of a change.
    Load(LoadArgs),
    /// Let agents behind every kind of NAT meet those behind every other.
    Matrix(MatrixArgs),
    /// Take samples of an agent that carries one TCP flow.
    Profile {
        /// For how long
        #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
        seconds: u32,
        /// Which end of the flow
        #[arg(long, default_value = "sender")]
        side: Side,
        /// Where the samples go, as perf writes them
        #[arg(long, value_name = "FILE")]
        data: PathBuf,
    },
}

#[derive(Args)]
struct BenchArgs {
    /// How often every contender runs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each phase measures
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Only these contenders
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Contender>,
    /// Only these phases
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    phases: Vec<Phase>,
    /// The yardstick, built
    #[arg(long, value_name = "FILE")]
    limit: Option<PathBuf>,
    /// Where other programs are that are not in PATH
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Add to the rounds in bench.json
    #[arg(long)]
    append: bool,
    /// Write bench.json, bench.svg and bench.md here
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Args)]
struct LoadArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    agents: u32,
    /// For how long the server is watched, at rest and at work
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// An empty PostgreSQL database in place of SQLite
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Args)]
struct MatrixArgs {
    /// Pairs of these kinds alone
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    only: Vec<NatKind>,
    /// How often each pair meets
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Write matrix.json, matrix.svg and matrix.md here
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match execute(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: &Command) -> Result<()> {
    match command {
        Command::Bench(arguments) => {
            interrupt::clean_up_on_signals()?;
            bench(arguments)
        }
        Command::Clean => run::remove_stale(),
        Command::Demo { once } => demo::run(*once),
        Command::Hold { coffee_shop, home } => {
            interrupt::clean_up_on_signals()?;
            let internet = Internet::figure_one("hold", *coffee_shop, *home)?;
            for host in internet.sites.iter().flat_map(|site| &site.hosts) {
                println!("{}: ip netns exec {} bash", host.label, host.namespace.name());
            }
            println!("holding until Ctrl-C");
            interrupt::wait_forever()
        }
        Command::Load(arguments) => {
            interrupt::clean_up_on_signals()?;
            let figures = load::run(&load::Settings {
                agents: usize::try_from(arguments.agents)?,
                watch: Duration::from_secs(arguments.seconds.into()),
                database_url: arguments.database_url.clone(),
            })?;
            println!("\n{figures}");
            Ok(())
        }
        Command::Matrix(arguments) => {
            interrupt::clean_up_on_signals()?;
            matrix(arguments)
        }
        Command::Profile { seconds, side, data } => {
            interrupt::clean_up_on_signals()?;
            let gbps = bench::record(&Recording { seconds: *seconds, side: *side, data: data.clone() })?;
            println!("{gbps:.2} Gb/s in one TCP flow while sampled");
            Ok(())
        }
    }
}

fn bench(arguments: &BenchArgs) -> Result<()> {
    let programs = Programs { limit: arguments.limit.clone(), peers: arguments.peers.clone() };
    let earlier = arguments.append.then(|| bench::read(&arguments.out.join("bench.json"))).transpose()?;
    let results = bench::run(&bench::Settings {
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        only: arguments.only.clone(),
        phases: arguments.phases.clone(),
        programs,
        date: OffsetDateTime::now_utc().date().to_string(),
        earlier,
    })?;
    let table = bench::write(&results, &arguments.out)?;
    println!("\n{table}");
    eprintln!("written to {}", arguments.out.display());
    Ok(())
}

fn matrix(arguments: &MatrixArgs) -> Result<()> {
    let results = matrix::run(&matrix::Settings {
        only: arguments.only.clone(),
        tries: arguments.tries,
        date: OffsetDateTime::now_utc().date().to_string(),
    })?;
    let table = matrix::write(&results, &arguments.out)?;
    println!("\n{table}");
    eprintln!("written to {}", arguments.out.display());
    let failed = results.all().filter(|cell| !cell.passed()).count();
    ensure!(failed == 0, "{failed} of {} are not as expected", results.all().count());
    Ok(())
}
