//! Who is measured: every way between the two hosts, each brought up as its users would.
//!
//! A contender gets the cable and brings back the addresses to talk over. What is measured on them is `phase`'s business.

mod limit;
mod nebula;
mod openvpn;
mod warren;
mod wireguard;

use std::env;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use super::pair::Pair;
use crate::binaries;
use crate::host::Daemon;

/// A way between the hosts, in the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Contender {
    /// The cable alone: no tunnel.
    Plain,
    /// The yardstick: TUN and UDP with offloads, no cryptography.
    Limit,
    /// Warren on its direct path, with the default suite.
    Warren,
    /// Warren through the relay of its rendezvous, because UDP does not pass the cable.
    WarrenRelay,
    /// gotatun, WireGuard in Rust.
    Gotatun,
    /// boringtun, WireGuard in Rust.
    Boringtun,
    /// wireguard-go, WireGuard in Go.
    WireguardGo,
    /// Nebula, an overlay network in Go.
    Nebula,
    /// OpenVPN with AES-256-GCM over UDP, without its kernel module.
    Openvpn,
}

/// Where the contenders' programs are.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The yardstick, built.
    pub limit: Option<PathBuf>,
    /// Programs that are not in PATH.
    pub peers: Option<PathBuf>,
}

/// A contender that is up.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// The sender's address on it, then the receiver's.
    pub(super) addresses: [Ipv4Addr; 2],
    /// The processes at its two ends; none without a tunnel.
    pub(super) ends: Vec<u32>,
    /// The processes that its packets pass on the way.
    pub(super) between: Vec<u32>,
    programs: Running,
}

#[derive(Debug)]
enum Running {
    Daemons(Vec<Daemon>),
    Warren(Box<warren::Mesh>),
}

impl Contender {
    /// Its name, on the command line and in all reports.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The version of its program as that says it; an error says why it cannot be measured on this machine.
    pub(super) fn version(self, programs: &Programs) -> Result<String> {
        match self {
            Self::Plain => Ok("the kernel's".to_owned()),
            Self::Limit => limit::version(programs),
            Self::Warren | Self::WarrenRelay => said(&binaries::agent()?, "--version"),
            Self::Gotatun => said(&programs.find("gotatun")?, "--version"),
            Self::Boringtun => said(&programs.find("boringtun-cli")?, "--version"),
            Self::WireguardGo => said(&programs.find("wireguard-go")?, "--version"),
            Self::Nebula => nebula::version(programs),
            Self::Openvpn => said(&programs.find("openvpn")?, "--version"),
        }
    }

    /// Brings it up between the two hosts.
    pub(super) fn start(self, pair: &Pair, programs: &Programs) -> Result<Tunnel> {
        match self {
            Self::Plain => Ok(Tunnel::of_daemons([pair.sender.address, pair.receiver.address], Vec::new())),
            Self::Limit => limit::start(pair, programs),
            Self::Warren => warren::start(pair, false),
            Self::WarrenRelay => warren::start(pair, true),
            Self::Gotatun => wireguard::start(pair, &programs.find("gotatun")?),
            Self::Boringtun => wireguard::start(pair, &programs.find("boringtun-cli")?),
            Self::WireguardGo => wireguard::start(pair, &programs.find("wireguard-go")?),
            Self::Nebula => nebula::start(pair, programs),
            Self::Openvpn => openvpn::start(pair, &programs.find("openvpn")?),
        }
    }
}

impl Programs {
    /// The program of that name: among the peers, else where administrators' programs are.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let places = self.peers.iter().cloned().chain(env::split_paths(&path));
        let places = places.chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
        let found = places.map(|place| place.join(name)).find(|program| program.is_file());
        found.with_context(|| format!("{name} is not installed (`cargo xtask setup --peers` installs it)"))
    }
}

impl Tunnel {
    fn of_daemons(addresses: [Ipv4Addr; 2], daemons: Vec<Daemon>) -> Self {
        let ends = daemons.iter().map(Daemon::pid).collect();
        Self { addresses, ends, between: Vec::new(), programs: Running::Daemons(daemons) }
    }

    /// Fails unless it still is what was asked for: all processes live, and the packets take the way they should.
    pub(super) fn check(&mut self) -> Result<()> {
        match &mut self.programs {
            Running::Daemons(daemons) => daemons.iter_mut().try_for_each(still_running),
            Running::Warren(mesh) => mesh.check(),
        }
    }
}

fn still_running(daemon: &mut Daemon) -> Result<()> {
    match daemon.ended() {
        Some(status) => bail!("it ended with {status}: {}", daemon.output().trim()),
        None => Ok(()),
    }
}

/// The first line that a program says when asked.
fn said(program: &Path, flag: &str) -> Result<String> {
    ensure!(program.is_file(), "{} is not there", program.display());
    let output = Command::new(program).arg(flag).output().with_context(|| format!("ask {}", program.display()))?;
    let text = String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout });
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
