//! One network namespace: made, entered, removed. What is in it is `topology`'s business.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::gate;
use crate::shell;

/// A named namespace that exists. Removing it is its run's duty.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it, with the loopback interface up.
    pub fn create(name: String) -> Result<Self> {
        gate::pass(|| shell::ip(&["netns", "add", &name])).context("make a network namespace (this needs root)")?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ip` with these words, inside.
    pub fn ip(&self, words: &[&str]) -> Result<String> {
        shell::run(Command::new("ip").args(["-n", &self.name]).args(words))
    }

    /// A command that will run inside. It is the process that is started, so its id is the program's own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs the closure on a thread that has entered the namespace. Sockets made there stay there, wherever they are
    /// used afterwards.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let entrance = File::open(Path::new(DIRECTORY).join(&self.name)).context("open the namespace")?;
        thread::scope(|scope| {
            let worker = scope.spawn(|| -> Result<T> {
                setns(&entrance, CloneFlags::CLONE_NEWNET).context("enter the namespace")?;
                Ok(work())
            });
            worker.join().map_err(|_| anyhow::anyhow!("the work inside {} panicked", self.name))?
        })
    }

    /// Writes a value below /proc/sys, inside; a key that this kernel does not have is left alone.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key);
        self.inside(|| if path.exists() { fs::write(&path, value) } else { Ok(()) })?
            .with_context(|| format!("set {key} in {}", self.name))
    }
}

/// A veth cable between two namespaces, both ends up.
pub fn cable(one: (&Namespace, &str), other: (&Namespace, &str)) -> Result<()> {
    let (here, here_name) = one;
    let (there, there_name) = other;
    let words = ["link", "add", here_name, "netns", here.name(), "type", "veth"];
    let peer = ["peer", "name", there_name, "netns", there.name()];
    shell::ip(&[words.as_slice(), &peer].concat())?;
    here.ip(&["link", "set", here_name, "up"])?;
    there.ip(&["link", "set", there_name, "up"])?;
    Ok(())
}

/// The names of all namespaces of this machine.
pub fn all() -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(DIRECTORY) else { return Ok(Vec::new()) };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Kills every process inside, then removes the namespace and with it its interfaces.
pub fn destroy(name: &str) -> Result<()> {
    for pid in shell::ip(&["netns", "pids", name]).unwrap_or_default().split_whitespace() {
        let pid = pid.parse().with_context(|| format!("read the process id {pid:?}"))?;
        // One that has just ended by itself is as good as killed.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    shell::ip(&["netns", "delete", name])?;
    Ok(())
}

/// Where iproute2 keeps its names.
const DIRECTORY: &str = "/run/netns";
