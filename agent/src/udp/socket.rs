//! One UDP socket and its options: DF set, ECN in and out, large buffers.
//!
//! Segmentation offload on receive is on already: a batch may hold several datagrams per slot. Errors of sending are
//! the caller's to count; there is no error queue, so that one unreachable candidate cannot poison the next send.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use quinn_udp::{EcnCodepoint, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use warren_proto::io::Ecn;

use super::Batch;

/// A bound, non-blocking UDP socket of one family.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    /// Knows the control messages of ECN and offloads, and what this kernel lacks of them.
    state: UdpSocketState,
}

impl Socket {
    /// Binds to `at`; an IPv6 socket takes no IPv4.
    pub(super) fn bind(at: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        if at.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        enlarge_buffers(&socket);
        socket.bind(&at.into())?;
        let io = UdpSocket::from(socket);
        // non-blocking, IP_PMTUDISC_PROBE and IPV6_DONTFRAG, IP_RECVTOS and IPV6_RECVTCLASS, UDP_GRO
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { io, state })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }

    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.io.send_to(bytes, to).map(drop)
    }

    pub(super) fn send_with_ttl(&self, to: SocketAddr, ttl: u8, bytes: &[u8]) -> io::Result<()> {
        let ttl = libc::c_int::from(ttl);
        let control = match to {
            SocketAddr::V4(_) => ControlMessage::Ipv4Ttl(&ttl),
            SocketAddr::V6(_) => ControlMessage::Ipv6HopLimit(&ttl),
        };
        let to = SockaddrStorage::from(to);
        sendmsg(self.io.as_raw_fd(), &[IoSlice::new(bytes)], &[control], MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    pub(super) fn forward(&self, to: SocketAddr, ecn: Ecn, bytes: &[u8]) -> io::Result<()> {
        let ecn = EcnCodepoint::from_bits(ecn.bits());
        let transmit = quinn_udp::Transmit { destination: to, ecn, contents: bytes, segment_size: None, src_ip: None };
        self.state.try_send((&self.io).into(), &transmit)
    }

    pub(super) fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        batch.fill(|buffers, metas| self.state.recv((&self.io).into(), buffers, metas))
    }
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

/// 4 MiB hold 3 ms of a full 10 Gb/s: longer than a data thread is off the CPU on a busy machine.
const BUFFER_LEN: usize = 4 << 20;
