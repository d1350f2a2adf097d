//! UDP -> TUN: tells what each datagram is, opens ESP in place, joins what belongs together and writes it to the device.
//!
//! Everything else goes up or is counted; nothing that arrives here is believed before its ICV has verified.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use arc_swap::Cache;
use warren_proto::io::{Auxiliary, Discard, Ecn, Obstacle, RelayChannel, Remote, SocketId};
use warren_proto::keys::Spi;
use warren_proto::session::{Content, HEADROOM, InboundSa, NextHeader, TAILROOM};
use warren_proto::wire::{Kind, classify, relay};

use super::Shared;
use super::coalesce::{Coalescer, Delivery};
use super::departures::MAX_DATAGRAMS;
use super::fib::{Fib, Receiver};
use super::readiness::{Readiness, Ready};
use super::scheduling::{Courtesy, PACKET_COST};
use super::upcall::Upcall;
use crate::tun::Tun;
use crate::udp::{Batch, QuicFeed, Run};

/// The inbound thread's state.
pub(super) struct Inbound<T> {
    shared: Shared<T>,
    quic: QuicFeed,
    arrivals: Coalescer,
    /// Datagrams of one association in a row, and what they held.
    row: Row,
    contents: Vec<Content>,
    /// The socket that is being received by, unless it is the one that everything uses.
    by: Option<SocketId>,
}

/// Datagrams that follow each other in a run and name the same association.
struct Row {
    spi: Option<Spi>,
    from: Remote,
    datagrams: Vec<Range<usize>>,
}

/// A datagram out of any relay frame, and where it came from in that sense.
struct Unwrapped {
    from: Remote,
    /// Bytes of the relay frame's header in front of it.
    skip: usize,
    kind: Kind,
}

impl<T: Tun> Inbound<T> {
    pub(super) fn new(shared: Shared<T>, quic: QuicFeed) -> Self {
        let arrivals = Coalescer::new(shared.tun.joins());
        let nowhere = Remote::Direct(SocketAddr::from(([0; 4], 0)));
        let row = Row { spi: None, from: nowhere, datagrams: Vec::with_capacity(MAX_DATAGRAMS) };
        Self { shared, quic, arrivals, row, contents: Vec::with_capacity(MAX_DATAGRAMS), by: None }
    }

    /// Receives until told to stop.
    pub(super) fn run(mut self, mut readiness: Readiness) {
        let mut table = Cache::new(Arc::clone(&self.shared.fib));
        let mut batch = Batch::new(HEADROOM, TAILROOM);
        let mut courtesy = Courtesy::default();
        while let Some(ready) = readiness.wait() {
            for Ready { source: index, has_errors } in ready {
                if index == AUXILIARIES {
                    courtesy.give_way_after(self.receive_by_auxiliaries(table.load(), &mut batch));
                    continue;
                }
                if has_errors {
                    self.pass_on_obstacles(None, self.shared.sockets.take_obstacles(self.shared.thread, index));
                }
                // an error is about an earlier send or about nothing left to read; the next wait tells
                if self.shared.sockets.receive(self.shared.thread, index, &mut batch).is_ok() {
                    // looked at after receiving: who uses a new association has been told of it, and so is the table
                    courtesy.give_way_after(self.accept_batch(table.load(), &mut batch));
                }
            }
        }
    }

    /// Receives by the sockets that serve one peer each. Says how much work it was.
    fn receive_by_auxiliaries(&mut self, fib: &Fib, batch: &mut Batch) -> usize {
        let mut work = 0;
        for socket in self.shared.sockets.ready_auxiliaries() {
            self.pass_on_obstacles(Some(socket), self.shared.sockets.take_obstacles_by(socket));
            if self.shared.sockets.receive_by(socket, batch).is_ok() {
                self.by = Some(socket);
                work += self.accept_batch(fib, batch);
                self.by = None;
            }
        }
        work
    }

