//! The program: parse, do, exit code.

use std::process::ExitCode;

use clap::CommandFactory;
use warren_rendezvous::commands::{Cli, dispatch, read};
use warren_rendezvous::{logging, service};

fn main() -> ExitCode {
    match execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("warren-rendezvous: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute() -> anyhow::Result<()> {
    let (command, config) = read(&Cli::command().get_matches())?;
    logging::start(&config.log, config.log_format, service::logs_to_journal());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(dispatch(command, config))
}
