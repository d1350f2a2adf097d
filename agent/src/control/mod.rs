//! The connection to the rendezvous: reach it, prove who is who, carry control messages, and start over when it breaks.
//!
//! The server is believed by the key that the invite pins, never by its name. What messages mean is left to
//! `warren_proto::Node` and `slow_path`; whose datagrams reach QUIC at all, to `data_plane`.

mod backoff;
mod client;
mod connection;
mod frame;
mod pin;
mod reach;

use std::net::SocketAddr;
use std::time::Duration;

use warren_proto::control::{Refused, ToAgent};
use warren_proto::keys::NodeId;
use zeroize::Zeroizing;

pub use client::{Admit, Client, Parts};
pub use connection::Link;
pub use reach::Unreached;

/// Where the server is and which key it must prove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerPlace {
    /// "host:port", in order of preference.
    pub names: Vec<String>,
    /// Addresses these names had before; tried when they cannot be resolved.
    pub remembered: Vec<SocketAddr>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub pin: [u8; 32],
}

/// What the first message says. No `Debug`: it may hold the secret of an invite.
#[derive(Clone)]
pub enum Opening {
    /// This device wants to become part of the mesh.
    Enroll {
        /// Of the invite.
        secret: Zeroizing<[u8; 16]>,
        /// Name it would like.
        hostname: String,
    },
    /// This device is part of the mesh.
    Hello(NodeId),
}

/// What happens on the connection.
#[derive(Debug)]
pub enum Event {
    /// A message of the server.
    Message(Box<ToAgent>),
    /// The connection ended, or could not be made; it is tried again.
    Lost(Unreached),
    /// The server said no. `retry`: it is tried again.
    Refused {
        /// Why.
        refused: Refused,
        /// Whether the client goes on.
        retry: bool,
    },
}

/// Two lost packets in a row and a slow server fit in it; a dead server is left soon.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Keeps a NAT's mapping of the connection, which lives 30 s at least with most.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Three keepalives unanswered.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Datagrams sent but none received for this long: the server or the way to it is gone, whatever QUIC still hopes for.
const SILENCE: Duration = Duration::from_secs(6);