    /// Hands up what routers say of datagrams that left by a socket.
    fn pass_on_obstacles(&self, by: Option<SocketId>, obstacles: Vec<(SocketAddr, Obstacle)>) {
        for (peer, obstacle) in obstacles {
            let to = by.map_or(Remote::Direct(peer), |socket| Remote::Auxiliary(Auxiliary { socket, peer }));
            if let Err(reason) = self.shared.upcalls.unproven(|| Upcall::Obstacle { to, obstacle }) {
                self.shared.counters.count(reason);
            }
        }
    }

    /// What [`Self::run`] waits for: the sockets of this thread.
    pub(super) fn readiness(&self) -> io::Result<Readiness> {
        let readiness = Readiness::new(self.shared.stop.as_fd())?;
        let (v4, v6) = self.shared.sockets.descriptors(self.shared.thread);
        for (index, descriptor) in [Some(v4), v6].into_iter().enumerate() {
            descriptor.map_or(Ok(()), |descriptor| readiness.add(index, descriptor))?;
        }
        // one thread is enough for what arrives beside the common port
        if self.shared.thread == 0 {
            readiness.add(AUXILIARIES, self.shared.sockets.auxiliary_descriptor())?;
        }
        Ok(readiness)
    }

    /// Opens and delivers what was received. Says how much work it was, in the unit of [`TURN`](super::scheduling::TURN).
    fn accept_batch(&mut self, fib: &Fib, batch: &mut Batch) -> usize {
        let mut work = 0;
        let (buffer, runs) = batch.runs();
        for run in runs {
            work += run.range.len() + run.datagrams().count() * PACKET_COST;
            self.accept_run(fib, buffer, &run);
            // a long run has joined all it can; what comes after it must not wait for the whole batch
            if run.range.len() >= LONG_RUN {
                self.deliver_all(buffer);
            }
        }
        self.deliver_all(buffer);
        work
    }

    fn deliver_all(&mut self, buffer: &mut [u8]) {
        let shared = &self.shared;
        self.arrivals.send_all(buffer, |delivery| shared.deliver(&delivery));
    }

    fn accept_run(&mut self, fib: &Fib, buffer: &mut [u8], run: &Run) {
        for datagram in run.datagrams() {
            match unwrap(fib, &buffer[datagram.clone()], run.from, self.by) {
                Ok(Unwrapped { from, skip, kind: Kind::Esp(spi) }) => {
                    if self.row.spi != Some(spi) || self.row.from != from || self.row.datagrams.len() == MAX_DATAGRAMS {
                        self.accept_row(fib, buffer, run.ecn);
                        (self.row.spi, self.row.from) = (Some(spi), from);
                    }
                    self.row.datagrams.push(datagram.start + skip..datagram.end);
                }
                Ok(unwrapped) => {
                    self.accept_other(&unwrapped, run, &buffer[datagram.start + unwrapped.skip..datagram.end])
                }
                Err(reason) => self.shared.counters.count(reason),
            }
        }
        self.accept_row(fib, buffer, run.ecn);
    }

    fn accept_other(&self, unwrapped: &Unwrapped, run: &Run, bytes: &[u8]) {
        let upcalls = &self.shared.upcalls;
        let outcome = match unwrapped.kind {
            Kind::Handshake | Kind::Relay => {
                upcalls.unproven(|| Upcall::Datagram { from: unwrapped.from, bytes: bytes.to_vec() })
            }
            Kind::Esp(_) | Kind::Keepalive => Ok(()),
            Kind::Quic => self.quic.offer(run.from, run.ecn, bytes),
            Kind::Stun => upcalls.unproven(|| Upcall::Stun { from: run.from, bytes: bytes.to_vec() }),
        };
        if let Err(reason) = outcome {
            self.shared.counters.count(reason);
        }
    }

