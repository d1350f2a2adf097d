//! What is around this device: its own addresses, the servers' views of it, and the questions under way to learn more.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::debug;
use warren_proto::control::CandidateSet;

use super::random;
use crate::gather::{Gatherer, preferred_first};
use crate::netcfg::HostNetwork;
use crate::report::ServerDistance;
use crate::stun::{Answer, Stun};
use crate::udp::{Datagram, Sockets};

/// Gathers addresses and asks STUN servers, at each change of the network and every few minutes.
pub(super) struct Surroundings {
    gatherer: Gatherer,
    stun: Stun,
    servers: Vec<SocketAddr>,
    answers: Vec<Answer>,
    again_at: Option<Instant>,
}

impl Surroundings {
    /// Knows nothing yet. `epoch` is the time of day, so that it grows over restarts.
    pub(super) fn new(port: u16, epoch: u64) -> Self {
        Self {
            gatherer: Gatherer::new(port, epoch),
            stun: Stun::default(),
            servers: Vec::new(),
            answers: Vec::new(),
            again_at: None,
        }
    }

    /// The network changed, or this is the first look at it.
    pub(super) fn set_network(&mut self, network: &HostNetwork, server: Option<SocketAddr>, now: Instant) {
        self.gatherer.set_hosts(preferred_first(network.addresses.clone(), server));
        self.gatherer.start_epoch();
        self.ask(now);
    }

    /// The server told where STUN is.
    pub(super) fn set_servers(&mut self, servers: Vec<SocketAddr>, now: Instant) {
        self.servers = servers;
        self.ask(now);
    }

    /// The server told how it sees us. True when that is news.
    pub(super) fn note_observed(&mut self, server: SocketAddr, observed: SocketAddr, now: Instant) -> bool {
        self.gatherer.note_seen(server, observed, now)
    }

    /// The gateway granted a port mapping, or took it back. True when that is news.
    pub(super) fn set_mapping(&mut self, mapping: Option<SocketAddr>) -> bool {
        self.gatherer.set_mapping(mapping)
    }

    /// The STUN servers.
    pub(super) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// What servers saw of us holds no longer.
    pub(super) fn forget_seen(&mut self) {
        self.gatherer.forget_seen();
    }

    /// Asks all STUN servers anew.
    pub(super) fn ask(&mut self, now: Instant) {
        self.answers.clear();
        self.again_at = Some(now + ASK_AGAIN_AFTER);
        for server in &self.servers {
            self.stun.ask(*server, random(), now);
        }
    }

    /// Takes a STUN datagram. True when it told something new.
    pub(super) fn handle_stun(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        let Some(answer) = self.stun.handle_datagram(from, datagram, now) else { return false };
        self.answers.retain(|known| known.server != answer.server);
        self.answers.push(answer);
        self.gatherer.note_seen(answer.server, answer.mapped, now)
    }

    /// Sends what is due.
    pub(super) fn send_due(&mut self, sockets: &Sockets, now: Instant) {
        if self.again_at.is_some_and(|at| at <= now) {
            self.ask(now);
        }
        while let Some((to, bytes)) = self.stun.poll_transmit(now) {
            if let Err(error) = sockets.send(&Datagram { to, ttl: None, bytes: &bytes }) {
                debug!(%error, "a STUN server cannot be asked");
            }
        }
    }

    /// When `send_due` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.stun.poll_timeout(), self.again_at].into_iter().flatten().min()
    }

    /// Whether all questions are answered or given up.
    pub(super) fn is_settled(&self) -> bool {
        self.stun.is_idle()
    }

    pub(super) fn candidates(&self) -> CandidateSet {
        self.gatherer.candidates()
    }

    pub(super) fn gatherer(&self) -> &Gatherer {
        &self.gatherer
    }

    /// Every STUN server with how far it was in the last round.
    pub(super) fn distances(&self) -> impl Iterator<Item = ServerDistance> {
        self.servers.iter().map(|server| {
            let answer = self.answers.iter().find(|answer| answer.server == *server);
            ServerDistance { addr: *server, rtt_ms: answer.map(|answer| crate::report::milliseconds(answer.rtt)) }
        })
    }
}

/// Mappings of home routers change on restarts of theirs; the QUIC connection, kept alive all the time, notices sooner.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(300);
