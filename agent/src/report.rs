//! What the daemon tells of itself, in the shape scripts rely on: the objects that `--json` prints.
//!
//! Fields are only ever added. Gathering the values is left to `slow_path`, showing them to people to `output`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The version that every object carries.
pub const SCHEMA: u32 = 1;

/// `warren status --json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// `SCHEMA`.
    pub schema: u32,
    /// Where the device stands.
    pub state: State,
    /// This device; `None` until it is enrolled.
    #[serde(rename = "self")]
    pub device: Option<Device>,
    /// The server.
    pub rendezvous: Rendezvous,
    /// The NAT before this device.
    pub nat: Nat,
    /// Every device this one may reach.
    pub peers: Vec<Peer>,
    /// What was thrown away without being any peer's: reason to count, reasons never seen left out.
    pub dropped: BTreeMap<String, u64>,
    /// What keeps the device from being connected, if it is known.
    pub problem: Option<Problem>,
}

/// Where a device stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In no mesh, or no longer.
    NeedsEnrolment,
    /// Enrolled, but taken down by its owner.
    Stopped,
    /// Wants to be connected to the rendezvous.
    Connecting,
    /// Is connected to the rendezvous.
    Connected,
}

/// This device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Its name in the mesh.
    pub name: String,
    /// Overlay addresses, IPv4 first.
    pub addresses: [IpAddr; 2],
}

/// The server and the connection to it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rendezvous {
    /// Its dashboard, or its control address while that is not known.
    pub url: Option<String>,
    /// Whether the control connection is up.
    pub connected: bool,
    /// `quic` or `websocket`; `None` while not connected.
    pub transport: Option<String>,
    /// Round-trip time of the control connection.
    pub rtt_ms: Option<f64>,
}

/// What is known of the NAT before this device.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Nat {
    /// `unknown`, `none`, `endpoint-independent` or `endpoint-dependent`.
    pub mapping: String,
    /// Whether the external port equals the local one.
    pub preserves_port: bool,
    /// Our address as servers see it.
    pub observed: Vec<SocketAddr>,
}

/// One peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub id: String,
    /// Its name in the mesh.
    pub name: String,
    /// Overlay addresses, IPv4 first.
    pub addresses: [IpAddr; 2],
    /// Whether it is connected to the rendezvous.
    pub online: bool,
    /// Whether it is known from an earlier run alone: since the daemon started, the rendezvous has not named it.
    #[serde(default)]
    pub from_memory: bool,
    /// How packets to it travel.
    pub path: Path,
    /// The keys in use; `None` while there are none.
    pub session: Option<Session>,
    /// Inner bytes received.
    pub rx_bytes: u64,
    /// Inner bytes sent.
    pub tx_bytes: u64,
    /// Inner packets received.
    pub rx_packets: u64,
    /// Inner packets sent.
    pub tx_packets: u64,
    /// Packets thrown away, by reason; reasons never seen are left out.
    pub dropped: BTreeMap<String, u64>,
}

/// How packets to a peer travel.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Path {
    /// Direct, relayed, or not at all.
    pub kind: PathKind,
    /// `lan`, `ipv6`, `ipv4`, `udp-relay` or `websocket-relay`.
    pub via: Option<String>,
    /// Where our datagrams go: the peer's address, or the relay's.
    pub remote: Option<SocketAddr>,
    /// Smoothed round-trip time.
    pub rtt_ms: Option<f64>,
    /// Largest inner packet.
    pub mtu: Option<u32>,
    /// Since when, RFC 3339.
    pub since: Option<String>,
}

/// The kinds of paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// From socket to socket.
    Direct,
    /// Through a relay.
    Relay,
    /// Nowhere yet.
    #[default]
    None,
}

/// The keys in use with a peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Name of the suite.
    pub suite: String,
    /// Whether a post-quantum exchange is mixed in.
    pub post_quantum: bool,
    /// When these keys were agreed, RFC 3339.
    pub established_at: String,
    /// How often keys were replaced since the peer was first reached.
    pub rekeys: u64,
}

/// One line of `warren ping --json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pong {
    /// `SCHEMA`.
    pub schema: u32,
    /// Counts from 1; a lost ping leaves a gap.
    pub seq: u32,
    /// Round-trip time of this ping.
    pub rtt_ms: f64,
    /// The path it took.
    pub path: Path,
}

