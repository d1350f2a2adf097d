//! One file a command: each asks the daemon over `ipc`, prints the answer, and decides the exit code.

mod down;
mod logout;
mod netcheck;
mod path;
mod ping;
mod status;
mod up;

use std::future::Future;
use std::io::{IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;
use tokio::runtime;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::config::{self, Config};
use crate::daemon::Prepared;
use crate::exit::{Exit, Failure};

/// Runs what the command line asks for.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let socket = config::socket_path(cli.socket.clone());
    match cli.command {
        Command::Daemon(args) => {
            start_log("info");
            // Before there is a second thread: privileges belong to threads.
            let prepared = Prepared::new(Config::load(args, cli.socket)?)?;
            // One thread for all that is not packets, which have theirs: more would only wake each other.
            let runtime = runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
            runtime.block_on(prepared.run())
        }
        Command::Up(args) => block_on(up::run(&socket, args)),
        Command::Down => block_on(down::run(&socket)),
        Command::Logout => block_on(logout::run(&socket)),
        Command::Status(args) => block_on(status::run(&socket, &args)),
        Command::Netcheck(args) => block_on(netcheck::run(&socket, &args)),
        Command::Ping(args) => block_on(ping::run(&socket, &args)),
        Command::Path(args) => block_on(path::run(&socket, &args)),
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    start_log("warn");
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(command)
}

fn start_log(default: &str) {
    let filter = EnvFilter::new(config::log_filter().unwrap_or_else(|| default.to_owned()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !config::no_color())
        .with_target(false)
        .init();
}

/// Prints text; a reader that went away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failure, format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints one JSON object on one line.
fn print_json(report: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_string(report).context("encode the report")?;
    line.push('\n');
    print(&line)
}

/// What to do when the daemon answers another question than was asked.
fn odd() -> Failure {
    Failure::new(Exit::Failure, "the daemon answered another question")
        .remedy("Daemon and command may be of different versions: restart the daemon.")
}
