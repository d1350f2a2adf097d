//! Hears a gateway say that it restarted, and so forgot its mappings.
//!
//! NAT-PMP (RFC 6886 section 3.2.1) and PCP (RFC 6887 section 14.1) multicast it to all hosts of the link. Anybody there
//! can forge it: it only makes us ask the gateway again, a few seconds later.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Listens, where the port is to be had.
pub(super) struct Announcements(Option<UdpSocket>);

impl Announcements {
    pub(super) fn listen() -> Self {
        let socket = open().inspect_err(|error| tracing::debug!(%error, "restarts of the gateway cannot be heard"));
        Self(socket.ok())
    }

    /// Waits for one of `router`.
    pub(super) async fn hear(&self, router: Ipv4Addr) {
        let Some(socket) = &self.0 else { return std::future::pending().await };
        loop {
            match socket.recv_from(&mut [0; LONGEST]).await {
                Ok((_, from)) if from.ip() == IpAddr::V4(router) => return,
                Ok(_) => {}
                // nothing more will come
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// Every host is in the group 224.0.0.1 already; others that listen here are to hear it as well.
fn open() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLIENT_PORT)).into())?;
    UdpSocket::from_std(socket.into())
}

/// RFC 6887 section 19.1.
const CLIENT_PORT: u16 = 5350;
/// What comes is not read: the source is all that counts.
const LONGEST: usize = 64;
