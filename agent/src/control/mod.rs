//! The connection to the rendezvous: reach it, prove who is who, carry control messages, and start over when it breaks.
//!
//! The server is believed by the key that the invite pins, never by its name. What messages mean is left to
//! `warren_proto::Node` and `slow_path`; whose datagrams reach QUIC at all, to `data_plane`.
//!
//! The way is QUIC over UDP, or where that is blocked QUIC through a WebSocket (`tunnel`, `proxy`). `reach` tries the one,
//! `search` a little later also the other; `watch` notices that the way in use is cut and when the better one is back; `client` goes over
//! without letting go of the old one first.

mod backoff;
mod client;
mod connection;
mod frame;
mod pin;
mod proxy;
mod reach;
mod search;
mod tunnel;
mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use warren_proto::control::{Refused, ToAgent};
use warren_proto::keys::NodeId;
use zeroize::Zeroizing;

pub use client::{Admit, Client, Parts};
pub use connection::{Link, Transport};
pub use proxy::{Exceptions, InvalidProxy, Proxies, Proxy};
pub use reach::Unreached;
pub use tunnel::{WebOrigin, believing_any_certificate};

/// Where the server is and which key it must prove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerPlace {
    /// "host:port", in order of preference.
    pub names: Vec<String>,
    /// Addresses these names had before; tried when they cannot be resolved.
    pub remembered: Vec<SocketAddr>,
    /// Origin of its web server: "https://host:port".
    pub web: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub pin: [u8; 32],
}

/// What the first message says. No `Debug`: it may hold the secret of an invite.
#[derive(Clone)]
pub enum Opening {
    /// This device wants to become part of the mesh.
    Enroll {
        /// Of the invite; without one, a person decides.
        secret: Option<Zeroizing<[u8; 16]>>,
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

fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

/// Two lost packets in a row and a slow server fit in it; a dead server is left soon.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// TCP, perhaps a proxy, TLS and the WebSocket before QUIC can begin.
const TUNNEL_WITHIN: Duration = Duration::from_secs(8);
/// Keeps a NAT's mapping of the connection, which lives 30 s at least with most.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Three keepalives unanswered.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
