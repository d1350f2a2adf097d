//! What the network says of datagrams that it will not carry: the error queue of a socket (IP_RECVERR).
//!
//! Only what this host or a router on the way says counts; the far end's own word and "time to live exceeded", which every
//! opener is answered by, are read and forgotten. What an obstacle means for a path is the core's to say.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use warren_proto::io::Obstacle;

/// Lets the kernel keep what is said; without it nothing is heard and nothing else is different.
pub(super) fn listen(socket: &impl AsFd, is_ipv6: bool) {
    let kept = if is_ipv6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)
    };
    let _ = kept.inspect_err(|error| tracing::debug!(%error, "obstacles on the way cannot be heard"));
}

/// Takes some of what was said, oldest first; the socket stays readable while there is more.
pub(super) fn take(socket: &impl AsFd) -> Vec<(SocketAddr, Obstacle)> {
    let mut found = Vec::new();
    for _ in 0..AT_ONCE {
        match next(socket) {
            Ok(said) => found.extend(said),
            Err(_) => break,
        }
    }
    found
}

/// What the kernel answers to a send when a router said something of an earlier one: the datagram itself is not sent and
/// may be tried again. A firewall of this host is told in the same words, and again when it is.
pub(super) fn may_be_about_an_earlier_one(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EACCES
                | libc::ECONNREFUSED
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPROTO
        )
    )
}

/// What a send that failed for good says of the way there.
pub(crate) fn of_refusal(error: &io::Error) -> Option<Obstacle> {
    match error.raw_os_error()? {
        libc::EACCES | libc::EPERM => Some(Obstacle::Forbidden),
        libc::EHOSTUNREACH | libc::ENETUNREACH => Some(Obstacle::NoRoute),
        _ => None,
    }
}

/// The next entry of the queue, if it means something to us.
fn next(socket: &impl AsFd) -> io::Result<Option<(SocketAddr, Obstacle)>> {
    // beside what is looked for the kernel puts whatever else receives are told of: address, interface, congestion bits
    let mut control = nix::cmsg_space!([u8; CONTROL_LEN]);
    // the datagram comes back as well, and is not looked at
    let mut nothing = [IoSliceMut::new(&mut [])];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let descriptor = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(descriptor, &mut nothing, Some(&mut control), flags)?;
    let Some(to) = message.address.as_ref().and_then(address) else { return Ok(None) };
    let Ok(mut controls) = message.cmsgs() else { return Ok(None) };
    let said = controls.find_map(|control| {
        if let ControlMessageOwned::Ipv4RecvErr(error, by) = control {
            Some((error, by.map(|by| IpAddr::from(u32::from_be(by.sin_addr.s_addr).to_be_bytes()))))
        } else if let ControlMessageOwned::Ipv6RecvErr(error, by) = control {
            Some((error, by.map(|by| IpAddr::from(by.sin6_addr.s6_addr))))
        } else {
            None
        }
    });
    let by_another = |(error, by): (libc::sock_extended_err, Option<IpAddr>)| (by? != to.ip()).then_some(error);
    Ok(said.and_then(by_another).and_then(|error| meaning(&error)).map(|obstacle| (to, obstacle)))
}

/// What a router means by its message.
fn meaning(error: &libc::sock_extended_err) -> Option<Obstacle> {
    match (error.ee_origin, error.ee_type, error.ee_code) {
        (libc::SO_EE_ORIGIN_ICMP, ICMP_UNREACHABLE, 0 | 1 | 5..=8 | 11 | 12) => Some(Obstacle::NoRoute),
        // routers with a firewall say "port unreachable" of ports that are not theirs
        (libc::SO_EE_ORIGIN_ICMP, ICMP_UNREACHABLE, 2 | 3 | 9 | 10 | 13) => Some(Obstacle::Forbidden),
        (libc::SO_EE_ORIGIN_ICMP6, ICMP6_UNREACHABLE, 0 | 2 | 3) => Some(Obstacle::NoRoute),
        (libc::SO_EE_ORIGIN_ICMP6, ICMP6_UNREACHABLE, 1 | 4..=6) => Some(Obstacle::Forbidden),
        _ => None,
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|addr| SocketAddr::from((addr.ip(), addr.port())));
    v4.or_else(|| storage.as_sockaddr_in6().map(|addr| SocketAddr::from((addr.ip(), addr.port()))))
}

/// RFC 792 and RFC 1812 section 5.2.7.1.
const ICMP_UNREACHABLE: u8 = 3;
/// RFC 4443 section 3.1.
const ICMP6_UNREACHABLE: u8 = 1;
/// More than twice what all of it takes over IPv6.
const CONTROL_LEN: usize = 256;
/// Read in one go, between two receives: a flood of them must not keep datagrams waiting.
const AT_ONCE: usize = 32;
