//! A device as its user runs it: `warren daemon` in the background and `warren` commands beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::chown;

use crate::binaries;
use crate::host::{Daemon, Finished};
use crate::status::{PathReport, Status};
use crate::topology::{Host, Internet};
use crate::wait;

/// A daemon on one of the lab's hosts.
#[derive(Debug)]
pub struct Agent {
    program: PathBuf,
    host: Host,
    directory: PathBuf,
    log: PathBuf,
    options: Options,
    daemon: Daemon,
}

/// What a test may set; the default is what a user gets.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further words for `warren daemon`.
    pub flags: Vec<String>,
    /// Environment of the daemon.
    pub environment: Vec<(String, String)>,
    /// Whether it writes its SA keys to `Agent::keylog`.
    pub keylog: bool,
    /// Whether it runs as nobody, with CAP_NET_ADMIN and no other privilege.
    pub unprivileged: bool,
}

impl Options {
    /// Asks for this suite and logs its keys.
    pub fn suite(name: &str) -> Self {
        Self { flags: vec!["--suite".to_owned(), name.to_owned()], keylog: true, ..Self::default() }
    }

    /// Runs it as nobody, with CAP_NET_ADMIN alone.
    pub fn unprivileged() -> Self {
        Self { unprivileged: true, ..Self::default() }
    }

    /// Sets a variable of the daemon's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Agent {
    /// Starts the daemon on an empty state directory and waits until it answers.
    pub fn start(internet: &Internet, label: &str, options: Options) -> Result<Self> {
        Self::start_on(internet.host(label)?.clone(), &internet.directory(), internet.records(), options)
    }

    /// Starts it on a host of any topology: its state lies in the run's directory, its log among the records.
    pub fn start_on(host: Host, directory: &Path, records: &Path, options: Options) -> Result<Self> {
        let mut program = binaries::agent()?;
        let directory = directory.join(&host.label);
        fs::create_dir_all(&directory)?;
        if options.unprivileged {
            // Its directory is its own, and its program lies where anyone may go: a target directory may be private.
            chown(&directory, Some(NOBODY.into()), Some(NOBODY.into())).context("give it its directory")?;
            let copy = directory.join("warren");
            fs::copy(&program, &copy)?;
            program = copy;
        }
        let log = records.join(format!("{}.log", host.label));
        let daemon = Daemon::start(&mut daemon_command(&program, &host, &directory, &options), &log)?;
        let mut agent = Self { program, host, directory, log, options, daemon };
        agent.wait_answering()?;
        Ok(agent)
    }

    /// Starts the daemon again on the state it had.
    pub fn restart(&mut self) -> Result<()> {
        let mut command = daemon_command(&self.program, &self.host, &self.directory, &self.options);
        self.daemon = Daemon::start(&mut command, &self.log)?;
        self.wait_answering()
    }

    /// The machine it runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The running daemon.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Where it writes SA keys, if asked to.
    pub fn keylog(&self) -> PathBuf {
        self.directory.join("sa-keys")
    }

    /// Its state directory.
    pub fn state_directory(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// `warren` with these words, ready to run on its host.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.host.namespace.command(&self.program);
        command.args(words).arg("--socket").arg(self.directory.join("warren.sock"));
        command
    }

    /// `warren` with these words, run to its end.
    pub fn run(&self, words: &[&str]) -> Result<Finished> {
        Finished::run(&mut self.command(words))
    }

    /// Enrols it under its host's label.
    pub fn up(&self, invite: &str) -> Result<()> {
        let words = ["up", invite, "--hostname", &self.host.label, "--timeout", "20s"];
        self.run(&words)?.success().with_context(|| format!("enrol the {}", self.host.label))?;
        Ok(())
    }

    /// `warren status --json`.
    pub fn status(&self) -> Result<Status> {
        let json = self.run(&["status", "--json"])?.success().context("ask for the status")?;
        serde_json::from_str(&json).with_context(|| format!("read the status {json}"))
    }

    /// `warren path PEER --json`.
    pub fn path(&self, peer: &str) -> Result<PathReport> {
        let json = self.run(&["path", peer, "--json"])?.success().context("ask for the path")?;
        serde_json::from_str(&json).with_context(|| format!("read the path {json}"))
    }

    /// Waits until its status satisfies the question, and gives that status.
    pub fn wait_status(&self, what: &str, limit: Duration, ask: impl Fn(&Status) -> bool) -> Result<Status> {
        let mut last = None;
        let found = wait::until(what, limit, || {
            let status = self.status().ok()?;
            let done = ask(&status);
            last = Some(status.clone());
            done.then_some(status)
        });
        found.with_context(|| format!("the {}'s last status: {last:?}", self.host.label))
    }

    /// Waits until its packets go straight to the peer.
    pub fn wait_direct(&self, peer: &str, limit: Duration) -> Result<Status> {
        let what = format!("a direct path to the {peer}");
        self.wait_status(&what, limit, |status| status.peer(peer).is_some_and(crate::status::Peer::is_direct))
    }

    fn wait_answering(&mut self) -> Result<()> {
        let answered = wait::until("the daemon to answer", ANSWER_LIMIT, || match self.daemon.ended() {
            Some(status) => Some(Err(status)),
            None => self.status().ok().map(Ok),
        })?;
        answered.map(drop).map_err(|status| anyhow::anyhow!("it ended with {status}:\n{}", self.daemon.output()))
    }
}

fn daemon_command(program: &PathBuf, host: &Host, directory: &Path, options: &Options) -> Command {
    let mut command = if options.unprivileged {
        let nobody = NOBODY.to_string();
        let mut command = host.namespace.command("setpriv");
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--bounding-set", "-all,+net_admin"]);
        command.args(["--inh-caps", "-all,+net_admin", "--ambient-caps", "-all,+net_admin"]).arg(program);
        command
    } else {
        host.namespace.command(program)
    };
    command.arg("daemon").arg("--state-dir").arg(directory.join("state"));
    command.arg("--socket").arg(directory.join("warren.sock")).args(["--tun", TUN]);
    if options.keylog {
        command.arg("--sa-keylog").arg(directory.join("sa-keys"));
    }
    command.args(&options.flags).envs(options.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// The overlay's interface on every host of the lab.
pub const TUN: &str = "warren0";

/// The user that owns nothing, on every Linux.
const NOBODY: u32 = 65_534;
/// A debug build on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
