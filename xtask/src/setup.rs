//! Installs what is missing, says what it does, and does nothing when all is there.
//!
//! Programs come from the distribution's packages; Python's judges of our packets and of our API go into a virtual
//! environment below the target directory, so that nothing is installed for the whole machine that a distribution did not
//! package.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{Workspace, cargo, run as expect};

/// What the machine is to be made ready for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Bench,
    Demo,
    Profile,
    Tests,
}

pub(crate) fn run(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    install_packages(purpose)?;
    ensure!(
        Path::new("/dev/net/tun").exists() || make_tun(),
        "this machine has no /dev/net/tun: load the module `tun`"
    );
    match purpose {
        Purpose::Bench | Purpose::Demo | Purpose::Profile => Ok(()),
        Purpose::Tests => {
            make_python(workspace)?;
            fetch_browser_driver(workspace)
        }
    }
}

/// The other tunnels that the benchmark measures where they are installed.
///
/// Whoever has none of them still measures the machine, the yardstick and Warren: one that cannot be had is said and
/// left out.
pub(crate) fn peers(workspace: &Workspace) -> Result<()> {
    for package in ["nebula", "openssl", "openvpn", "wireguard-go"] {
        if find(package).is_none() && install(&[package]).is_err() {
            eprintln!("setup: {package} is left out: its package cannot be installed");
        }
    }
    let directory = peers_directory(workspace);
    for (program, package) in [("boringtun-cli", "boringtun-cli"), ("gotatun", "gotatun-cli")] {
        if directory.join("bin").join(program).is_file() {
            continue;
        }
        let mut command = cargo(&["install", "--locked", package, "--root"]);
        // Built as their authors ship them, whatever flags this shell has for Warren.
        if expect(command.arg(&directory).env_remove("RUSTFLAGS")).is_err() {
            eprintln!("setup: {package} is left out: it cannot be built here");
        }
    }
    Ok(())
}

/// Where `peers` puts what cargo builds.
pub(crate) fn peers_directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("peers")
}

/// Programs by the Debian package that brings them, and what needs them.
const PROGRAMS: &[(&str, &str, &[Purpose])] = &[
    ("chromium", "chromium", TESTS),
    ("conntrack", "conntrack", NETWORK),
    ("curl", "curl", TESTS),
    ("debootstrap", "debootstrap", TESTS),
    ("docker-compose", "docker-compose", TESTS),
    ("dockerd", "docker.io", TESTS),
    ("ip", "iproute2", NETWORK),
    ("iptables", "iptables", TESTS),
    ("iperf3", "iperf3", &[Purpose::Bench, Purpose::Profile, Purpose::Tests]),
    // the program alone: the package `miniupnpd` would start it on this machine
    ("miniupnpd", "miniupnpd-nftables", TESTS),
    ("nft", "nftables", NETWORK),
    ("node", "nodejs", TESTS),
    ("npm", "npm", TESTS),
    ("pebble", "pebble", TESTS),
    ("perf", "linux-perf", &[Purpose::Profile]),
    ("pg_ctl", "postgresql", TESTS),
    ("ping", "iputils-ping", NETWORK),
    ("strace", "strace", TESTS),
    // its judgement of our units; the package starts nothing where it is not the init already
    ("systemd-analyze", "systemd", TESTS),
    ("tcpdump", "tcpdump", NETWORK),
    ("python3", "python3", TESTS),
    ("tshark", "tshark", TESTS),
];
/// Whatever makes hosts and cables.
const NETWORK: &[Purpose] = &[Purpose::Bench, Purpose::Demo, Purpose::Profile, Purpose::Tests];
const TESTS: &[Purpose] = &[Purpose::Tests];

