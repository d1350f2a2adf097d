//! What the kernel says of this process, under the names that every Prometheus exporter uses.

use std::fs;

/// What there is to tell; what the kernel does not say is left out.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_fds: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) start_time_seconds: Option<f64>,
}

impl Process {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        // the name of the program, in parentheses, may hold anything; field 3 follows it
        let fields: Option<Vec<u64>> = stat.as_deref().and_then(|stat| {
            let (_, fields) = stat.rsplit_once(") ")?;
            Some(fields.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
        });
        let field = |number: usize| fields.as_ref().and_then(|fields| fields.get(number - 3).copied());
        let ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
        Self {
            cpu_seconds: ticks.map(seconds),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            resident_bytes: resident_bytes(),
            start_time_seconds: field(22).zip(boot_time()).map(|(start, boot)| boot + seconds(start)),
        }
    }
}

/// Memory of this process that is not swapped out.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn boot_time() -> Option<f64> {
    fs::read_to_string("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}

/// In proc(5), times are in the kernel's USER_HZ, which is 100 on every architecture we run on.
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_very_process() {
        let process = Process::read();

        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let started = process.start_time_seconds.unwrap();
        assert!(started < now + 1.0 && started > now - 3600.0, "{started} {now}");
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_fds.unwrap() >= 3);
    }
}
