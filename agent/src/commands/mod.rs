//! One file a command: each asks the daemon over `ipc`, prints the answer, and decides the exit code.

mod bugreport;
mod discover;
mod doctor;
mod down;
mod ip;
mod logout;
mod manual;
mod netcheck;
mod path;
mod ping;
mod status;
mod up;
mod wait;

use std::future::Future;
use std::io::Write;

use anyhow::Context;
use serde::Serialize;
use tokio::runtime;

use crate::cli::{Cli, Command, LogFormat};
use crate::config::{self, Config};
use crate::daemon::Prepared;
use crate::exit::{Exit, Failure};
use crate::logging;

/// Runs what the command line asks for.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let socket = config::socket_path(cli.socket.clone());
    match cli.command {
        Command::Daemon(args) => {
            let log = logging::start("info", config::log_format(args.log_format)?);
            // Before there is a second thread: privileges belong to threads.
            let prepared = Prepared::new(Config::load(args, cli.socket)?, log)?;
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
        Command::Ip(args) => block_on(ip::run(&socket, &args)),
        Command::Wait(args) => block_on(wait::run(&socket, &args)),
        Command::Doctor(args) => block_on(doctor::run(&socket, &args)),
        Command::Bugreport(args) => block_on(bugreport::run(&socket, &args)),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    logging::start("warn", LogFormat::Text);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(command)
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
