//! The one UDP port of the agent: a socket per address family, sends with and without a time to live, batched receives.
//!
//! ESP, handshakes, probes, STUN and QUIC all leave and arrive here, so that what the rendezvous observes is what peers
//! reach. What a datagram means is left to `data_plane`; which address to use, to the slow path.

mod auxiliary;
mod batch;
mod obstacles;
mod quic_socket;
mod socket;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use warren_proto::io::{Auxiliary, Ecn, Obstacle, Remote, SocketId, Transmit};
use warren_proto::wire::relay;

use auxiliary::Auxiliaries;
pub(crate) use batch::{Batch, Run};
pub(crate) use obstacles::of_refusal as obstacle_of;
pub use quic_socket::{QuicFeed, QuicSocket, quic_socket};
pub use socket::Forwarded;
use socket::Socket;

/// The sockets of one port: an IPv4 and an IPv6 socket for each thread that receives.
///
/// A host without IPv6 has only the former; sends to IPv6 addresses then fail with `NetworkUnreachable`. Between several
/// sockets of a family the kernel spreads senders by their address (SO_REUSEPORT), so a peer's datagrams keep their order.
#[derive(Debug)]
pub struct Sockets {
    /// At least one.
    pairs: Vec<Pair>,
    auxiliaries: Auxiliaries,
    port: u16,
    offload: bool,
}

#[derive(Debug)]
struct Pair {
    v4: Socket,
    v6: Option<Socket>,
}

/// How the sockets are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Whether datagrams are sent and received in runs.
    pub offload: bool,
    /// How many threads receive; at least one.
    pub threads: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self { offload: true, threads: 1 }
    }
}

/// One datagram of the slow path: a handshake, probe, STUN request or relay message.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// IP time to live for this one datagram, when it must die on the way.
    pub ttl: Option<u8>,
    /// UDP payload.
    pub bytes: &'a [u8],
}

impl Sockets {
    /// Binds both families to `port`, or to one free port of the system's choice that the caller should keep.
    ///
    /// Fails with `AddrInUse` when the asked port is taken in either family.
    pub fn bind(port: Option<u16>, layout: Layout) -> io::Result<Arc<Self>> {
        let Some(port) = port else { return Self::bind_any(layout) };
        let first = Pair::bind(port, layout.offload)?;
        let port = first.v4.local_addr()?.port();
        let mut pairs = vec![first];
        while pairs.len() < layout.threads {
            // only now, so that the port of another daemon is never shared
            pairs.iter().try_for_each(Pair::share)?;
            pairs.push(Pair::join(port, layout.offload)?);
        }
        let auxiliaries = Auxiliaries::new(layout.offload)?;
        Ok(Arc::new(Self { pairs, auxiliaries, port, offload: layout.offload }))
    }

    /// A port free in IPv4 may be taken in IPv6, so this tries a few.
    fn bind_any(layout: Layout) -> io::Result<Arc<Self>> {
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..BIND_TRIES {
            let probe = Socket::bind((Ipv4Addr::UNSPECIFIED, 0).into(), layout.offload)?;
            let port = probe.local_addr()?.port();
            drop(probe);
            match Self::bind(Some(port), layout) {
                Ok(sockets) => return Ok(sockets),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// The port of both families; worth keeping over restarts, for NAT mappings and forwarded ports.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether runs of datagrams are sent and received whole.
    pub const fn offload(&self) -> bool {
        self.offload
    }

    /// Whether IPv6 datagrams can be sent at all.
    pub fn has_ipv6(&self) -> bool {
        self.pairs[0].v6.is_some()
    }

    /// How many threads can receive.
    pub const fn threads(&self) -> usize {
        self.pairs.len()
    }

    /// Sends one datagram of the slow path. `WouldBlock` means that it was not sent.
    ///
    /// Takes another way than [`Self::forward`]: an odd candidate that the kernel refuses with `EINVAL` must not
    /// make the fast path believe in an old kernel without offloads.
    pub fn send(&self, datagram: &Datagram<'_>) -> io::Result<()> {
        send(self.of(0, datagram.to)?, datagram)
    }

    /// The same by an auxiliary socket, which is opened if it is not.
    pub fn send_by(&self, socket: SocketId, datagram: &Datagram<'_>) -> io::Result<()> {
        send(&*self.auxiliaries.get_or_open(socket)?, datagram)
    }

    /// Closes the auxiliary sockets that are not named.
    pub fn retain_auxiliaries(&self, named: impl Fn(SocketId) -> bool) {
        self.auxiliaries.retain(named);
    }

    /// Sends what the core asked for, wrapped into a relay frame when it goes through one.
    pub fn transmit(&self, transmit: &Transmit) -> io::Result<()> {
        match transmit.to {
            Remote::Auxiliary(Auxiliary { socket, peer: to }) => {
                self.send_by(socket, &Datagram { to, ttl: transmit.ttl, bytes: &transmit.datagram })
            }
            Remote::Direct(to) => self.send(&Datagram { to, ttl: transmit.ttl, bytes: &transmit.datagram }),
            Remote::Relay(at) => {
                let frame = [&relay::encode_header(at.channel)[..], &transmit.datagram].concat();
                self.send(&Datagram { to: at.relay, ttl: transmit.ttl, bytes: &frame })
            }
        }
    }

    /// Sends a run of ESP datagrams, or one of QUIC: no allocation, congestion bits as given. All are of `stride` bytes but
    /// the last, which may be shorter.
    /// Threads that use sockets of their own do not wait for each other.
    pub fn forward(&self, thread: usize, to: SocketAddr, ecn: Ecn, run: &[u8], stride: usize) -> Forwarded {
        match self.of(thread, to) {
            Ok(socket) => socket.forward(to, ecn, run, stride),
            Err(_) => Forwarded::nothing_of(run, stride),
        }
    }

    /// A thread's descriptors to poll for reading, IPv4 first.
    pub(crate) fn descriptors(&self, thread: usize) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        let pair = &self.pairs[thread];
        (pair.v4.descriptor(), pair.v6.as_ref().map(Socket::descriptor))
    }

    /// The socket that a thread's datagrams to this address leave by: the auxiliary one if one is named.
    pub(crate) fn way(&self, thread: usize, to: SocketAddr, auxiliary: Option<SocketId>) -> Option<Way<'_>> {
        match auxiliary {
            None => self.of(thread, to).ok().map(Way::Shared),
            Some(id) => self.auxiliaries.get(id).map(Way::Own),
        }
    }

    /// Readable when an auxiliary socket is.
    pub(crate) fn auxiliary_descriptor(&self) -> BorrowedFd<'_> {
        self.auxiliaries.descriptor()
    }

