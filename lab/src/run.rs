//! One run of the lab: how everything it makes is named, and how the leavings of a killed run are found.
//!
//! A name holds the owner's process id and that process's start time, so that no living owner's things are ever
//! removed and a reused process id never protects a dead one's.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::binaries;
use crate::gate;
use crate::namespace::{self, Namespace};

/// The name of one run; unique on this machine while it and its successors live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    owner: Owner,
    count: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Owner {
    pid: u32,
    /// Clock ticks since boot (proc(5), field 22 of stat).
    started: u64,
}

impl Run {
    /// Names a new run of this process, after removing what dead ones left.
    pub fn begin() -> Result<Self> {
        gate::pass(Self::make)
    }

    fn make() -> Result<Self> {
        remove_stale()?;
        let pid = std::process::id();
        let started = start_time(pid).context("read our own start time from /proc")?;
        let run = Self { owner: Owner { pid, started }, count: RUNS.fetch_add(1, Ordering::Relaxed) };
        fs::create_dir_all(run.directory()).context("make the run's directory")?;
        Ok(run)
    }

    /// The name of one of its namespaces.
    pub fn namespace(&self, label: &str) -> String {
        format!("{self}-{label}")
    }

    /// State and sockets of the run's processes; short, because a socket's path has at most 107 bytes.
    pub fn directory(&self) -> PathBuf {
        std::env::temp_dir().join(self.to_string())
    }

    /// Where logs and captures stay for reading afterwards.
    pub fn records(&self, title: &str) -> Result<PathBuf> {
        let directory = binaries::target_directory()?.join("lab").join(title);
        if directory.exists() {
            fs::remove_dir_all(&directory).context("remove the records of the run before")?;
        }
        fs::create_dir_all(&directory).context("make the directory for records")?;
        Ok(directory)
    }

    /// Gives the programs of a namespace a file of their own in place of one below /etc (ip-netns(8)).
    pub(crate) fn provide(&self, namespace: &Namespace, name: &str, text: &str) -> Result<()> {
        let directory = Path::new(ETC).join(namespace.name());
        gate::pass(|| {
            fs::create_dir_all(&directory)?;
            fs::write(directory.join(name), text)
        })
        .with_context(|| format!("provide {name} to {}", namespace.name()))
    }

    /// Ends every process in its namespaces and removes them and its directory.
    pub fn remove(&self) -> Result<()> {
        gate::pass(|| remove_where(|name| name.strip_prefix(&format!("{self}-")).is_some() || name == self.to_string()))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}-{}", self.owner.pid, self.owner.started, self.count)
    }
}

/// Removes whatever runs left whose owner no longer lives (they were killed before they could clean up).
pub fn remove_stale() -> Result<()> {
    remove_where(|name| owner_of(name).is_some_and(|owner| !is_alive(owner)))
}

/// Removes everything this very process made: for the moment a signal ends it. It makes nothing any more afterwards.
pub fn remove_own() -> Result<()> {
    gate::close();
    let pid = std::process::id();
    remove_where(|name| owner_of(name).is_some_and(|owner| owner.pid == pid))
}

fn remove_where(condemned: impl Fn(&str) -> bool) -> Result<()> {
    for name in namespace::all()?.iter().filter(|name| condemned(name)) {
        namespace::destroy(name)?;
    }
    // Nobody may ever have made the second.
    let beside = [std::env::temp_dir(), ETC.into()].map(fs::read_dir).into_iter().flatten();
    for entry in beside.flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&condemned) {
            fs::remove_dir_all(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Reads the owner out of a name made by `Display`, with or without a label behind it.
fn owner_of(name: &str) -> Option<Owner> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    Some(Owner { pid: parts.next()?.parse().ok()?, started: parts.next()?.parse().ok()? })
}

fn is_alive(owner: Owner) -> bool {
    start_time(owner.pid) == Some(owner.started)
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name before the last ')' may hold spaces; field 3 follows it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(22 - 3)?.parse().ok()
}

static RUNS: AtomicU32 = AtomicU32::new(0);

/// Where iproute2 looks for files that a namespace has of its own.
const ETC: &str = "/etc/netns";
/// Marks what is ours among the machine's namespaces.
const PREFIX: &str = "warrenlab-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner() {
        let name = "warrenlab-12-3456-0-laptop";

        assert_eq!(owner_of(name), Some(Owner { pid: 12, started: 3456 }));
        assert_eq!(owner_of("warrenlab-12-3456-0"), Some(Owner { pid: 12, started: 3456 }));
        assert_eq!(owner_of("warren-12-3456-0-laptop"), None);
    }

    #[test]
    fn a_reused_process_id_does_not_protect_a_dead_run() {
        let pid = std::process::id();
        let started = start_time(pid).unwrap();

        assert!(is_alive(Owner { pid, started }));
        assert!(!is_alive(Owner { pid, started: started + 1 }));
    }
}