fn install_packages(purpose: Purpose) -> Result<()> {
    let wanted = PROGRAMS.iter().filter(|(.., needed_for)| needed_for.contains(&purpose));
    let mut missing: Vec<_> =
        wanted.filter(|(name, ..)| find(name).is_none()).map(|(_, package, _)| *package).collect();
    if purpose == Purpose::Tests && (missing.contains(&"python3") || !has_venv()) {
        missing.push("python3-venv");
    }
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn install(packages: &[&str]) -> Result<()> {
    let Some(apt) = find("apt-get") else {
        bail!("install these with your package manager (Debian's names), then run this again: {}", packages.join(" "));
    };
    eprintln!("setup: installing {}", packages.join(" "));
    expect(as_root(&apt)?.args(["-q", "update"]))?;
    expect(as_root(&apt)?.args(["-q", "install", "-y", "--no-install-recommends"]).args(packages))
}

/// Whether this Python can make virtual environments (Debian packages that apart).
fn has_venv() -> bool {
    Command::new("python3").args(["-c", "import venv, ensurepip"]).output().is_ok_and(|output| output.status.success())
}

/// The virtual environment of the judges of our packets and of our API; made anew when a list of packages has changed.
fn make_python(workspace: &Workspace) -> Result<()> {
    let lists = REQUIREMENTS.map(|list| workspace.root.join(list));
    let mut wanted = String::new();
    for list in &lists {
        wanted += &fs::read_to_string(list).with_context(|| format!("read {}", list.display()))?;
    }
    let directory = python_directory(workspace);
    let installed = directory.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|list| list == wanted) {
        return Ok(());
    }
    eprintln!("setup: making a Python environment in {}", directory.display());
    expect(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    let pip = directory.join("bin/pip");
    let [packets, api] = &lists;
    let mut install = Command::new(pip);
    install.args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(packets).arg("-r").arg(api);
    expect(&mut install)?;
    fs::write(installed, wanted).context("note what is installed")
}

/// What the tests need from Python: of the lab, and of the rendezvous.
const REQUIREMENTS: [&str; 2] = ["lab/tests/oracle/requirements.txt", "rendezvous/tests/it/api/requirements.txt"];

/// What drives the browser in the tests of the dashboard, as its lock file names it.
fn fetch_browser_driver(workspace: &Workspace) -> Result<()> {
    let directory = workspace.root.join("rendezvous/tests/it/browser");
    let wanted = fs::read_to_string(directory.join("package-lock.json")).context("read the lock file of the driver")?;
    let installed = directory.join("node_modules/installed.json");
    if fs::read_to_string(&installed).is_ok_and(|lock| lock == wanted) {
        return Ok(());
    }
    eprintln!("setup: fetching the browser driver into {}", directory.join("node_modules").display());
    let npm = find("npm").context("npm is not where its package puts it")?;
    expect(Command::new(npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&directory))?;
    fs::write(installed, wanted).context("note what is installed")
}

pub(crate) fn python_directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("python")
}

/// Tries what a minimal system may have left undone.
fn make_tun() -> bool {
    let steps = [
        ("modprobe", ["tun"].as_slice()),
        ("mkdir", &["-p", "/dev/net"]),
        ("mknod", &["/dev/net/tun", "c", "10", "200"]),
    ];
    for (program, words) in steps {
        let Some(path) = find(program) else { continue };
        let Ok(mut command) = as_root(&path) else { return false };
        // Whether it helped is seen by looking for the device.
        let _ = command.args(words).status();
        if Path::new("/dev/net/tun").exists() {
            return true;
        }
    }
    false
}

/// The program as root: as it is, or through sudo.
pub(crate) fn as_root(program: &Path) -> Result<Command> {
    if is_root()? {
        let mut command = Command::new(program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Ok(command);
    }
    ensure!(find("sudo").is_some(), "{} must run as root, and there is no sudo: become root first", program.display());
    let mut command = Command::new("sudo");
    command.args(["env", "DEBIAN_FRONTEND=noninteractive"]).arg(program);
    Ok(command)
}

pub(crate) fn is_root() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status").context("read our own user id from /proc")?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).context("find our own user id")?;
    Ok(user.split_whitespace().nth(1) == Some("0"))
}

/// The program's path; a user's PATH often lacks the places of administrators' programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = env::split_paths(&path).collect();
    directories.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    // Debian keeps a server's programs apart by version
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    directories.extend(versions.map(|version| version.path().join("bin")));
    directories.into_iter().map(|directory| directory.join(program)).find(|path| path.is_file())
}
