//! One UDP socket and its options: DF set, ECN in and out, large buffers.
//!
//! Segmentation offload in both directions: a send takes a run of datagrams of one length, a received slot may hold one.
//! What was not sent is the caller's to count or to try again. What a router says of a datagram comes back with the next
//! send, whoever that is to: such a send is tried once more, so that one unreachable candidate spoils nothing.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use arc_swap::ArcSwap;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use quinn_udp::{EcnCodepoint, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Type};
use warren_proto::io::{Ecn, Obstacle};

use super::{Batch, obstacles};

/// A bound, non-blocking UDP socket of one family.
#[derive(Debug)]
pub(crate) struct Socket {
    io: UdpSocket,
    /// Knows the control messages of ECN and offloads, and what this kernel lacks of them.
    state: ArcSwap<UdpSocketState>,
    /// Whether runs may be given to the kernel whole.
    offload: bool,
}

impl Socket {
    /// Binds to `at`; an IPv6 socket takes no IPv4. Without `offload` every datagram is sent and received by itself.
    pub(super) fn bind(at: SocketAddr, offload: bool) -> io::Result<Self> {
        Self::open(at, offload, false)
    }

    /// Like [`Self::bind`], beside sockets of this port that were shared.
    pub(super) fn join(at: SocketAddr, offload: bool) -> io::Result<Self> {
        Self::open(at, offload, true)
    }

    /// Lets further sockets of this user bind to the same port; each then receives from a part of the senders.
    pub(super) fn share(&self) -> io::Result<()> {
        SockRef::from(&self.io).set_reuse_port(true)
    }

    fn open(at: SocketAddr, offload: bool, is_shared: bool) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(is_shared)?;
        if at.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        enlarge_buffers(&socket);
        socket.bind(&at.into())?;
        obstacles::listen(&socket, at.is_ipv6());
        let io = UdpSocket::from(socket);
        // non-blocking, IP_PMTUDISC_PROBE and IPV6_DONTFRAG, IP_RECVTOS and IPV6_RECVTCLASS, UDP_GRO
        let state = UdpSocketState::new((&io).into())?;
        if !offload {
            // an old kernel without the option joins nothing either
            let _ = setsockopt(&io, sockopt::UdpGroSegment, &false);
        }
        Ok(Self { io, state: ArcSwap::from_pointee(state), offload })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }

    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        persistently(|| self.io.send_to(bytes, to).map(drop))
    }

    pub(super) fn send_with_ttl(&self, to: SocketAddr, ttl: u8, bytes: &[u8]) -> io::Result<()> {
        let ttl = libc::c_int::from(ttl);
        let control = match to {
            SocketAddr::V4(_) => ControlMessage::Ipv4Ttl(&ttl),
            SocketAddr::V6(_) => ControlMessage::Ipv6HopLimit(&ttl),
        };
        let to = SockaddrStorage::from(to);
        let (io, bytes) = (self.io.as_raw_fd(), [IoSlice::new(bytes)]);
        persistently(|| Ok(sendmsg(io, &bytes, &[control], MsgFlags::empty(), Some(&to)).map(drop)?))
    }

    /// Sends a run: datagrams of `stride` bytes in a row, of which the last may be shorter.
    pub(crate) fn forward(&self, to: SocketAddr, ecn: Ecn, run: &[u8], stride: usize) -> Forwarded {
        let state = self.state.load();
        if run.len() > stride && self.offload && state.max_gso_segments() > 1 {
            match self.try_send(&state, &transmit(to, ecn, run, Some(stride))) {
                Ok(()) => return Forwarded::default(),
                Err(error) if is_refusal_of_offload(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Forwarded { refused: 0, waiting: run.len() };
                }
                Err(_) => return Forwarded::nothing_of(run, stride),
            }
        }
        let outcome = self.forward_each(&state, to, ecn, run, stride);
        if outcome.refused > 0 && self.offload && state.max_gso_segments() <= 1 {
            // not the run was refused but its datagrams: forget what was concluded about the kernel
            let renewed = UdpSocketState::new((&self.io).into());
            let _ = renewed.map(|renewed| self.state.store(renewed.into()));
        }
        outcome
    }

    /// Sends the datagrams of a run one by one, until there is no room for the next.
    fn forward_each(&self, state: &UdpSocketState, to: SocketAddr, ecn: Ecn, run: &[u8], stride: usize) -> Forwarded {
        let mut outcome = Forwarded { refused: 0, waiting: run.len() };
        for datagram in run.chunks(stride.max(1)) {
            match self.try_send(state, &transmit(to, ecn, datagram, None)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => outcome.refused += 1,
            }
            outcome.waiting -= datagram.len();
        }
        outcome
    }

    fn try_send(&self, state: &UdpSocketState, transmit: &quinn_udp::Transmit<'_>) -> io::Result<()> {
        persistently(|| state.try_send((&self.io).into(), transmit))
    }

    /// What routers said of datagrams that were sent, oldest first; not all at once, if there is much.
    pub(super) fn take_obstacles(&self) -> Vec<(SocketAddr, Obstacle)> {
        obstacles::take(&self.io)
    }

    pub(super) fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        let state = self.state.load();
        batch.fill(|buffers, metas| state.recv((&self.io).into(), buffers, metas))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// What became of a run.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forwarded {
    /// Datagrams that the kernel will not send, however often it is asked.
    pub refused: usize,
    /// Bytes at the end of the run that found no room in the socket's buffer.
    pub waiting: usize,
}

impl Forwarded {
    pub(crate) fn nothing_of(run: &[u8], stride: usize) -> Self {
        Self { refused: run.len().div_ceil(stride.max(1)), waiting: 0 }
    }
}

fn transmit(to: SocketAddr, ecn: Ecn, contents: &[u8], segment_size: Option<usize>) -> quinn_udp::Transmit<'_> {
    let ecn = EcnCodepoint::from_bits(ecn.bits());
    quinn_udp::Transmit { destination: to, ecn, contents, segment_size, src_ip: None }
}

/// Sends again when the answer may have been about another datagram: each such word is heard once.
fn persistently(send: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let mut outcome = send();
    for _ in 0..SPOILT_IN_A_ROW {
        match outcome {
            Err(error) if obstacles::may_be_about_an_earlier_one(&error) => outcome = send(),
            Ok(()) | Err(_) => break,
        }
    }
    outcome
}

/// What kernels and drivers say to a run that they do not cut: no checksum offload, too old, or segments longer than
/// the interface takes.
fn is_refusal_of_offload(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
}

/// Whether the host has no IPv6, as opposed to a port that is taken.
pub(super) fn family_is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// Beyond the system's limit with CAP_NET_ADMIN, else up to it; a smaller buffer works too.
fn enlarge_buffers(socket: &socket2::Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &BUFFER_LEN).is_err() {
        let _ = socket.set_recv_buffer_size(BUFFER_LEN);
    }
    if setsockopt(socket, sockopt::SndBufForce, &BUFFER_LEN).is_err() {
        let _ = socket.set_send_buffer_size(BUFFER_LEN);
    }
}

/// Between two sends the kernel keeps one such word; another may come while the send is tried again.
const SPOILT_IN_A_ROW: usize = 3;
/// 4 MiB hold 3 ms of a full 10 Gb/s: longer than a data thread is off the CPU on a busy machine.
const BUFFER_LEN: usize = 4 << 20;