/// `warren path --json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PathReport {
    /// `SCHEMA`.
    pub schema: u32,
    /// The peer's name.
    pub peer: String,
    /// The path in use.
    pub path: Path,
    /// Why it is this one.
    pub reason: Reason,
    /// Whether a setting of either device holds the pair to the relay.
    pub relay_only: bool,
    /// Where either says that it may be reached.
    pub candidates: Candidates,
    /// What this device tried, oldest first; bounded.
    pub attempts: Vec<Attempt>,
    /// What the peer tried, as it last reported; empty while the rendezvous has not told.
    pub peer_attempts: Vec<Attempt>,
}

/// Why a path is what it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// Stable word for programs.
    pub code: String,
    /// For a person.
    pub text: String,
    /// What would make it better; `None` when there is nothing to do.
    pub remedy: Option<String>,
    /// Whether it is made from what both ends tried; else it is this end's guess.
    pub joined: bool,
}

/// Where two devices say that they may be reached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Candidates {
    /// This one.
    pub local: Vec<Candidate>,
    /// The peer.
    pub peer: Vec<Candidate>,
}

/// An address, and how it was learnt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// The address.
    pub addr: SocketAddr,
    /// `host`, `static`, `mapped`, `inner`, `reflexive` or `guessed`.
    pub kind: String,
}

/// One thing that was tried on the way to a path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// When, RFC 3339.
    pub at: String,
    /// How.
    pub technique: String,
    /// From which address of the one who tried, as the other saw it, where it is known.
    pub local: Option<SocketAddr>,
    /// To where.
    pub remote: Option<SocketAddr>,
    /// What came of it.
    pub result: String,
    /// Milliseconds from its beginning to this report.
    pub ago_ms: u64,
    /// Probes sent there.
    pub probes: u32,
    /// Probes of the other end that came from there.
    pub heard: u32,
    /// Names the common start it belongs to at both ends; `None` for what one tried alone.
    pub attempt: Option<String>,
}

/// `warren netcheck --json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Netcheck {
    /// `SCHEMA`.
    pub schema: u32,
    /// Whether UDP gets out and answers come back.
    pub udp: bool,
    /// Whether a server was reached over IPv4.
    pub ipv4: bool,
    /// Whether a server was reached over IPv6.
    pub ipv6: bool,
    /// As in `Nat`.
    pub mapping: String,
    /// As in `Nat`.
    pub preserves_port: bool,
    /// Distance between the external ports of two mappings made in a row, when the NAT counts them up.
    pub sequential_delta: Option<i32>,
    /// Protocols by which the gateway grants port mappings.
    pub port_mapping: Vec<String>,
    /// The address that the gateway forwards to this device.
    pub mapped: Option<SocketAddr>,
    /// Our address as servers see it.
    pub observed: Vec<SocketAddr>,
    /// The servers and how far they are.
    pub rendezvous: Vec<ServerDistance>,
    /// What all this means for direct paths.
    pub judgement: Judgement,
}

/// What a network means for direct paths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// To which devices they can be expected: `all`, `most`, `some`, `none` or `unknown`.
    pub direct: String,
    /// For a person.
    pub text: String,
    /// What would make it better; `None` when there is nothing to do.
    pub remedy: Option<String>,
}

/// One server address and the round-trip time to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ServerDistance {
    /// The address asked.
    pub addr: SocketAddr,
    /// `None` when no answer came.
    pub rtt_ms: Option<f64>,
}

/// Everything that is counted; for `warren bugreport` and the listener for Prometheus.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Counters {
    /// As `warren status`.
    pub status: Status,
    /// Probes sent, by the peer's id.
    pub probes: BTreeMap<String, u64>,
    /// Packets sent whole because their header could not be rebuilt, by the peer's id.
    pub whole: BTreeMap<String, u64>,
    /// The UDP port in use.
    pub udp_port: u16,
    /// Sealed datagrams that the kernel did not send.
    pub udp_refused: u64,
    /// Packets that the TUN device did not take.
    pub tun_refused: u64,
}

/// What stands in the way of being connected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Stable word for programs: `server-unreachable`, `server-key`, `device-revoked`, `refused`, `certificate`.
    pub code: String,
    /// For a person.
    pub text: String,
}

/// A duration as JSON shows it: milliseconds, to the microsecond.
pub fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