    /// The auxiliary sockets that have something to receive.
    pub(crate) fn ready_auxiliaries(&self) -> impl Iterator<Item = SocketId> + use<> {
        self.auxiliaries.ready().into_iter()
    }

    /// Like [`Self::receive`], by an auxiliary socket.
    pub(crate) fn receive_by(&self, socket: SocketId, batch: &mut Batch) -> io::Result<()> {
        self.auxiliaries.receive(socket, batch)
    }

    /// Receives as many datagrams as are there and fit, by the socket with this index of [`Self::descriptors`].
    pub(crate) fn receive(&self, thread: usize, index: usize, batch: &mut Batch) -> io::Result<()> {
        let pair = &self.pairs[thread];
        let socket = if index == 0 { Some(&pair.v4) } else { pair.v6.as_ref() };
        socket.map_or_else(|| Err(io::ErrorKind::WouldBlock.into()), |socket| socket.receive(batch))
    }

    /// What routers said of datagrams that left by the socket with this index of [`Self::descriptors`].
    pub(crate) fn take_obstacles(&self, thread: usize, index: usize) -> Vec<(SocketAddr, Obstacle)> {
        let pair = &self.pairs[thread];
        let socket = if index == 0 { Some(&pair.v4) } else { pair.v6.as_ref() };
        socket.map(Socket::take_obstacles).unwrap_or_default()
    }

    /// The same of an auxiliary socket.
    pub(crate) fn take_obstacles_by(&self, socket: SocketId) -> Vec<(SocketAddr, Obstacle)> {
        self.auxiliaries.get(socket).map(|socket| socket.take_obstacles()).unwrap_or_default()
    }

    fn of(&self, thread: usize, to: SocketAddr) -> io::Result<&Socket> {
        let pair = &self.pairs[thread];
        match to {
            // the kernel answers EINVAL, which the fast path would take for an old kernel
            _ if to.port() == 0 => Err(io::ErrorKind::InvalidInput.into()),
            SocketAddr::V4(_) => Ok(&pair.v4),
            SocketAddr::V6(_) => pair.v6.as_ref().ok_or_else(|| io::ErrorKind::NetworkUnreachable.into()),
        }
    }
}

impl Pair {
    fn bind(port: u16, offload: bool) -> io::Result<Self> {
        let v4 = Socket::bind((Ipv4Addr::UNSPECIFIED, port).into(), offload)?;
        let v6 = Socket::bind((Ipv6Addr::UNSPECIFIED, port).into(), offload);
        Ok(Self { v4, v6: if_family_exists(v6)? })
    }

    /// Binds to a port whose sockets are shared.
    fn join(port: u16, offload: bool) -> io::Result<Self> {
        let v4 = Socket::join((Ipv4Addr::UNSPECIFIED, port).into(), offload)?;
        let v6 = Socket::join((Ipv6Addr::UNSPECIFIED, port).into(), offload);
        Ok(Self { v4, v6: if_family_exists(v6)? })
    }

    /// Lets others of this user bind to the same port.
    fn share(&self) -> io::Result<()> {
        self.v4.share()?;
        self.v6.as_ref().map_or(Ok(()), Socket::share)
    }
}

/// A socket to send by. An auxiliary one stays open as long as somebody is about to use it.
pub(crate) enum Way<'a> {
    Own(Arc<Socket>),
    Shared(&'a Socket),
}

impl Deref for Way<'_> {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        match self {
            Self::Own(socket) => socket,
            Self::Shared(socket) => socket,
        }
    }
}

fn send(socket: &Socket, datagram: &Datagram<'_>) -> io::Result<()> {
    match datagram.ttl {
        None => socket.send(datagram.to, datagram.bytes),
        Some(ttl) => socket.send_with_ttl(datagram.to, ttl, datagram.bytes),
    }
}

fn if_family_exists(socket: io::Result<Socket>) -> io::Result<Option<Socket>> {
    match socket {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if socket::family_is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Another program would have to hold the IPv6 side of this many random ports.
const BIND_TRIES: usize = 16;

#[cfg(test)]
mod tests;
