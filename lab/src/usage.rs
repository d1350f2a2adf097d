//! What a process and its host cost while nothing happens, and what TCP met: counters of the kernel, read twice.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::namespace::Namespace;

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all its threads.
    pub processor: Duration,
    /// How often one of its threads went to sleep, which is how often one woke up.
    pub sleeps: u64,
}

impl Usage {
    /// Of the process with this id, threads that have ended not counted.
    pub fn of(pid: u32) -> Result<Self> {
        let mut usage = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).context("list the process's threads")?.flatten() {
            let status = fs::read_to_string(task.path().join("status"))?;
            usage.sleeps += number_after(&status, "voluntary_ctxt_switches:")?;
            let schedule = fs::read_to_string(task.path().join("schedstat"))?;
            let nanos = schedule.split_whitespace().next().context("read a thread's processor time")?;
            usage.processor += Duration::from_nanos(nanos.parse()?);
        }
        Ok(usage)
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            processor: self.processor.saturating_sub(before.processor),
            sleeps: self.sleeps.saturating_sub(before.sleeps),
        }
    }
}

/// How many packets the interface has sent.
pub fn packets_sent(namespace: &Namespace, interface: &str) -> Result<u64> {
    let table = read(namespace, "dev")?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{interface}:")));
    // eight columns of what was received, then bytes sent, then packets
    let packets = line.and_then(|line| line.split_whitespace().nth(9)).context("find the interface's counters")?;
    Ok(packets.parse()?)
}

/// A counter of the host's TCP by its name in netstat(8), as `TCPOFOQueue`.
pub fn tcp_counter(namespace: &Namespace, name: &str) -> Result<u64> {
    let table = read(namespace, "netstat")?;
    let mut rows = table.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_whitespace);
    let (Some(names), Some(values)) = (rows.next(), rows.next()) else { anyhow::bail!("no counters of TCP") };
    let (_, value) =
        names.zip(values).find(|(known, _)| *known == name).with_context(|| format!("no counter {name}"))?;
    Ok(value.parse()?)
}

fn read(namespace: &Namespace, file: &str) -> Result<String> {
    // of the thread that has entered the namespace, not of the process
    let path = Path::new("/proc/thread-self/net").join(file);
    namespace.inside(|| fs::read_to_string(&path))?.with_context(|| format!("read {}", path.display()))
}

fn number_after(text: &str, label: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label)).with_context(|| format!("no {label}"))?;
    Ok(line.trim().parse()?)
}
