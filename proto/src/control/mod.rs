//! Messages between agent and rendezvous, as values that are valid because they exist.
//!
//! `control.proto` is the wire format and states the compatibility rule; `convert` is the only place that sees the
//! generated types. The transport (QUIC, over UDP or inside
//! a WebSocket by `tunnel`) and all decisions are left to agent and rendezvous.

mod convert;
mod invite;
mod presence;
pub mod tunnel;
pub mod voucher;

use std::net::SocketAddr;

use crate::keys::{IdentityPublic, NetworkId, NetworkPublic, NodeId, StaticPublic};

pub use crate::candidate::{CandidateSet, NatMapping, NatReport};
pub use invite::{InvalidInvite, Invite, usual_web};
pub use presence::Presence;
pub use voucher::Vouched;

/// The version of these messages that this build speaks.
pub const PROTOCOL: u32 = 1;
/// ALPN of the control plane's QUIC connection.
pub const ALPN: &[u8] = b"warren/1";
/// What `proof` signs before the exported keying material.
pub const PROOF_LABEL: &[u8] = b"warren control v1";
/// The exporter label (RFC 5705) whose 32 bytes `proof` signs; binds the proof to one TLS session.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-warren-control-v1";
/// Longest message either side reads; the rendezvous splits a longer map.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// Peers in one `Map` message: 200 certificates of at most 1 KiB stay below `MAX_MESSAGE`.
pub const MAX_PEERS_PER_MAP: usize = 200;
/// Members of one census: as many as have a bit in 16 KiB, ten times a mesh that one server is meant for.
pub const MAX_MEMBERS: usize = 1 << 17;
/// Attempts in one report or verdict: what the path agent remembers of one peer.
pub const MAX_ATTEMPTS: usize = 32;
/// Longest sentence of a verdict that is read: two names of 63 letters, and a few addresses, in a few sentences.
pub const MAX_SENTENCE: usize = 1024;
/// Longest free text (host name, version, reason) that is read; longer is refused.
pub const MAX_TEXT: usize = 255;

/// The bytes that the identity key signs in `Hello` and `Enroll`.
pub fn proof_input(exported: &[u8; 32]) -> Vec<u8> {
    [PROOF_LABEL, exported].concat()
}

/// Encodes a candidate set alone, for peers to pass on to each other.
pub fn encode_candidates(set: &CandidateSet) -> Vec<u8> {
    convert::encode_candidates(set)
}

/// Decodes one; the limits are those of the control connection.
pub fn decode_candidates(bytes: &[u8]) -> Result<CandidateSet, DecodeError> {
    convert::decode_candidates(bytes)
}

/// A message of an agent.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "each variant is the message of its name in control.proto")]
pub enum ToServer {
    Enroll(Enroll),
    Hello(Hello),
    Connect(NodeId),
    Candidates(CandidateSet),
    PathReport(PathReport),
    Logout,
    AttemptReport(AttemptReport),
    Preferences(Preferences),
    /// Asks for a start with which both may search for a port.
    Search(NodeId),
    Pinged(Pinged),
    /// Shows where a STUN server saw this device.
    Vouched(Vouched),
    Alive,
}

/// A message of the rendezvous.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "each variant is the message of its name in control.proto")]
pub enum ToAgent {
    Refused(Refused),
    Enrolled(Enrolled),
    Welcome(Welcome),
    Map(Map),
    PairOpened(PairOpened),
    PeerCandidates {
        peer: NodeId,
        set: CandidateSet,
    },
    Start(Start),
    Observed(SocketAddr),
    LoggedOut,
    Verdict(Verdict),
    Ping {
        peer: NodeId,
        token: u64,
    },
    /// Look for a direct path to this peer now.
    Retry(NodeId),
    Watch {
        peer: NodeId,
        seconds: u32,
    },
    Presence(Presence),
    Servers(Servers),
    Pending(Pending),
}

/// Asks for a certificate, with an invite's secret.
#[derive(Clone, PartialEq)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct Enroll {
    pub protocol: u32,
    pub secret: Vec<u8>,
    pub identity_key: IdentityPublic,
    pub static_key: StaticPublic,
    pub proof: [u8; 64],
    pub hostname: String,
    pub os: String,
    pub agent_version: String,
}

impl std::fmt::Debug for Enroll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enroll").field("identity_key", &self.identity_key).finish_non_exhaustive()
    }
}

/// Opens the connection of an enrolled device.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct Hello {
    pub protocol: u32,
    pub node: NodeId,
    pub proof: [u8; 64],
    pub revision: u64,
    pub agent_version: String,
    pub os: String,
}

/// What an agent measures of its path to one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct PathReport {
    pub peer: NodeId,
    pub kind: String,
    pub via: String,
    pub remote: Option<SocketAddr>,
    pub rtt_us: u64,
    pub mtu: u32,
    pub since_unix_ms: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub reason_code: String,
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub probes: u64,
    pub probes_lost: u64,
}

/// What came of a `Ping`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pinged {
    /// The peer.
    pub peer: NodeId,
    /// That of the `Ping`.
    pub token: u64,
    /// The answer, if it came in time.
    pub answer: Option<PingAnswer>,
}

/// The answer to one ping.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct PingAnswer {
    pub rtt_us: u64,
    pub via: String,
    pub remote: Option<SocketAddr>,
}

/// What the owner of a device wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// Use the relay only.
    pub relay_only: bool,
}

/// What one end tried to reach a peer directly.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct AttemptReport {
    pub peer: NodeId,
    pub attempt: u64,
    pub via: String,
    pub udp_blocked: bool,
    pub attempts: Vec<Attempt>,
}

