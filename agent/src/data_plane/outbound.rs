//! TUN -> UDP: finds each packet's peer, cuts it into segments, seals them and sends them, twice while the path is in doubt.
//!
//! The device's queues take turns, so that a flow that sends all it can does not hold up the others; in a turn datagrams are
//! gathered into runs, and the last of them leave before the thread looks for the next packets. What cannot go is answered
//! by ICMP in the peer's name, handed to the slow path, or counted.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arc_swap::Cache;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use warren_proto::inner::{self, Form, Outline, Unreachable};
use warren_proto::io::Discard;
use warren_proto::keys::Family;
use warren_proto::session::NextHeader;

use super::Shared;
use super::answer::AnswerBudget;
use super::departures::{Departures, Run};
use super::fib::{Fib, Lane, Peer};
use super::readiness::{Readiness, Ready};
use super::scheduling::{Courtesy, PACKET_COST, TURN};
use super::segment::Cut;
use super::upcall::Upcall;
use crate::tun::{MAX_PACKET, Offload, Tun};
use crate::udp::Forwarded;

/// The outbound thread's state.
pub(super) struct Outbound<T> {
    shared: Shared<T>,
    departures: Departures,
    answers: AnswerBudget,
}

/// Packets that did not go, all for one reason: as many as their host would have sent had it cut them itself.
struct Refused {
    packets: usize,
    reason: Discard,
}

impl<T: Tun> Outbound<T> {
    pub(super) fn new(shared: Shared<T>) -> Self {
        let departures = Departures::new(shared.sockets.offload());
        Self { shared, departures, answers: AnswerBudget::new(Instant::now()) }
    }

    /// Forwards until told to stop or the device is gone.
    pub(super) fn run(mut self, mut readiness: Readiness) {
        let mut table = Cache::new(Arc::clone(&self.shared.fib));
        let mut buffer = vec![0; MAX_PACKET].into_boxed_slice();
        let mut courtesy = Courtesy::default();
        while let Some(mut ready) = readiness.wait() {
            let fib = table.load();
            let mut turn =
                |work, ready: Ready| self.forward_turn(fib, ready.source, &mut buffer).map(|more| work + more);
            let work = ready.try_fold(0, &mut turn);
            self.departures.send_all(|run| self.shared.send(run));
            match work {
                Ok(work) => courtesy.give_way_after(work),
                Err(error) => {
                    tracing::error!("the TUN device is gone: {error}");
                    return self.shared.report_loss();
                }
            }
        }
    }

    /// What [`Self::run`] waits for: the queues of this thread.
    pub(super) fn readiness(&self) -> io::Result<Readiness> {
        let readiness = Readiness::new(self.shared.stop.as_fd())?;
        let mut queues = (self.shared.thread..self.shared.tun.queues()).step_by(self.shared.sockets.threads());
        queues.try_for_each(|queue| readiness.add(queue, self.shared.tun.descriptor(queue)))?;
        Ok(readiness)
    }

