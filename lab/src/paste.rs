//! A terminal of a host, into which its owner pastes lines as root. What an installation writes goes where it would on a
//! machine of its own, onto file systems that only this terminal and what it starts can see.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::host::Finished;
use crate::topology::Host;

/// Runs the lines on the host, to the end of the last. What they start in the background stays until the host goes.
/// `/var/log` is kept among the records.
pub fn as_root(host: &Host, records: &Path, lines: &str) -> Result<Finished> {
    let label = &host.label;
    let log = records.join(format!("{label}-log"));
    fs::create_dir_all(&log).context("make a place for logs")?;
    let places = "for place in /usr/local/bin /etc/systemd /var/lib /run; do mount -t tmpfs none $place; done";
    let log = format!("mount --bind '{}' /var/log", log.display());
    let path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let script = format!("set -e\n{log}\n{places}\nhostname {label}\n{path}\n{lines}");
    Finished::run(host.namespace.command("unshare").args(["--mount", "--uts", "sh", "-c", &script]))
}

/// A line of the dashboard for somebody who is root already.
pub fn without_sudo(line: &str) -> String {
    line.replace("| sudo sh ", "| sh ")
}
