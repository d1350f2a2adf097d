//! Control plane and relay inside a WebSocket, for networks that let no UDP out (docs/protocol.md section 6.1).
//!
//! Two loopback sockets stand for the rendezvous and its relay: QUIC and the packet path send to them as they would to
//! the real ones, and only our own UDP port may. What they are sent goes through the WebSocket and comes out at the
//! server's own loopback. Who the server is, QUIC proves inside; so any certificate will do for the TLS around it, be it
//! self-signed or that of a company's proxy, which learns nothing that a router on a UDP path would not.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tracing::debug;
use warren_proto::control::tunnel::{
    MAX_MESSAGE, PATH, PING_EVERY, Queue, SUBPROTOCOL, Service, Silence, Vigil, decode,
};

use super::ServerPlace;
use super::proxy::{Proxies, join, split_port};

/// An open WebSocket; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// Stands for the rendezvous's QUIC address.
    pub(super) control: SocketAddr,
    /// Stands for the relay's address.
    pub(super) relay: SocketAddr,
    /// The other end of the TCP connection: the server, or a proxy.
    pub(super) via: SocketAddr,
    ended: watch::Receiver<()>,
    task: JoinHandle<()>,
}

/// The origin of a web server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct WebOrigin<'a> {
    pub is_tls: bool,
    pub host: &'a str,
    pub port: u16,
}

impl Tunnel {
    /// Opens a WebSocket to a web origin, for the agent's UDP port.
    pub(super) async fn open(place: &ServerPlace, web: &str, proxies: &Proxies, udp_port: u16) -> io::Result<Self> {
        let origin = WebOrigin::parse(web).ok_or_else(|| io::Error::other("not the address of a web server"))?;
        let stream = match proxies.towards(origin.host, origin.is_tls) {
            Some(proxy) => {
                debug!(proxy = proxy.place(), "by way of a proxy");
                proxy.connect(origin.host, origin.port).await?
            }
            None => connect(&origin, &place.remembered).await?,
        };
        let via = stream.peer_addr()?;
        // a datagram must not wait for the next, nor behind a second of others in the kernel
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
        let [control, relay] = [local_end(udp_port).await?, local_end(udp_port).await?];
        let addresses = [control.local_addr()?, relay.local_addr()?];
        let (alive, ended) = watch::channel(());
        let task = if origin.is_tls {
            let name = ServerName::try_from(origin.host.to_owned()).map_err(io::Error::other)?;
            let bounded = |session: &mut rustls::ClientConnection| session.set_buffer_limit(Some(SEALED));
            let stream =
                TlsConnector::from(Arc::new(believing_any_certificate())).connect_with(name, stream, bounded).await?;
            start(upgrade(&origin, stream).await?, [control, relay], alive)
        } else {
            start(upgrade(&origin, stream).await?, [control, relay], alive)
        };
        Ok(Self { control: addresses[0], relay: addresses[1], via, ended, task })
    }

    /// Waits until the WebSocket is no more.
    pub(super) async fn ended(&self) {
        // nothing is ever sent: the sender's end is the task's
        let _ = self.ended.clone().changed().await;
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<'a> WebOrigin<'a> {
    /// Of a URL, wherever in it that leads.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (is_tls, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let place = rest.split(['/', '?', '#']).next()?;
        let (host, port) = split_port(place, if is_tls { 443 } else { 80 })?;
        Some(Self { is_tls, host, port })
    }

    /// "host:port", as a URL has it.
    pub fn authority(&self) -> String {
        join(self.host, self.port)
    }
}

/// Connects to an origin: to the server's addresses of before, if its name has none now.
async fn connect(origin: &WebOrigin<'_>, remembered: &[SocketAddr]) -> io::Result<TcpStream> {
    match tokio::net::lookup_host((origin.host, origin.port)).await {
        Ok(addresses) => TcpStream::connect(&*addresses.collect::<Vec<_>>()).await,
        Err(error) if remembered.is_empty() => Err(error),
        Err(_) => {
            let addresses = remembered.iter().map(|address| SocketAddr::new(address.ip(), origin.port));
            TcpStream::connect(&*addresses.collect::<Vec<_>>()).await
        }
    }
}

/// A socket that hears our own UDP port alone.
async fn local_end(udp_port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    // as much as the host allows; less only drops earlier
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER);
    socket.connect((Ipv4Addr::LOCALHOST, udp_port)).await?;
    Ok(socket)
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    origin: &WebOrigin<'_>,
    stream: S,
) -> io::Result<WebSocketStream<S>> {
    let scheme = if origin.is_tls { "wss" } else { "ws" };
    let url = format!("{scheme}://{}{PATH}", join(origin.host, origin.port));
    let mut request = url.into_client_request().map_err(io::Error::other)?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(io::Error::other)?;
    Ok(socket)
}