    /// Opens the row that has gathered.
    fn accept_row(&mut self, fib: &Fib, buffer: &mut [u8], ecn: Ecn) {
        let Some(spi) = self.row.spi.take() else { return };
        let datagrams = self.row.datagrams.drain(..);
        let Some(Receiver { sa, stats }) = fib.receiver(spi) else {
            return datagrams.for_each(|_| self.shared.counters.count(Discard::UnknownSpi));
        };
        // what is refused is charged to the peer whose association it names, whoever sent it
        sa.open_run(buffer, datagrams, &mut self.contents, |reason| stats.count_dropped(reason));
        let (mut packets, mut bytes) = (0, 0);
        let from = self.row.from;
        for content in &self.contents {
            match self.arrivals.take(&self.shared, buffer, content, sa, ecn, from) {
                Ok(0) => {}
                Ok(len) => (packets, bytes) = (packets + 1, bytes + len),
                Err(reason) => stats.count_dropped(reason),
            }
        }
        stats.count_received(packets, bytes);
        let any_opened = !self.contents.is_empty();
        if any_opened && sa.take_wake() && self.shared.upcalls.authentic(Upcall::WakeInbound(spi)).is_err() {
            sa.arm_wake();
        }
    }
}

impl Coalescer {
    /// Takes what an authentic datagram held, and says how many bytes of inner packet that was.
    fn take<T: Tun>(
        &mut self,
        shared: &Shared<T>,
        buffer: &mut [u8],
        content: &Content,
        sa: &InboundSa,
        ecn: Ecn,
        from: Remote,
    ) -> Result<usize, Discard> {
        let (kind, at) = content.read(buffer)?;
        let deliver = |delivery: Delivery<'_>| shared.deliver(&delivery);
        match kind {
            NextHeader::Control => {
                shared.upcalls.authentic(Upcall::Control { spi: sa.spi(), from, payload: buffer[at].to_vec() })?;
                Ok(0)
            }
            NextHeader::Dummy => Ok(0),
            NextHeader::Transport(protocol) => {
                let len = sa.header_len() + at.len();
                self.add_segment(buffer, at, (sa, protocol, ecn), deliver)?;
                Ok(len)
            }
            NextHeader::Whole(family) => {
                let len = sa.accept_whole(&mut buffer[at.clone()], family, ecn)?;
                self.add_packet(buffer, at.start..at.start + len, sa, deliver);
                Ok(len)
            }
        }
    }
}

impl<T: Tun> Shared<T> {
    /// Writes a packet to the host, by the queue into which the host is to put the answers.
    fn deliver(&self, delivery: &Delivery<'_>) {
        let queue = delivery.hash as usize % self.tun.queues();
        if self.tun.send(queue, delivery.parts).is_err() {
            self.counters.count_tun_refused(delivery.count);
        }
    }
}

/// The source of a thread's `Readiness` after its two sockets.
const AUXILIARIES: usize = 2;
/// Half of the longest run: two of them would not fit one packet for the host.
const LONG_RUN: usize = 32 << 10;

/// Takes a datagram out of its relay frame, if it came in one. `Kind::Relay` is then what a relay says for itself.
fn unwrap(fib: &Fib, datagram: &[u8], from: SocketAddr, by: Option<SocketId>) -> Result<Unwrapped, Discard> {
    let kind = classify(datagram)?;
    if let Some(socket) = by {
        let from = Remote::Auxiliary(Auxiliary { socket, peer: from });
        return match kind {
            Kind::Esp(_) | Kind::Keepalive | Kind::Stun => Ok(Unwrapped { from, skip: 0, kind }),
            // made known to one peer and to no server: nothing else has any business here
            Kind::Handshake | Kind::Quic | Kind::Relay => Err(Discard::Unclassified),
        };
    }
    if kind != Kind::Relay {
        return Ok(Unwrapped { from: Remote::Direct(from), skip: 0, kind });
    }
    let (channel, inside) = relay::decode(datagram)?;
    if !fib.is_relay(from) {
        return Err(Discard::RelayChannel);
    }
    let from = Remote::Relay(RelayChannel { relay: from, channel });
    let skip = relay::HEADER_LEN;
    if channel == relay::RELAY_ITSELF {
        return Ok(Unwrapped { from, skip, kind: Kind::Relay });
    }
    match classify(inside)? {
        kind @ (Kind::Esp(_) | Kind::Handshake | Kind::Keepalive) => Ok(Unwrapped { from, skip, kind }),
        // frames do not nest, and servers are not reached through relays
        Kind::Quic | Kind::Relay | Kind::Stun => Err(Discard::Unclassified),
    }
}
