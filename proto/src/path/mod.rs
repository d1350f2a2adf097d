//! Which address pair to use: NAT traversal. Never sees a key, a socket or a clock.
//!
//! One `Agent` per peer. The peer layer feeds it candidates, the relay channel, the state of the session and the probes
//! that arrived inside it; it answers with probes to send, with the path that data is to take, and with the reasons.
//!
//! # The algorithm
//!
//! **Relay first.** As soon as there is a session and a relay channel, data goes by the relay. A direct path is an
//! upgrade that nothing waits for.
//!
//! **A round.** The rendezvous tells both ends to start at the same moment. At that moment each sends a low-TTL *opener*
//! to every IPv4 address that lies behind a NAT: it makes a hole in our own NAT and dies before theirs, where a packet
//! that comes before they have made theirs could leave an entry that spoils the punch. 20 to 60 ms later probes follow,
//! seven in 3.2 s, until one is answered. Addresses without a NAT before them are probed at once. Two devices seen
//! behind one public address try each other's inside addresses first. Without a session only openers go; probes begin
//! when it is ready, since they travel inside it.
//!
//! **Proof.** A pong counts only if it comes from exactly the address that was pinged and repeats 96 random bits less
//! than five seconds old. A probe from an address that nobody named is answered, and that address is probed: it is what
//! the peer's NAT made for us (*peer-reflexive*). After the first pong a padded probe shows that full-size packets
//! pass, and only then may the path carry data. Nothing else moves the path that data is sent on, least of all data.
//!
//! **Choice.** Tier first (inside the site, direct, by our own NAT's hairpin, relay), then round-trip time with
//! hysteresis. Each end chooses for itself what it sends on, and receives on everything.
//!
//! **Doubt.** When data was sent and nothing came back for 400 ms, when a keepalive stays unanswered, or when the peer
//! says that it moved, the path is probed three times and data goes by the relay as well. No answer: the path is dead,
//! the relay carries on, every address that worked lately is probed again, and the rendezvous is asked for a new start.
//! If it does not answer either, we try alone.
//!
//! **Alone.** Without a session and without the rendezvous, INITs take the place of pings: in a series to the addresses
//! where the peer was found before, or in a round that a common peer has timed.
//!
//! **Search.** Where one NAT maps every destination anew and the other lets in only what was asked for by port, neither
//! end knows the port to aim at. If the rendezvous has allowed it with the start, the port is looked for. A NAT that counts
//! its mappings is followed: the *hard* end takes a fresh look at it with new sockets, tells the peer, and opens one more
//! socket toward it; the *easy* end tries the 32 ports that come next, twice. Against one that chooses at random the hard
//! end opens up to 256 sockets and the easy end tries up to 1,159 ports in random order, of the block that the NAT seems
//! to choose from: 99 in 100 meet. Two that count meet at one port each: both ends aim 32 sockets at the 24th port after
//! the other's last one. (Climbing together, one socket and the i-th probe to the i-th port, fails as soon as anybody
//! else behind either NAT takes a number; this stands 23 of those.) Two of which one is random stay on the relay: they
//! would need the square of it. Every socket first sends an opener. The winner's stays, for this peer alone.
//!
//! **Obstacles.** What this host or a router on the way says of probes that it will not carry ends them, once it was said
//! twice, and is the reason stated. The far end's own word is none.
//!
//! **Silence.** A round that found nothing is followed by at least 30 s without probes, then 2, 10, 30 minutes, until
//! something changes at either end.
//!
//! **Limits.** 12 candidates, 24 pairs, 7 probes an address and round, 2 KiB an address that never answered and epoch,
//! no padded probe before the first pong, no pong longer than its ping. Ports are searched for only at the address that
//! the rendezvous itself sees the peer at, at 200 datagrams a second; after a birthday search that found nothing not for
//! ten minutes, doubling to a day. Over all peers of a node: `Allowance`.
//!
//! # Where things are
//!
//! `agent` is the border and the order of work; `remotes` the table of addresses, `round` and `schedule` when they are
//! tried, `probing` pings and pongs, `upkeep` and `liveness` what becomes of the path in use, `pair` one path, `mtu`
//! its size, `score` the order between paths, `knock` what goes on without the rendezvous, `budget` what strangers may
//! cost, `explain` the reasons. `search` is the search for a port, `predict` which ones and when;
//! `obstacle` what routers say of probes that they will not carry.

