//! Multicast on this host's links: one socket per family, which receives what is sent to the group.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::netcfg::OnLink;

/// The sockets, and what they have joined.
pub(super) struct Links {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    joined: Vec<OnLink>,
}

impl Links {
    /// Opens what this host has. Several daemons share the port.
    pub(super) fn open() -> Self {
        let socket = |group: SocketAddr| {
            let socket = open(group);
            socket.inspect_err(|error| tracing::debug!(%error, "no discovery on this host in one family")).ok()
        };
        Self { v4: socket(GROUP_V4), v6: socket(GROUP_V6), joined: Vec::new() }
    }

    /// Joins the group on these links alone.
    pub(super) fn set(&mut self, links: &[OnLink]) {
        let links: Vec<OnLink> = links.iter().take(MAX_LINKS).copied().collect();
        // by the kernel's count each link is joined once in each family, whatever its addresses are
        let gone = std::mem::take(&mut self.joined);
        gone.iter().for_each(|link| self.membership(*link, false));
        links.iter().for_each(|link| self.membership(*link, true));
        self.joined = links;
    }

    /// A link that refuses has no multicast, or is joined already.
    fn membership(&self, link: OnLink, join: bool) {
        let _ = match (link.address, &self.v4, &self.v6) {
            (IpAddr::V4(_), Some(socket), _) => {
                let (socket, interface) = (SockRef::from(socket), InterfaceIndexOrAddress::Index(link.interface));
                if join {
                    socket.join_multicast_v4_n(&V4, &interface)
                } else {
                    socket.leave_multicast_v4_n(&V4, &interface)
                }
            }
            (IpAddr::V6(_), _, Some(socket)) => {
                let socket = SockRef::from(socket);
                if join {
                    socket.join_multicast_v6(&V6, link.interface)
                } else {
                    socket.leave_multicast_v6(&V6, link.interface)
                }
            }
            (IpAddr::V4(_) | IpAddr::V6(_), ..) => Ok(()),
        };
    }

    /// Where announcements are made: an address of ours on each link.
    pub(super) fn joined(&self) -> &[OnLink] {
        &self.joined
    }

    /// Sends from that address on that link. What cannot be sent is lost, as any packet may be.
    pub(super) fn send(&self, from: OnLink, bytes: &[u8]) {
        let sent = match (from.address, &self.v4, &self.v6) {
            (IpAddr::V4(ip), Some(socket), _) => send_v4(socket, from.interface, ip, bytes),
            (IpAddr::V6(ip), _, Some(socket)) => send_v6(socket, from.interface, ip, bytes),
            (IpAddr::V4(_) | IpAddr::V6(_), ..) => Ok(()),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a link takes no announcement");
        }
    }

    /// The next datagram, of either family.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> (usize, IpAddr) {
        let mut other = [0; LONGEST];
        tokio::select! {
            received = receive(self.v4.as_ref(), buffer) => received,
            (length, from) = receive(self.v6.as_ref(), &mut other) => {
                let length = length.min(buffer.len());
                buffer[..length].copy_from_slice(&other[..length]);
                (length, from)
            }
        }
    }
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> (usize, IpAddr) {
    if let Some(socket) = socket
        && let Ok((length, from)) = socket.recv_from(buffer).await
    {
        return (length, from.ip());
    }
    std::future::pending().await
}

fn open(group: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if group.is_ipv6() {
        socket.set_only_v6(true)?;
        // the kernel binds no socket to a group of the link without naming the link
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
    } else {
        socket.bind(&group.into())?;
    }
    UdpSocket::from_std(socket.into())
}

fn send_v4(socket: &UdpSocket, interface: u32, from: Ipv4Addr, bytes: &[u8]) -> io::Result<()> {
    let index = i32::try_from(interface).unwrap_or_default();
    let source = libc::in_addr { s_addr: u32::from(from).to_be() };
    let info = libc::in_pktinfo { ipi_ifindex: index, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
    send(socket, GROUP_V4, &ControlMessage::Ipv4PacketInfo(&info), bytes)
}

fn send_v6(socket: &UdpSocket, interface: u32, from: Ipv6Addr, bytes: &[u8]) -> io::Result<()> {
    let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: interface };
    send(socket, GROUP_V6, &ControlMessage::Ipv6PacketInfo(&info), bytes)
}

fn send(socket: &UdpSocket, group: SocketAddr, info: &ControlMessage<'_>, bytes: &[u8]) -> io::Result<()> {
    let group = SockaddrStorage::from(group);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &[*info], MsgFlags::empty(), Some(&group))?;
    Ok(())
}

/// Below the ports that systems give to clients, and in nobody's list.
const PORT: u16 = 21_087;
/// Inside one site (RFC 2365), and with the time to live of 1 that multicast has by default, inside one link.
const V4: Ipv4Addr = Ipv4Addr::new(239, 255, 87, 82);
/// Inside one link, not assigned by IANA (RFC 4291 section 2.7).
const V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x5741, 0x5252);
const GROUP_V4: SocketAddr = SocketAddr::new(IpAddr::V4(V4), PORT);
const GROUP_V6: SocketAddr = SocketAddr::new(IpAddr::V6(V6), PORT);
/// Addresses that are announced: a laptop at its dock, in both families, and some to spare.
const MAX_LINKS: usize = 8;
/// Longer than an announcement, so that what is too long shows.
pub(super) const LONGEST: usize = 64;
