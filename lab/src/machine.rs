//! The machine that was measured, as a reader of the figures must know it.

use std::fs;
use std::thread;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub cpu: String,
    /// How many of its cores we may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// What TCP does about congestion here: the flows of all contenders depend on it.
    pub tcp_congestion_control: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
        Ok(Self {
            cpu: field(&read("/proc/cpuinfo")?, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().context("count the cores")?.get(),
            memory_bytes: memory(&read("/proc/meminfo")?).context("understand /proc/meminfo")?,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            tcp_congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control")?.trim().to_owned(),
        })
    }

    /// In one line.
    pub fn describe(&self) -> String {
        let gib = self.memory_bytes.div_ceil(1 << 30);
        format!("{}, {} cores, {gib} GiB, Linux {}", self.cpu, self.cores, self.kernel)
    }
}

fn memory(meminfo: &str) -> Option<u64> {
    let kib: u64 = field(meminfo, "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_whatever_surrounds_its_colon() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nMemTotal:       24000 kB\n";

        assert_eq!(field(text, "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(memory(text), Some(24_000 * 1024));
        assert_eq!(field(text, "name"), None);
    }
}
