//! The rendezvous as an operator runs it: `warren-rendezvous` and its commands, nothing else.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binaries;
use crate::host::{Daemon, Finished};
use crate::namespace::Namespace;
use crate::topology::{Internet, RENDEZVOUS, RENDEZVOUS_NAME};

/// A rendezvous in the lab's public server.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    namespace: Namespace,
    data: PathBuf,
    log: PathBuf,
    settings: Vec<String>,
    daemon: Daemon,
}

impl Server {
    /// Starts it on an empty data directory and waits until it is ready.
    pub fn start(internet: &Internet) -> Result<Self> {
        let mut settings = if internet.has_name { by_name() } else { at_address() };
        if internet.has_ipv6 {
            settings.extend(on_both_families());
        }
        Self::start_with(internet.rendezvous.clone(), &internet.directory(), internet.records(), settings)
    }

    /// Starts it in a namespace that has the rendezvous's address: its data lie in the run's directory, its log among
    /// the records.
    pub fn start_on(namespace: Namespace, directory: &Path, records: &Path) -> Result<Self> {
        Self::start_with(namespace, directory, records, at_address())
    }

    /// Starts it as a server that is known by this one of its addresses, which need not be the one that its routes name.
    pub fn start_at(internet: &Internet, address: Ipv4Addr) -> Result<Self> {
        let settings = ["--public-addr", &address.to_string()].map(str::to_owned).to_vec();
        Self::start_with(internet.rendezvous.clone(), &internet.directory(), internet.records(), settings)
    }

    /// Starts one of several over one database, each at ports of its own; all have the first one's keys.
    pub fn start_replica(internet: &Internet, number: u16, database_url: &str) -> Result<Self> {
        let (directory, name) = (internet.directory(), format!("rendezvous-{number}"));
        if number > 0 {
            let own = directory.join(&name);
            fs::create_dir_all(&own)?;
            for key in ["server.key", "network.key"] {
                fs::copy(directory.join("rendezvous-0").join(key), own.join(key)).context("copy a key")?;
            }
        }
        let mut settings = at_address();
        settings.extend(["--database-url", database_url, "--metrics-listen", "off"].map(str::to_owned));
        for (service, port) in [("web", 443), ("quic", 443), ("stun", 3478), ("relay", 3480), ("replica", 3490)] {
            let port = port + number * 100;
            settings.extend([format!("--{service}-listen"), format!("{RENDEZVOUS}:{port}")]);
        }
        Self::start_named(internet.rendezvous.clone(), &directory, internet.records(), &name, settings)
    }

    fn start_with(namespace: Namespace, directory: &Path, records: &Path, settings: Vec<String>) -> Result<Self> {
        Self::start_named(namespace, directory, records, "rendezvous", settings)
    }

    fn start_named(
        namespace: Namespace,
        directory: &Path,
        records: &Path,
        name: &str,
        settings: Vec<String>,
    ) -> Result<Self> {
        let program = binaries::rendezvous()?;
        let data = directory.join(name);
        let log = records.join(format!("{name}.log"));
        let daemon = Daemon::start(&mut run_command(&program, &namespace, &data, &settings), &log)?;
        let mut server = Self { program, namespace, data, log, settings, daemon };
        server.wait_ready()?;
        Ok(server)
    }

    /// Starts it again on the data it had.
    pub fn restart(&mut self) -> Result<()> {
        let mut command = run_command(&self.program, &self.namespace, &self.data, &self.settings);
        self.daemon = Daemon::start(&mut command, &self.log)?;
        self.wait_ready()
    }

    /// Starts it again with further settings, which stay.
    pub fn restart_with(&mut self, settings: &[&str]) -> Result<()> {
        self.settings.extend(settings.iter().map(|word| (*word).to_owned()));
        self.restart()
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The running process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.daemon.output()
    }

    /// Kills it where it stands.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.kill()
    }

    /// Asks it to end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.daemon.terminate(END_LIMIT)
    }

    /// A fresh invite; `flags` as of `key create`.
    pub fn invite(&self, flags: &[&str]) -> Result<String> {
        let invite = self.run(&[&["key", "create"], flags].concat())?.success().context("create an invite")?;
        Ok(invite.trim().to_owned())
    }

    /// The one-time link of the first admin.
    pub fn setup_link(&self) -> Result<String> {
        let output = self.run(&["setup-link"])?.success().context("ask for the setup link")?;
        let link = output.split_whitespace().find(|word| word.starts_with("http"));
        link.map(str::to_owned).with_context(|| format!("no link in {output:?}"))
    }

    /// One of its commands, run to its end on the same data directory.
    pub fn run(&self, words: &[&str]) -> Result<Finished> {
        let mut command = self.namespace.command(&self.program);
        command.args(words).arg("--data-dir").arg(&self.data).args(&self.settings);
        Finished::run(&mut command)
    }

    /// A command inside the server's namespace.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    fn wait_ready(&mut self) -> Result<()> {
        self.daemon.wait_for("ready", READY_LIMIT).context("wait for the rendezvous")?;
        Ok(())
    }
}

fn run_command(program: &PathBuf, namespace: &Namespace, data: &PathBuf, settings: &[String]) -> Command {
    let mut command = namespace.command(program);
    command.arg("run").arg("--data-dir").arg(data).args(settings);
    command
}

/// Known by its IPv4 address.
fn at_address() -> Vec<String> {
    ["--public-addr", &RENDEZVOUS.to_string()].map(str::to_owned).to_vec()
}

/// Known by a name.
fn by_name() -> Vec<String> {
    ["--public-addr", RENDEZVOUS_NAME].map(str::to_owned).to_vec()
}

/// Listening for IPv4 and IPv6.
fn on_both_families() -> impl Iterator<Item = String> {
    let listeners = [("web", 443), ("quic", 443), ("stun", 3478), ("relay", 3480)];
    listeners.into_iter().flat_map(|(service, port)| [format!("--{service}-listen"), format!("[::]:{port}")])
}

/// A first start makes keys and a database, in a debug build on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// It drains its connections first.
const END_LIMIT: Duration = Duration::from_secs(10);
