//! What the fast path hands to the slow path, and the bounded queue between them.
//!
//! Anybody can send handshakes and STUN; only a peer can send control messages. So the unproven may fill no more than
//! half of the queue, and a flood of them never keeps an authentic message out.

use std::net::SocketAddr;

use tokio::sync::mpsc::{self, error::TrySendError};
use warren_proto::io::{Discard, Obstacle, Remote};
use warren_proto::keys::{NodeId, Spi};

/// One thing for the slow path to deal with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Upcall {
    /// The payload of an authentic ESP packet with next header 253, for `Node::handle_opened`.
    Control {
        /// The association it came by.
        spi: Spi,
        /// Where it came from.
        from: Remote,
        /// The message.
        payload: Vec<u8>,
    },
    /// A handshake message, or what a relay says for itself (then `from` has channel 0), for `Node::handle_datagram`.
    Datagram {
        /// Where it came from.
        from: Remote,
        /// The UDP payload, out of its relay frame.
        bytes: Vec<u8>,
    },
    /// The TUN device is gone; no packet will leave any more.
    DeviceLost,
    /// This host or a router on the way will not carry what is sent there, for `Node::handle_obstacle`.
    Obstacle {
        /// Where the datagram was to go.
        to: Remote,
        /// Why it did not.
        obstacle: Obstacle,
    },
    /// An inner packet to a peer without an association or a path, for `Node::handle_packet`.
    Packet(Vec<u8>),
    /// A STUN message; the client knows whether it asked for it.
    Stun {
        /// Who sent it.
        from: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// An inbound association that was armed has opened a packet, for `Node::handle_wake`.
    WakeInbound(Spi),
    /// An outbound association that was armed has sealed a packet to this peer, for `Node::handle_wake_outbound`.
    WakeOutbound(NodeId),
}

/// The fast path's end of the queue.
#[derive(Clone, Debug)]
pub(super) struct Upcalls(mpsc::Sender<Upcall>);

pub(super) fn queue() -> (Upcalls, mpsc::Receiver<Upcall>) {
    let (sender, receiver) = mpsc::channel(QUEUE_LEN);
    (Upcalls(sender), receiver)
}

impl Upcalls {
    /// Queues what a peer has authenticated or this host has decided.
    pub(super) fn authentic(&self, upcall: Upcall) -> Result<(), Discard> {
        self.0.try_send(upcall).map_err(|_| Discard::QueueFull)
    }

    /// Queues what anybody could have sent; makes it only when there is room.
    pub(super) fn unproven(&self, upcall: impl FnOnce() -> Upcall) -> Result<(), Discard> {
        if self.0.capacity() <= QUEUE_LEN / 2 {
            return Err(Discard::QueueFull);
        }
        self.authentic(upcall())
    }

    /// Whether the queue took `upcall`, or nobody is left to read it.
    pub(super) fn is_delivered(&self, upcall: Upcall) -> bool {
        !matches!(self.0.try_send(upcall), Err(TrySendError::Full(_)))
    }
}

/// The slow path drains this many in a few milliseconds; full of the largest control messages it holds 1.5 MB.
const QUEUE_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_the_unproven_leaves_room_for_the_authentic() {
        let (upcalls, mut receiver) = queue();
        let stun = || Upcall::Stun { from: "192.0.2.1:3478".parse().unwrap(), bytes: Vec::new() };

        let refused = (0..10_000).filter(|_| upcalls.unproven(stun) == Err(Discard::QueueFull)).count();
        let authentic = upcalls.authentic(Upcall::WakeOutbound(NodeId::new([1; 16])));

        assert_eq!(refused, 10_000 - QUEUE_LEN / 2);
        assert_eq!(authentic, Ok(()));
        assert_eq!(receiver.try_recv(), Ok(stun()));
    }
}
