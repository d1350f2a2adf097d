//! What is around this device: its own addresses, the servers' views of it, and the questions under way to learn more.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::debug;
use warren_proto::control::{CandidateSet, Vouched};
use warren_proto::io::SocketId;

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
    /// The newest address that a server vouches for, until it is taken.
    vouched: Option<Vouched>,
    /// A look at how the NAT numbers its mappings: the questions in order, and what was answered.
    sample: Option<Vec<(SocketAddr, SocketId, Option<SocketAddr>)>>,
    /// Mappings that looks have made in the NAT, until they are taken.
    made: usize,
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
            vouched: None,
            sample: None,
            made: 0,
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
            self.stun.ask(*server, None, random(), now);
        }
    }

    /// Looks at how the NAT numbers mappings at this moment, if it makes one for each destination: new sockets ask, one
    /// question after the other, so that every answer shows the next number.
    pub(super) fn sample(&mut self, now: Instant) {
        if self.sample.is_some() || !self.gatherer.nat().mapping.is_dependent() {
            return;
        }
        let servers: Vec<SocketAddr> = self.servers.iter().copied().filter(SocketAddr::is_ipv4).take(2).collect();
        let questions = SAMPLERS.iter().flat_map(|socket| servers.iter().map(|server| (*server, *socket, None)));
        let sample: Vec<_> = questions.collect();
        for (server, socket, _) in &sample {
            self.stun.ask(*server, Some(*socket), random(), now);
        }
        self.made += sample.len();
        self.sample = Some(sample);
    }

    /// Whether an auxiliary socket is ours and still needed.
    pub(super) fn uses(&self, socket: SocketId) -> bool {
        self.sample.is_some() && SAMPLERS.contains(&socket)
    }

    /// Takes a STUN datagram. True when it told something new.
    pub(super) fn handle_stun(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        let Some(answer) = self.stun.handle_datagram(from, datagram, now) else { return false };
        if let Some(socket) = answer.socket {
            return self.handle_sample(answer.server, socket, answer.mapped);
        }
        if let Some(voucher) = answer.voucher.filter(|_| answer.mapped.is_ipv4()) {
            self.vouched = Some(Vouched { addr: answer.mapped, voucher });
        }
        self.answers.retain(|known| known.server != answer.server);
        self.answers.push(answer);
        let news = self.gatherer.note_seen(answer.server, answer.mapped, now);
        if self.stun.is_idle() && self.gatherer.nat().allocation.is_none() {
            self.sample(now);
        }
        news
    }

    /// How many mappings looks have made in the NAT, once.
    pub(super) fn take_made(&mut self) -> usize {
        std::mem::take(&mut self.made)
    }

    /// The newest IPv4 address that a server vouches for, once.
    pub(super) fn take_vouched(&mut self) -> Option<Vouched> {
        self.vouched.take()
    }

    fn handle_sample(&mut self, server: SocketAddr, socket: SocketId, mapped: SocketAddr) -> bool {
        let question = self.sample.iter_mut().flatten().find(|(to, by, _)| (*to, *by) == (server, socket));
        if let Some((_, _, answer)) = question {
            *answer = Some(mapped);
        }
        !self.stun.uses_auxiliaries() && self.end_sample()
    }

    /// All is answered or given up. True when that told something.
    fn end_sample(&mut self) -> bool {
        let Some(sample) = self.sample.take() else { return false };
        self.gatherer.note_fresh(sample.into_iter().filter_map(|(_, _, mapped)| mapped).map(|mapped| mapped.port()));
        true
    }

    /// Sends what is due. True when what was given up told something.
    pub(super) fn send_due(&mut self, sockets: &Sockets, now: Instant) -> bool {
        if self.again_at.is_some_and(|at| at <= now) {
            self.ask(now);
        }
        while let Some((to, socket, bytes)) = self.stun.poll_transmit(now) {
            let datagram = Datagram { to, ttl: None, bytes: &bytes };
            let sent = socket.map_or_else(|| sockets.send(&datagram), |socket| sockets.send_by(socket, &datagram));
            if let Err(error) = sent {
                debug!(%error, "a STUN server cannot be asked");
                if leads_nowhere(&error) {
                    self.stun.give_up(to);
                }
            }
        }
        !self.stun.uses_auxiliaries() && self.end_sample()
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

/// Whether the host has no way to a server, as one without IPv6 has to the server's IPv6 address. A change of the network
/// is noticed, and then all are asked again.
fn leads_nowhere(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable)
}

/// Two sockets with two servers make as many mappings as tell whether they are counted.
const SAMPLERS: [SocketId; 2] = [SocketId(1 << 63), SocketId(1 << 63 | 1)];
/// Mappings of home routers change on restarts of theirs; the QUIC connection, kept alive all the time, notices sooner.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(300);