/// One address tried once.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct Attempt {
    pub technique: String,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    pub probes: u32,
    pub heard: u32,
    pub result: String,
    pub ago_ms: u64,
    pub attempt: u64,
}

/// Why a pair uses the path it uses, from the reports of both ends.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct Verdict {
    pub peer: NodeId,
    pub attempt: u64,
    pub code: String,
    pub text: String,
    pub remedy: String,
    pub attempts: Vec<Attempt>,
}

/// A person is to decide about this device.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "documented in control.proto")]
pub struct Pending {
    pub code: String,
    pub url: String,
    pub expires_in_s: u32,
}

/// Why the rendezvous ends the conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// For programs.
    pub code: RefusedCode,
    /// For a person.
    pub text: String,
}

/// The stable reasons of `Refused`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it; control.proto numbers them")]
pub enum RefusedCode {
    Unspecified,
    InviteUnknown,
    InviteExpired,
    InviteUsed,
    DeviceUnknown,
    DeviceRevoked,
    Protocol,
    Proof,
    RateLimited,
    Unavailable,
    NameTaken,
    PoolExhausted,
    Replaced,
    EnrolmentDenied,
    EnrolmentExpired,
}

/// The mesh a device belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// Bound into every handshake.
    pub id: NetworkId,
    /// Signs every certificate of the mesh.
    pub signing_key: NetworkPublic,
    /// Overlay prefix in CIDR form, IPv4.
    pub v4: String,
    /// Overlay prefix in CIDR form, IPv6.
    pub v6: String,
    /// For people.
    pub name: String,
}

/// The answer to `Enroll`; what it says is committed.
#[derive(Clone, PartialEq, Debug)]
pub struct Enrolled {
    /// Encoded signed certificate of this device.
    pub certificate: Vec<u8>,
    /// Its mesh.
    pub network: Network,
}

/// The answer to `Hello`, and what follows `Enrolled`.
#[derive(Clone, PartialEq, Debug)]
pub struct Welcome {
    /// The server's `PROTOCOL`.
    pub protocol: u32,
    /// Encoded signed certificate of this device, current.
    pub certificate: Vec<u8>,
    /// Its mesh.
    pub network: Network,
    /// Our address as the server sees it.
    pub observed: SocketAddr,
    /// Relays this device may use.
    pub relays: Vec<Relay>,
    /// STUN servers: two ports, so that the mapping behaviour shows.
    pub stun: Vec<SocketAddr>,
    /// For people.
    pub server_version: String,
    /// Where people look.
    pub dashboard: String,
}

/// One relay and the token that binds our address to this control connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    /// UDP address.
    pub addr: SocketAddr,
    /// Sent in BIND frames; worth nothing after the connection ends.
    pub token: [u8; 16],
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// All servers of a mesh that has several.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Servers {
    /// "host:port" of each control plane, the speaker's first.
    pub servers: Vec<String>,
    /// Relays of the other servers.
    pub relays: Vec<Relay>,
    /// The speaker stops soon.
    pub leave: bool,
}

/// A part of the peer map, or what changed in it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Map {
    /// The revision that the receiver holds once it has applied this.
    pub revision: u64,
    /// Whether this replaces all that was held.
    pub full: bool,
    /// Added or changed.
    pub peers: Vec<Peer>,
    /// Revoked or gone: their SAs are closed at once.
    pub removed: Vec<NodeId>,
}

/// One peer as the rendezvous tells of it; nothing is believed before the certificate verifies.
#[derive(Clone, PartialEq, Debug)]
pub struct Peer {
    /// Encoded signed certificate.
    pub certificate: Vec<u8>,
    /// Whether it is connected to the rendezvous.
    pub online: bool,
    /// Whether it uses the relay only.
    pub relay_only: bool,
}

/// A relay channel to a peer is open at both ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PairOpened {
    /// The peer.
    pub peer: NodeId,
    /// One of the relays of `Welcome`.
    pub relay: SocketAddr,
    /// Our channel number there.
    pub channel: u32,
    /// Names this attempt in both ends' logs.
    pub attempt: u64,
}

/// Fire the opener and the probes this long after receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The peer.
    pub peer: NodeId,
    /// The attempt it belongs to.
    pub attempt: u64,
    /// Milliseconds; the server has taken both round-trip times into account.
    pub delay_ms: u32,
    /// The peer's address as the server sees it, when the two may search for a port there: no other search is on behind
    /// either NAT.
    pub search: Option<SocketAddr>,
}

/// A message that is not one of ours, or breaks a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error texts say it")]
pub enum DecodeError {
    #[error("not a control message")]
    Encoding,
    #[error("the field {0} is missing or has no valid reading")]
    Field(&'static str),
    #[error("the field {0} is longer than its limit")]
    Limit(&'static str),
    #[error("a message of a kind this version does not know")]
    UnknownBody,
}

impl ToServer {
    /// Protobuf encoding, without the length prefix.
    pub fn encode(&self) -> Vec<u8> {
        convert::encode_to_server(self)
    }

    /// Decodes one message. `UnknownBody` is to be ignored (a newer agent); the other errors end the connection.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        convert::decode_to_server(bytes)
    }
}

impl ToAgent {
    /// Protobuf encoding, without the length prefix.
    pub fn encode(&self) -> Vec<u8> {
        convert::encode_to_agent(self)
    }

    /// Decodes one message. `UnknownBody` is to be ignored (a newer server); the other errors end the connection.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        convert::decode_to_agent(bytes)
    }
}
