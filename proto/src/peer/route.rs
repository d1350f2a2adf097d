//! What the packet path needs of a peer, and what people are shown of it. Plain values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use super::explaining::{HeldVerdict, Reason};
use crate::candidate::CandidateSet;
use crate::crypto::Suite;
use crate::io::Remote;
use crate::keys::NodeId;
use crate::path::{Attempt, Selection};
use crate::session::{InboundSa, OutboundSa};
use crate::stats::PeerStats;

/// How packets to one peer are sealed and where they go.
#[derive(Clone)]
pub struct PeerRoute {
    /// The peer.
    pub node: NodeId,
    /// Its overlay address, IPv4.
    pub v4: Ipv4Addr,
    /// Its overlay address, IPv6.
    pub v6: Ipv6Addr,
    /// Prefixes behind it (address, prefix length).
    pub routes: Vec<(IpAddr, u8)>,
    /// SAs for IPv4 and IPv6 inner packets; none until a session is up.
    pub outbound: Option<[Arc<OutboundSa>; 2]>,
    /// Where its data goes.
    pub remote: Option<Remote>,
    /// Where each packet goes as well, while the path is in doubt.
    pub hedge: Option<Remote>,
    /// Largest UDP payload known to arrive, in bytes.
    pub udp_payload: usize,
    /// Counters that the packet path raises.
    pub stats: Arc<PeerStats>,
}

/// A snapshot for the packet path: everything it decides by.
#[derive(Clone, Default)]
pub struct Forwarding {
    /// One per peer.
    pub peers: Vec<PeerRoute>,
    /// Every SA that receives.
    pub inbound: Vec<Arc<InboundSa>>,
}

/// One peer as `warren status` shows it.
#[derive(Clone)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Its name from its certificate.
    pub name: String,
    /// Its overlay address, IPv4.
    pub v4: Ipv4Addr,
    /// Its overlay address, IPv6.
    pub v6: Ipv6Addr,
    /// Whether the rendezvous sees it.
    pub online: bool,
    /// Whether it is known from an earlier run alone: no map of this one has named it.
    pub from_memory: bool,
    /// The path in use.
    pub selection: Option<Selection>,
    /// The session in use.
    pub session: Option<SessionStatus>,
    /// Why this path.
    pub reason: Reason,
    /// What this end tried lately, oldest first.
    pub attempts: Vec<Attempt>,
    /// What the rendezvous made of both ends' reports, and what the peer tried.
    pub verdict: Option<HeldVerdict>,
    /// Whether the setting of either device holds the pair to the relay.
    pub relay_only: bool,
    /// Where the peer says it may be reached.
    pub candidates: CandidateSet,
    /// Counters.
    pub stats: Arc<PeerStats>,
}

/// The session in use.
#[derive(Clone, Copy, Debug)]
pub struct SessionStatus {
    /// Its suite.
    pub suite: Suite,
    /// When it was agreed.
    pub established: Instant,
    /// How many sessions with this peer it has replaced.
    pub rekeys: u32,
}