mod agent;
mod budget;
mod explain;
mod knock;
mod liveness;
mod mtu;
mod obstacle;
mod pair;
mod predict;
mod probing;
mod remotes;
mod round;
mod schedule;
mod score;
mod search;
mod upkeep;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use agent::Agent;
pub use budget::Allowance;
pub use explain::{Attempt, AttemptResult, Explanation, Technique};
pub use knock::Endpoint;
pub use pair::Tally;

use crate::io::Remote;
use crate::wire::path_probe::{Ping, Pong};

/// What an agent is told once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether this end keeps the idle path open (the one with the lower public key does; the other answers).
    pub we_keepalive: bool,
    /// How long an idle path may stay silent.
    pub keepalive: Duration,
}

/// A datagram to be sent.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Where to, from the socket that everything uses.
    pub to: Remote,
    /// IP time to live, if it must die on the way.
    pub ttl: Option<u8>,
    /// What.
    pub body: ProbeBody,
    /// Which of the node's common budgets it comes out of.
    pub charge: Charge,
}

/// What a datagram costs beyond the pair it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charge {
    /// Nothing: it answers, goes by the relay, or to somebody who answered lately.
    Nothing,
    /// Part of a search for a port.
    Search,
    /// To an address that has not answered.
    Stranger,
}

/// What a probe is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeBody {
    /// A handshake's INIT, where there is no session to seal a ping in.
    Knock,
    /// One byte 0xFF in clear, which every receiver ignores: it only has to pass our own NAT.
    Opener,
    /// To be sealed in the session.
    Ping(Ping),
    /// To be sealed in the session.
    Pong(Pong),
}

/// What the peer layer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathEvent {
    /// The answer to `request_ping`.
    PingReply {
        /// The caller's.
        token: u64,
        /// Round-trip time of this one ping.
        rtt: Duration,
        /// Where it went.
        remote: Remote,
        /// Over which kind of path.
        via: Via,
    },
    /// `selection` or `hedge` differs from before.
    Selected,
    /// Tell the rendezvous what was tried and what came of it: a round is over, or data goes another way.
    WantReport,
    /// `Agent::uses` says no of a socket of which it said yes.
    SocketsChanged,
    /// Look at how our NAT numbers its mappings, and let `set_local` know.
    WantSample,
    /// Ask the rendezvous to let both ends search for a port.
    WantSearch,
    /// Ask the rendezvous for fresh candidates and a common start. At most one in 10 s.
    WantStart,
}

/// The path that data is sent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Where to.
    pub remote: Remote,
    /// The kind of path.
    pub via: Via,
    /// Smoothed round-trip time; zero until measured.
    pub rtt: Duration,
    /// Largest datagram known to arrive (UDP payload; on a relay without its frame).
    pub udp_payload: usize,
    /// When data moved here.
    pub since: Instant,
}

/// Kinds of path as people are told of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Via {
    /// Straight, over IPv4.
    Ipv4,
    /// Straight, over IPv6.
    Ipv6,
    /// Inside one site.
    Lan,
    /// Through a relay over UDP.
    UdpRelay,
    /// Through a relay, and to it inside a WebSocket.
    WebSocketRelay,
}

impl Via {
    /// The stable word used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Lan => "lan",
            Self::UdpRelay => "udp-relay",
            Self::WebSocketRelay => "websocket-relay",
        }
    }

    /// The coarser stable word.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Ipv4 | Self::Ipv6 | Self::Lan => "direct",
            Self::UdpRelay | Self::WebSocketRelay => "relay",
        }
    }
}

/// The size that every path is taken to carry before it was measured.
pub const BASE_UDP_PAYLOAD: usize = mtu::BASE;
