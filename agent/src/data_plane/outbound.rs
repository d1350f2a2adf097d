//! TUN -> UDP: finds each packet's peer, seals it in place and sends it, twice while the path is in doubt.
//!
//! What cannot go is answered by ICMP in the peer's name, handed to the slow path, or counted.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::Cache;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use warren_proto::inner::{self, Form, Unreachable};
use warren_proto::io::{Discard, Ecn, Remote};
use warren_proto::keys::Family;
use warren_proto::session::{HEADROOM, TAILROOM};
use warren_proto::wire::relay;

use super::Shared;
use super::answer::AnswerBudget;
use super::fib::{Fib, Lane, Peer};
use super::fragment::fragments;
use super::upcall::Upcall;
use crate::tun::{MAX_PACKET, Tun};

/// The outbound thread's state.
pub(super) struct Outbound<T> {
    shared: Shared<T>,
    /// Room for one packet and what sealing puts around it.
    buffer: Box<[u8]>,
    answers: AnswerBudget,
}

impl<T: Tun> Outbound<T> {
    pub(super) fn new(shared: Shared<T>) -> Self {
        let buffer = vec![0; HEADROOM + MAX_PACKET + TAILROOM].into_boxed_slice();
        Self { shared, buffer, answers: AnswerBudget::new(Instant::now()) }
    }

    /// Forwards until told to stop or the device is gone.
    pub(super) fn run(mut self) {
        let mut table = Cache::new(Arc::clone(&self.shared.fib));
        while self.shared.wait_for_packets() {
            let fib = Arc::clone(table.load());
            if let Err(error) = self.forward_burst(&fib) {
                tracing::error!("the TUN device is gone: {error}");
                return self.shared.report_loss();
            }
        }
    }