    /// Forwards what waits in a queue, but not without end: then the others have their turn, and the table and the order to
    /// stop are looked at. Says how much work it was, in the unit of [`TURN`].
    fn forward_turn(&mut self, fib: &Fib, queue: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = 0;
        while bytes < TURN {
            match self.shared.tun.receive(queue, buffer) {
                Ok((len, offload)) => {
                    bytes += len + PACKET_COST;
                    self.forward(fib, &buffer[..len], &offload);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // a header that asks for what was never offered
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.shared.counters.count(Discard::InnerMalformed);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }

    /// Sends a packet on its way.
    fn forward(&mut self, fib: &Fib, packet: &[u8], offload: &Offload) {
        let destination = match inner::addresses(packet) {
            Ok(addresses) => addresses.destination,
            Err(reason) => return self.shared.counters.count(reason),
        };
        let Some(peer) = fib.peer(destination) else { return self.refuse(packet, offload, destination) };
        if let Err(refused) = self.forward_to(peer, family_of(destination), packet, offload) {
            peer.stats.count_all_dropped(refused.packets, refused.reason);
        }
    }

    fn forward_to(&mut self, peer: &Peer, family: Family, packet: &[u8], offload: &Offload) -> Result<(), Refused> {
        let Some(lane) = peer.lane(family) else { return self.hand_up(&understand(packet, offload)?) };
        let (outline, form) = lane.sa.classify(packet)?;
        let cut = Cut::new(packet, &outline, offload)?;
        let limit = match form {
            Form::Transport => lane.transport_mtu,
            Form::Whole => lane.whole_mtu,
        };
        if cut.longest_packet() <= limit {
            return self.seal(peer, lane, &outline, form, &cut);
        }
        // every IPv6 path must carry 1280 bytes (RFC 8200 section 5): a sender who is told less cannot obey
        if family == Family::V6 && cut.longest_packet() <= MIN_MTU_V6 {
            return self.seal_in_fragments(peer, lane, &cut);
        }
        self.handle_too_big(peer, lane, &cut, limit)
    }

    /// Sends every segment of an IPv6 packet in fragments, for a path narrower than IPv6 allows a link to be.
    fn seal_in_fragments(&mut self, peer: &Peer, lane: &Lane, cut: &Cut<'_>) -> Result<(), Refused> {
        for index in 0..cut.count() {
            let id = self.shared.identifications.fetch_add(1, Ordering::Relaxed);
            inner::as_fragment(&cut.packet(index), id)
                .ok_or(Discard::InnerTooBig)
                .and_then(|packet| inner::fragments(&packet, lane.whole_mtu))
                .and_then(|pieces| self.seal_pieces(peer, lane, &pieces))
                .map_err(|reason| Refused::from_on(index, cut, reason))?;
        }
        Ok(())
    }

    fn seal_pieces(&mut self, peer: &Peer, lane: &Lane, pieces: &[Vec<u8>]) -> Result<(), Discard> {
        pieces.iter().try_for_each(|piece| {
            let (outline, form) = lane.sa.classify(piece)?;
            let cut = Cut::new(piece, &outline, &Offload::default())?;
            self.seal(peer, lane, &outline, form, &cut).map_err(|refused| refused.reason)
        })
    }

    /// Seals every segment of a packet, each into its place in a run.
    fn seal(&mut self, peer: &Peer, lane: &Lane, outline: &Outline, form: Form, cut: &Cut<'_>) -> Result<(), Refused> {
        let next_header = match form {
            Form::Transport => NextHeader::Transport(outline.protocol),
            Form::Whole => NextHeader::Whole(outline.family),
        };
        // a device's packet is at most 64 KiB
        let Ok(numbers) = lane.sa.reserve(cut.count() as u32) else {
            // closed or used up since the table was made
            return self.hand_up(cut);
        };
        let (shared, prefix_len) = (&self.shared, lane.sa.prefix_len());
        for (index, number) in numbers.enumerate() {
            let payload = prefix_len..prefix_len + cut.len(index, form);
            let len = lane.sa.sealed_len(payload.len());
            let place = self.departures.place(lane.to, outline.ecn, len, |run| shared.send(run));
            cut.write(index, form, &mut place[payload.clone()]);
            let _ = number.seal(place, payload, next_header);
            if let Some(hedge) = lane.hedge {
                self.departures.repeat(lane.to, hedge, outline.ecn, len, |run| shared.send(run));
            }
        }
        peer.stats.count_sent(cut.count(), cut.bytes(), form);
        if lane.sa.take_wake() && shared.upcalls.authentic(Upcall::WakeOutbound(peer.node)).is_err() {
            lane.sa.arm_wake();
        }
        Ok(())
    }

    /// A packet for which there is no association or path yet: the slow path keeps it and makes one.
    fn hand_up(&self, cut: &Cut<'_>) -> Result<(), Refused> {
        for index in 0..cut.count() {
            let outcome = self.shared.upcalls.unproven(|| Upcall::Packet(cut.packet(index)));
            outcome.map_err(|reason| Refused::from_on(index, cut, reason))?;
        }
        Ok(())
    }

    /// A packet larger than the path: each of its segments goes in pieces if its sender allows, else the sender is told.
    fn handle_too_big(&mut self, peer: &Peer, lane: &Lane, cut: &Cut<'_>, limit: usize) -> Result<(), Refused> {
        for index in 0..cut.count() {
            let packet = cut.packet(index);
            inner::fragments(&packet, lane.whole_mtu)
                .inspect_err(|_| {
                    let from = peer.address(lane.sa.spi().family());
                    self.answer(&packet, |packet| inner::too_big(packet, limit, from));
                })
                .and_then(|pieces| self.seal_pieces(peer, lane, &pieces))
                .map_err(|reason| Refused::from_on(index, cut, reason))?;
        }
        Ok(())
    }

    /// A packet to an address that no peer has.
    fn refuse(&mut self, packet: &[u8], offload: &Offload, destination: IpAddr) {
        let packets = understand(packet, offload).map_or(1, |cut| cut.count());
        self.shared.counters.count_all(packets, Discard::NoRoute);
        let to_many = destination.is_multicast() || destination == IpAddr::from([255; 4]);
        if !to_many {
            self.answer(packet, |packet| inner::unreachable(packet, Unreachable::Address, destination));
        }
    }

    /// Writes an ICMP error about a packet to the host, if the budget allows and there is one to write.
    fn answer(&mut self, packet: &[u8], error: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        if !self.answers.take(Instant::now()) {
            return;
        }
        if let Some(answer) = error(packet)
            && self.shared.tun.send(0, &[IoSlice::new(&Offload::default().encode()), IoSlice::new(&answer)]).is_err()
        {
            self.shared.counters.count_tun_refused(1);
        }
    }
}

impl Refused {
    /// Segment `index` and all after it.
    const fn from_on(index: usize, cut: &Cut<'_>, reason: Discard) -> Self {
        Self { packets: cut.count() - index, reason }
    }
}

impl From<Discard> for Refused {
    /// One packet, or what nobody can tell how to cut.
    fn from(reason: Discard) -> Self {
        Self { packets: 1, reason }
    }
}

impl<T: Tun> Shared<T> {
    /// Sends a run, waiting for room as long as some is made.
    fn send(&self, run: &Run) {
        let (mut left, mut refused, mut has_waited) = (run.bytes(), 0, false);
        let way = self.sockets.way(self.thread, run.address(), run.socket());
        loop {
            let outcome = match &way {
                Some(socket) => socket.forward(run.address(), run.ecn(), left, run.stride()),
                None => Forwarded::nothing_of(left, run.stride()),
            };
            refused += outcome.refused;
            let is_stuck = has_waited && outcome.waiting == left.len();
            left = &left[left.len() - outcome.waiting..];
            if left.is_empty() || is_stuck {
                break;
            }
            // a full buffer is the link's speed: waiting here lets the TUN queue tell the applications
            let writable = way.as_ref().map(|socket| PollFd::new(socket.descriptor(), PollFlags::POLLOUT));
            self.wait_or_stop(writable, PollTimeout::from(PATIENCE_MS));
            has_waited = true;
        }
        refused += left.len().div_ceil(run.stride());
        if refused > 0 {
            self.counters.count_udp_refused(refused);
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

fn understand<'a>(packet: &'a [u8], offload: &Offload) -> Result<Cut<'a>, Discard> {
    Cut::new(packet, &inner::parse(packet)?, offload)
}

const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// No IPv6 link may carry less (RFC 8200 section 5).
const MIN_MTU_V6: usize = 1280;

/// A link that takes nothing for this long is stuck, and holding one peer's packet any longer would hold up all.
const PATIENCE_MS: u8 = 20;
