//! CPU time, of the whole machine and of processes, as the kernel has counted it.

use std::fs;

use anyhow::{Context, Result};

/// Counters at one moment; only differences mean anything.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Usage {
    /// Seconds in which a CPU of this machine worked, of all CPUs together.
    pub(super) machine: f64,
    /// Seconds that the processes have used.
    pub(super) processes: f64,
}

impl Usage {
    /// Of the machine and of these processes.
    pub(super) fn of(processes: &[u32]) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("read the machine's CPU time")?;
        let machine = busy(&stat).context("understand /proc/stat")?;
        let mut sum = 0.0;
        for pid in processes {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read a process's CPU time")?;
            sum += used(&stat).context("understand a process's CPU time")?;
        }
        Ok(Self { machine, processes: sum })
    }
}

/// From /proc/stat: everything but idle, waiting for disks, and time that the hypervisor gave to others.
fn busy(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { return None };
    Some((user + nice + system + irq + softirq) as f64 / TICKS_PER_SECOND)
}

/// From /proc/PID/stat: user and system time (proc(5), fields 14 and 15).
fn used(stat: &str) -> Option<f64> {
    // The command name before the last ')' may hold spaces; field 3 follows it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(14 - 3).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// USER_HZ, the unit of /proc, which is 100 on every architecture that Rust's standard library knows.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_idling_nor_stolen_time_counts_as_work() {
        let stat = "cpu  100 20 30 5000 7000 40 10 9000 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";

        assert_eq!(busy(stat), Some(2.0));
    }

    #[test]
    fn a_program_with_spaces_and_brackets_in_its_name_is_read() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";

        assert_eq!(used(stat), Some(2.0));
    }
}