    /// Forwards what waits, but not without end: the table and the order to stop are looked at in between.
    fn forward_burst(&mut self, fib: &Fib) -> io::Result<()> {
        for _ in 0..BURST {
            match self.shared.tun.receive(&mut self.buffer[HEADROOM..HEADROOM + MAX_PACKET]) {
                Ok(len) => self.forward(fib, HEADROOM..HEADROOM + len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends the packet at `packet` of the buffer on its way.
    fn forward(&mut self, fib: &Fib, packet: Range<usize>) {
        let destination = match inner::addresses(&self.buffer[packet.clone()]) {
            Ok(addresses) => addresses.destination,
            Err(reason) => return self.shared.counters.count(reason),
        };
        let Some(peer) = fib.peer(destination) else { return self.refuse(packet, destination) };
        if let Err(reason) = self.forward_to(peer, family_of(destination), packet) {
            peer.stats.count_dropped(reason);
        }
    }

    fn forward_to(&mut self, peer: &Peer, family: Family, packet: Range<usize>) -> Result<(), Discard> {
        let Some(lane) = peer.lane(family) else { return self.hand_up(packet) };
        if packet.len() > lane.whole_mtu {
            let limit = match lane.sa.form(&self.buffer[packet.clone()])? {
                Form::Transport => lane.transport_mtu,
                Form::Whole => lane.whole_mtu,
            };
            // every IPv6 path must carry 1280 bytes (RFC 8200 section 5): a sender who is told less cannot obey
            let must_be_tried = family == Family::V6 && packet.len() <= MIN_MTU_V6;
            if packet.len() > limit && !must_be_tried {
                return self.handle_too_big(peer, lane, packet, limit);
            }
        }
        self.seal_and_send(peer, lane, packet)
    }

    fn seal_and_send(&mut self, peer: &Peer, lane: &Lane, packet: Range<usize>) -> Result<(), Discard> {
        let len = packet.len();
        let sealed = match lane.sa.seal_packet(&mut self.buffer, packet.clone()) {
            // closed or used up since the table was made; the packet is as it was
            Err(Discard::SaExpired) => return self.hand_up(packet),
            outcome => outcome?,
        };
        // counted first: whoever sees it arrive also sees it counted
        peer.stats.count_sent(len, sealed.form);
        self.shared.send_sealed(lane, &mut self.buffer, sealed.datagram, sealed.ecn);
        if lane.sa.take_wake() && self.shared.upcalls.authentic(Upcall::WakeOutbound(peer.node)).is_err() {
            lane.sa.arm_wake();
        }
        Ok(())
    }

    /// A packet for which there is no association or path yet: the slow path keeps it and makes one.
    fn hand_up(&self, packet: Range<usize>) -> Result<(), Discard> {
        self.shared.upcalls.unproven(|| Upcall::Packet(self.buffer[packet].to_vec()))
    }

    /// A packet larger than the path: goes in pieces if its sender allows, else the sender is told.
    fn handle_too_big(&mut self, peer: &Peer, lane: &Lane, packet: Range<usize>, limit: usize) -> Result<(), Discard> {
        match fragments(&self.buffer[packet.clone()], lane.whole_mtu) {
            Ok(pieces) => pieces.iter().try_for_each(|piece| {
                let packet = HEADROOM..HEADROOM + piece.len();
                self.buffer[packet.clone()].copy_from_slice(piece);
                self.seal_and_send(peer, lane, packet)
            }),
            Err(reason) => {
                let from = peer.address(lane.sa.spi().family());
                self.answer(packet, |packet| inner::too_big(packet, limit, from));
                Err(reason)
            }
        }
    }

    /// A packet to an address that no peer has.
    fn refuse(&mut self, packet: Range<usize>, destination: IpAddr) {
        self.shared.counters.count(Discard::NoRoute);
        let to_many = destination.is_multicast() || destination == IpAddr::from([255; 4]);
        if !to_many {
            self.answer(packet, |packet| inner::unreachable(packet, Unreachable::Address, destination));
        }
    }

    /// Writes an ICMP error about a packet to the host, if the budget allows and there is one to write.
    fn answer(&mut self, packet: Range<usize>, error: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        if !self.answers.take(Instant::now()) {
            return;
        }
        if let Some(answer) = error(&self.buffer[packet])
            && self.shared.tun.send(&answer).is_err()
        {
            self.shared.counters.count_tun_refused();
        }
    }
}

impl<T: Tun> Shared<T> {
    /// False when told to stop.
    fn wait_for_packets(&self) -> bool {
        let packets = PollFd::new(self.tun.descriptor(), PollFlags::POLLIN);
        self.wait_or_stop(Some(packets), PollTimeout::NONE)
    }

    /// Sends a sealed datagram on the path in use and on the one beside it.
    fn send_sealed(&self, lane: &Lane, buffer: &mut [u8], datagram: Range<usize>, ecn: Ecn) {
        for remote in [Some(lane.to), lane.hedge].into_iter().flatten() {
            let (to, bytes) = match remote {
                Remote::Direct(address) => (address, &buffer[datagram.clone()]),
                Remote::Relay(at) => {
                    let frame = datagram.start - relay::HEADER_LEN..datagram.end;
                    buffer[frame.start..datagram.start].copy_from_slice(&relay::encode_header(at.channel));
                    (at.relay, &buffer[frame])
                }
            };
            let outcome = match self.sockets.forward(to, ecn, bytes) {
                // a full buffer is the link's speed: waiting here lets the TUN queue tell the applications
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = self.sockets.descriptor(to).map(|socket| PollFd::new(socket, PollFlags::POLLOUT));
                    self.wait_or_stop(writable, PollTimeout::from(PATIENCE_MS));
                    self.sockets.forward(to, ecn, bytes)
                }
                outcome => outcome,
            };
            if outcome.is_err() {
                self.counters.count_udp_refused();
            }
        }
    }

    /// Tells the slow path that this thread has ended; there is nothing better to do than to insist.
    fn report_loss(&self) {
        while !self.upcalls.is_delivered(Upcall::DeviceLost) {
            if !self.wait_or_stop(None, PollTimeout::from(PATIENCE_MS)) {
                return;
            }
        }
    }

    /// Waits for one descriptor, or for the time alone; false when told to stop.
    fn wait_or_stop(&self, descriptor: Option<PollFd<'_>>, timeout: PollTimeout) -> bool {
        let stop = || PollFd::new(self.stop.as_fd(), PollFlags::POLLIN);
        let mut waiting = [stop(), descriptor.unwrap_or_else(stop)];
        match poll(&mut waiting, timeout) {
            Ok(_) => !waiting[0].any().unwrap_or(true),
            Err(Errno::EINTR) => true,
            Err(_) => false,
        }
    }
}

const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// Packets per look at the table: long enough to spread its cost, short against a change of path.
const BURST: usize = 64;

/// No IPv6 link may carry less (RFC 8200 section 5).
const MIN_MTU_V6: usize = 1280;

/// A link that takes nothing for this long is stuck, and holding one peer's packet any longer would hold up all.
const PATIENCE_MS: u8 = 20;
