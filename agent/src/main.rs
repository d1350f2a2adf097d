//! Parses the command line, runs the command, and turns what came of it into a message and an exit code.

use std::process::ExitCode;

use clap::Parser;
use warren_agent::cli::Cli;
use warren_agent::commands;
use warren_agent::exit::Exit;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            eprintln!("warren: {failure}");
            failure.exit.into()
        }
    }
}
