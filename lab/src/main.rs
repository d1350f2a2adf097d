//! `lab`: the laboratory by hand. `cargo xtask demo` is how most people meet it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use warren_lab::nat::NatKind;
use warren_lab::topology::Internet;
use warren_lab::{demo, interrupt, run};

/// An internet of network namespaces, for demonstrations and tests. Needs root.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    }
}
