//! The server under load: the real program on the loopback address, at the same ports in every run of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use warren_proto::control::Invite;

use crate::binaries;
use crate::host::{Daemon, Finished};

/// A running `warren-rendezvous`.
pub(super) struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    daemon: Daemon,
    /// Its control plane.
    pub(super) control: SocketAddr,
}

impl Server {
    /// Starts it on an empty data directory, and on an empty database if one is named.
    pub(super) fn start(directory: &Path, records: &Path, database_url: Option<&str>) -> Result<Self> {
        let program = binaries::rendezvous()?;
        let mut arguments = vec!["--data-dir".to_owned(), directory.join("rendezvous").display().to_string()];
        arguments.extend(["--public-addr", "127.0.0.1"].map(str::to_owned));
        if let Some(url) = database_url {
            arguments.extend(["--database-url".to_owned(), url.to_owned()]);
        }
        let log = records.join("rendezvous.log");
        let mut daemon = start(&program, &arguments, &SERVICES.map(|service| (service, ANY.to_owned())), &log)?;
        let control = address(&wait_ready(&mut daemon)?, "quic")?;
        Ok(Self { program, arguments, log, daemon, control })
    }

    /// An invite for as many devices as there are.
    pub(super) fn invite(&self) -> Result<Invite> {
        let mut command = Command::new(&self.program);
        command.args(["key", "create", "--reusable"]).args(&self.arguments);
        let word = Finished::run(&mut command)?.success().context("create an invite")?;
        word.trim().parse().context("read the invite")
    }

    /// Kills it where it stands and starts it again; ready when this returns.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.daemon.kill()?;
        let listen = SERVICES.map(|service| match service {
            "quic" => (service, self.control.to_string()),
            _ => (service, ANY.to_owned()),
        });
        self.daemon = start(&self.program, &self.arguments, &listen, &self.log)?;
        wait_ready(&mut self.daemon)?;
        Ok(())
    }

    pub(super) fn daemon(&self) -> &Daemon {
        &self.daemon
    }
}

fn start(program: &Path, arguments: &[String], listen: &[(&str, String)], log: &Path) -> Result<Daemon> {
    let mut command = Command::new(program);
    command.arg("run").args(arguments).args(["--metrics-listen", "off"]);
    for (service, address) in listen {
        command.arg(format!("--{service}-listen")).arg(address);
    }
    Daemon::start(&mut command, log)
}

fn wait_ready(daemon: &mut Daemon) -> Result<String> {
    daemon.wait_for("ready web=", READY_LIMIT).context("wait for the rendezvous")
}

fn address(ready: &str, service: &str) -> Result<SocketAddr> {
    let told = ready.split(' ').find_map(|word| word.strip_prefix(service)?.strip_prefix('='));
    told.and_then(|address| address.parse().ok()).with_context(|| format!("no {service} in {ready:?}"))
}

const SERVICES: [&str; 4] = ["web", "quic", "stun", "relay"];
const ANY: &str = "127.0.0.1:0";
/// Ten thousand devices are read first, in a debug build on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