fn start<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: WebSocketStream<S>,
    [control, relay]: [UdpSocket; 2],
    alive: watch::Sender<()>,
) -> JoinHandle<()> {
    let (sink, stream) = socket.split();
    let mut ticks = interval(PING_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let vigil = Vigil::new(Instant::now());
    let carrier =
        Carrier { sink, stream, control, relay, queue: Queue::default(), busy: false, vigil, ticks, invalid: 0 };
    tokio::spawn(async move {
        let dropped = carrier.run().await;
        debug!(dropped, "the WebSocket ended");
        drop(alive);
    })
}

/// Moves datagrams between the WebSocket and the loopback sockets. The stream takes them in batches; while it does not,
/// what arrives waits in a queue that is bounded in bytes and in time, and is dropped there as a router would.
struct Carrier<S> {
    sink: SplitSink<WebSocketStream<S>, Message>,
    stream: SplitStream<WebSocketStream<S>>,
    control: UdpSocket,
    relay: UdpSocket,
    queue: Queue,
    /// Whether a batch is on its way into the stream.
    busy: bool,
    vigil: Vigil,
    ticks: Interval,
    invalid: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier<S> {
    /// Carries until the WebSocket ends; returns how many datagrams were dropped.
    async fn run(mut self) -> u64 {
        loop {
            let going = tokio::select! {
                message = self.stream.next() => self.take(message),
                ready = self.control.readable() => {
                    ready.is_ok() && receive(Service::Control, &self.control, &mut self.queue)
                }
                ready = self.relay.readable() => ready.is_ok() && receive(Service::Relay, &self.relay, &mut self.queue),
                flushed = flush(&mut self.sink, self.busy) => {
                    self.busy = false;
                    flushed.is_ok()
                }
                _ = self.ticks.tick() => self.look().await,
            };
            if !going || !self.fill().await {
                return self.queue.dropped() + self.invalid;
            }
        }
    }

    /// A message of the server; false when it was the last.
    fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> bool {
        let Some(Ok(message)) = message else { return false };
        self.vigil.hear(Instant::now());
        match message {
            Message::Binary(message) => {
                // a full socket buffer: lost, as on any network
                let sent = match decode(&message) {
                    Ok((Service::Control, datagram)) => self.control.try_send(datagram),
                    Ok((Service::Relay, datagram)) => self.relay.try_send(datagram),
                    Err(_) => Err(io::ErrorKind::InvalidData.into()),
                };
                self.invalid += u64::from(sent.is_err());
                true
            }
            // the pong to a ping is sent by the library
            Message::Ping(_) | Message::Pong(_) => true,
            Message::Close(_) | Message::Frame(_) | Message::Text(_) => false,
        }
    }

    /// Asks a silent other end whether it is there; false when it is not.
    async fn look(&mut self) -> bool {
        match self.vigil.look(Instant::now()) {
            Silence::Bearable => true,
            // what is under way asks as well
            Silence::Ask if self.busy => true,
            Silence::Ask => {
                self.busy = true;
                self.sink.feed(Message::Ping(Bytes::new())).await.is_ok()
            }
            Silence::Over => false,
        }
    }

    /// Gives the stream the next batch when it has taken the one before.
    async fn fill(&mut self) -> bool {
        if self.busy {
            return true;
        }
        for message in self.queue.pop_batch(Instant::now()) {
            self.busy = true;
            if self.sink.feed(Message::Binary(message.into())).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Done when the stream has taken all it was given; never, when it was given nothing.
async fn flush<S: AsyncRead + AsyncWrite + Unpin>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    busy: bool,
) -> Result<(), tungstenite::Error> {
    if busy { sink.flush().await } else { pending().await }
}

/// Takes what we have sent. An error is an ICMP answer to an earlier datagram.
fn receive(service: Service, socket: &UdpSocket, queue: &mut Queue) -> bool {
    let mut buffer = [0; MAX_MESSAGE];
    for _ in 0..AT_ONCE {
        match socket.try_recv(&mut buffer) {
            Ok(len) => queue.push(service, &buffer[..len], Instant::now()),
            Err(_) => break,
        }
    }
    true
}

/// TLS towards a web server of whom nothing is believed: what matters is proved inside, or is a hint for a person.
pub fn believing_any_certificate() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Anyone(provider.signature_verification_algorithms.supported_schemes()));
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth()
}

/// Believes every certificate: this TLS is there because the network wants to see some, and keeps no secret.
#[derive(Debug)]
struct Anyone(Vec<SignatureScheme>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// What the kernel may hold that is not sent yet, beside what is in flight: an eighth of a second at 1 Mb/s.
const UNSENT: u32 = 16 * 1024;
/// What TLS may hold in front of the kernel.
const SEALED: usize = 32 * 1024;
/// A few runs of packets as the packet path sends them.
const SOCKET_BUFFER: usize = 2 << 20;
/// One run of packets.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        let origin = |is_tls, host, port| Some(WebOrigin { is_tls, host, port });

        assert_eq!(WebOrigin::parse("https://vpn.example.org"), origin(true, "vpn.example.org", 443));
        assert_eq!(WebOrigin::parse("https://192.0.2.1:8443/devices"), origin(true, "192.0.2.1", 8443));
        assert_eq!(WebOrigin::parse("http://[2001:db8::1]"), origin(false, "2001:db8::1", 80));
        for bad in ["", "vpn.example.org", "ftp://a", "https://", "https://a b", "https://[::1", "https://a:99999"] {
            assert_eq!(WebOrigin::parse(bad), None, "{bad}");
        }
    }
}
