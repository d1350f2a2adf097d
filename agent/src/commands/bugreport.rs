//! `warren bugreport`: one archive with what somebody needs who is to find out what is wrong, and with nothing that they
//! should not know.
//!
//! Each file is text or JSON that one can read before it is sent. What cannot be had is said in its place.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::cli::BugreportArgs;
use crate::doctor::Diagnosis;
use crate::exit::Failure;
use crate::ipc::{Client, Reply, Request};
use crate::redaction::Redaction;
use crate::report::Counters;

pub(super) async fn run(socket: &Path, args: &BugreportArgs) -> Result<(), Failure> {
    let redaction = if args.with_addresses { Redaction::keeping_addresses() } else { Redaction::default() };
    let mut pages = Pages { redaction, pages: Vec::new() };
    pages.add("host.txt", &host());
    match Client::connect(socket).await {
        Ok(mut client) => ask(&mut client, &mut pages).await,
        Err(failure) => pages.add("daemon.txt", &failure.to_string()),
    }
    pages.add_json("doctor.json", &Diagnosis::make(super::doctor::told(socket).await, None).await);
    pages.add("journal.txt", &journal());
    let path = args.file.clone().unwrap_or_else(usual_name);
    write(&path, &pages.pages).with_context(|| format!("write {}", path.display()))?;
    let kept = if args.with_addresses { "Public addresses are in it" } else { "Public addresses are numbers in it" };
    super::print(&format!(
        "{}\n{kept}, secrets are left out; names of devices are not. Read it before you send it: `tar xOzf {} | less`\n",
        path.display(),
        path.display()
    ))
}

/// The files of the archive.
struct Pages {
    redaction: Redaction,
    pages: Vec<(String, String)>,
}

impl Pages {
    fn add(&mut self, name: &str, text: &str) {
        self.pages.push((name.to_owned(), self.redaction.redact(text)));
    }

    fn add_json(&mut self, name: &str, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string());
        self.add(name, &text);
    }
}

async fn ask(client: &mut Client, pages: &mut Pages) {
    let peers = match client.ask(&Request::Counters).await {
        Ok(Reply::Counters(counters)) => {
            pages.add_json("status.json", &counters);
            names(&counters)
        }
        answer => {
            pages.add("status.txt", &said(answer));
            Vec::new()
        }
    };
    match client.ask(&Request::Netcheck).await {
        Ok(Reply::Netcheck(report)) => pages.add_json("netcheck.json", &report),
        answer => pages.add("netcheck.txt", &said(answer)),
    }
    for peer in peers {
        match client.ask(&Request::Path { peer: peer.clone() }).await {
            Ok(Reply::Path(report)) => pages.add_json(&format!("path/{peer}.json"), &report),
            answer => pages.add(&format!("path/{peer}.txt"), &said(answer)),
        }
    }
    match client.ask(&Request::Log).await {
        Ok(Reply::Log(lines)) => pages.add("log.txt", &lines.join("\n")),
        answer => pages.add("log.txt", &said(answer)),
    }
}

/// Names are labels of DNS, checked when the certificate was: they can name files.
fn names(counters: &Counters) -> Vec<String> {
    counters.status.peers.iter().map(|peer| peer.name.clone()).take(MAX_PEERS).collect()
}

fn said(answer: Result<Reply, Failure>) -> String {
    match answer {
        Err(failure) | Ok(Reply::Failed(failure)) => failure.to_string(),
        Ok(_) => super::odd().to_string(),
    }
}

fn host() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|error| format!("{path}: {error}\n"));
    let kernel = nix::sys::utsname::uname().map_or_else(
        |error| error.to_string(),
        |name| format!("{} {}", name.release().to_string_lossy(), name.machine().to_string_lossy()),
    );
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "warren {}\nkernel {kernel}\nprocessors {processors}\nuptime {}\n{}",
        env!("CARGO_PKG_VERSION"),
        read("/proc/uptime"),
        read("/etc/os-release")
    )
}

/// What systemd kept of the daemon, where there is one; it goes back further than the daemon's own memory.
fn journal() -> String {
    let output = Command::new("/usr/bin/journalctl")
        .args(["--unit=warren", "--lines=1000", "--no-pager", "--output=short-iso", "--quiet"])
        .env_clear()
        .output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(_) => "no journal on this host\n".to_owned(),
    }
}

fn usual_name() -> PathBuf {
    let now = OffsetDateTime::from(SystemTime::now());
    let stamp = now.format(format_description!("[year][month][day]-[hour][minute][second]")).unwrap_or_default();
    PathBuf::from(format!("warren-bugreport-{stamp}.tar.gz"))
}

/// Never over a file that is there; for its owner's eyes until they decide otherwise.
fn write(path: &Path, pages: &[(String, String)]) -> std::io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, text) in pages {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, format!("warren-bugreport/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()?.flush()
}

/// Each is a file of some kilobytes.
const MAX_PEERS: usize = 200;
