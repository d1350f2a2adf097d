//! What `warren status --json` and its siblings print, as far as the public contract promises it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::Deserialize;

/// `warren status --json`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Status {
    pub schema: u32,
    pub state: String,
    #[serde(rename = "self")]
    pub device: Option<Device>,
    pub rendezvous: Option<Rendezvous>,
    pub nat: Nat,
    pub peers: Vec<Peer>,
}

/// What the device knows of the NAT before it.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Nat {
    pub mapping: String,
    pub preserves_port: bool,
    pub observed: Vec<SocketAddr>,
}

/// This device.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Device {
    pub id: String,
    pub name: String,
    pub addresses: Vec<String>,
}

/// The connection to the rendezvous.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Rendezvous {
    pub connected: bool,
    pub transport: Option<String>,
}

/// One peer.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Peer {
    pub id: String,
    pub name: String,
    pub addresses: Vec<String>,
    pub online: bool,
    pub path: Path,
    pub session: Option<Session>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_packets: u64,
    pub tx_packets: u64,
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
}

/// How a peer is reached.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Path {
    pub kind: String,
    pub via: Option<String>,
    pub remote: Option<String>,
    pub rtt_ms: Option<f64>,
    pub mtu: Option<u32>,
    pub since: Option<String>,
}

/// `warren path --json`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct PathReport {
    pub path: Path,
    pub reason: Reason,
    pub attempts: Vec<Attempt>,
}

/// Why a path is what it is.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Reason {
    pub code: String,
    pub text: String,
    pub remedy: Option<String>,
}

/// One address that was tried.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Attempt {
    pub technique: String,
    pub remote: Option<String>,
    pub result: String,
}

/// The keys in use with a peer.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the public contract")]
pub struct Session {
    pub suite: String,
    pub rekeys: u64,
}

impl Status {
    /// The peer of that name.
    pub fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    /// This device's overlay addresses.
    pub fn addresses(&self) -> Result<(std::net::Ipv4Addr, std::net::Ipv6Addr)> {
        let device = self.device.as_ref().context("the device has no identity yet")?;
        let [v4, v6, ..] = device.addresses.as_slice() else { anyhow::bail!("the device lacks an address") };
        Ok((v4.parse().context("read the IPv4 address")?, v6.parse().context("read the IPv6 address")?))
    }

    /// Everything dropped, of all peers together, by reason.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (reason, count) in self.peers.iter().flat_map(|peer| &peer.dropped) {
            *sum.entry(reason.clone()).or_default() += count;
        }
        sum
    }
}

impl PathReport {
    /// How the path in use was found, as far as it is still known.
    pub fn technique(&self) -> Option<&str> {
        let found = |attempt: &&Attempt| attempt.remote == self.path.remote && attempt.result == "answered";
        self.attempts.iter().rev().find(found).map(|attempt| attempt.technique.as_str())
    }
}

impl Peer {
    /// Whether packets go straight to it.
    pub fn is_direct(&self) -> bool {
        self.path.kind == "direct"
    }
}
