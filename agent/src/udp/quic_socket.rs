//! The agent's UDP port as quinn sees it: only datagrams of the rendezvous come in, sends leave by the same sockets.
//!
//! The data plane's inbound thread feeds it through a bounded queue; what does not fit is dropped and counted, as a
//! full socket buffer would do. Retransmission is QUIC's business.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::mpsc;
use warren_proto::io::{Discard, Ecn};

use super::Sockets;

/// Makes quinn's view of `sockets` and the feed that the data plane fills.
pub fn quic_socket(sockets: Arc<Sockets>) -> (Arc<QuicSocket>, QuicFeed) {
    let (sender, receiver) = mpsc::channel(QUEUE_LEN);
    let servers = Arc::new(ArcSwap::from_pointee(BTreeSet::new()));
    let socket = QuicSocket { sockets, servers: Arc::clone(&servers), queue: Mutex::new(receiver) };
    (Arc::new(socket), QuicFeed { servers, queue: sender })
}

/// An [`AsyncUdpSocket`] over the shared port.
///
/// It calls itself an IPv6 socket, so quinn maps IPv4 addresses into IPv6; they are mapped back here.
pub struct QuicSocket {
    sockets: Arc<Sockets>,
    servers: Arc<ArcSwap<BTreeSet<SocketAddr>>>,
    queue: Mutex<mpsc::Receiver<Received>>,
}

/// Where the inbound thread puts QUIC datagrams.
#[derive(Clone)]
pub struct QuicFeed {
    servers: Arc<ArcSwap<BTreeSet<SocketAddr>>>,
    queue: mpsc::Sender<Received>,
}

struct Received {
    from: SocketAddr,
    ecn: Ecn,
    bytes: Vec<u8>,
}

impl QuicSocket {
    /// Believes QUIC from these addresses alone. To be called before connecting to one of them.
    pub fn set_servers(&self, servers: impl IntoIterator<Item = SocketAddr>) {
        self.servers.store(Arc::new(servers.into_iter().map(canonical).collect()));
    }
}

impl QuicFeed {
    /// Takes a datagram that looks like QUIC, if it is from a rendezvous and there is room.
    pub(crate) fn offer(&self, from: SocketAddr, ecn: Ecn, bytes: &[u8]) -> Result<(), Discard> {
        if !self.servers.load().contains(&from) {
            return Err(Discard::Unsolicited);
        }
        let slot = self.queue.try_reserve().map_err(|_| Discard::QueueFull)?;
        slot.send(Received { from, ecn, bytes: bytes.to_vec() });
        Ok(())
    }
}

impl AsyncUdpSocket for QuicSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let ecn = transmit.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8));
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len());
        // An error here would end the endpoint, and to QUIC a datagram that was not sent is a lost one.
        let _ = self.sockets.forward(0, canonical(transmit.destination), ecn, transmit.contents, stride);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            match queue.poll_recv(cx) {
                Poll::Ready(Some(received)) => *meta = received.copy_to(buffer),
                Poll::Ready(None) | Poll::Pending => break,
            }
            count += 1;
        }
        if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv6Addr::UNSPECIFIED, self.sockets.port()).into())
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl fmt::Debug for QuicSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicSocket").field("port", &self.sockets.port()).finish_non_exhaustive()
    }
}

impl Received {
    fn copy_to(self, buffer: &mut [u8]) -> RecvMeta {
        let len = self.bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.bytes[..len]);
        let ecn = EcnCodepoint::from_bits(self.ecn.bits());
        RecvMeta { addr: mapped(self.from), len, stride: len, ecn, dst_ip: None }
    }
}

/// A send that would block is dropped, so there is never anything to wait for.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}

/// A control connection has few datagrams in flight; this is a flight of a full initial congestion window and more.
const QUEUE_LEN: usize = 256;
