//! Whose WebSocket is whose: how many there may be, and which loopback socket stands for which client.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::app::App;
use crate::limits::{SourceLimit, canonical, prefix};

/// Every open WebSocket.
#[derive(Debug)]
pub struct Tunnels(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Our own QUIC listener and relay, once they are open.
    services: Option<[SocketAddr; 2]>,
    limit: SourceLimit,
    /// Open ones by the source's prefix.
    by_source: HashMap<u64, usize>,
    /// By the local address of the socket towards the QUIC listener.
    by_socket: HashMap<SocketAddr, Known>,
}

#[derive(Debug)]
struct Known {
    client: IpAddr,
    proved: watch::Sender<bool>,
}

/// Why there is no WebSocket for this client now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// There are as many as this server holds.
    #[error("too many of these are open; try again later")]
    Full,
    /// The other services are not open yet.
    #[error("the server is starting")]
    NotServing,
    /// No socket is left.
    #[error("the server cannot open another one now")]
    Socket(#[from] io::Error),
    /// This source has its share.
    #[error("too many of these from your address; try again later")]
    TooMany,
}

/// The loopback ends of one WebSocket; given back when dropped.
pub(super) struct Ends {
    /// Towards the QUIC listener.
    pub(super) control: UdpSocket,
    /// Towards the relay.
    pub(super) relay: UdpSocket,
    /// Turns true when a device has proved itself through it.
    pub(super) proved: watch::Receiver<bool>,
    _place: Place,
}

struct Place {
    app: App,
    source: u64,
    /// The two sockets' own addresses.
    local: [SocketAddr; 2],
}

impl Tunnels {
    /// None open, and none may be before `serve`.
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            services: None,
            limit: SourceLimit::new(PER_SECOND, BURST, now),
            by_source: HashMap::new(),
            by_socket: HashMap::new(),
        }))
    }

    /// The services are open, on these sockets.
    pub fn serve(&self, control: SocketAddr, relay: SocketAddr) {
        self.lock().services = Some([control, relay]);
    }

    /// Makes the ends for a client's WebSocket.
    pub(super) async fn open(app: &App, client: IpAddr) -> Result<Ends, Refusal> {
        let [control, relay] = app.tunnels().admit(client)?;
        let (control, relay) = (connect(control).await?, connect(relay).await?);
        let local = [control.local_addr()?, relay.local_addr()?];
        let proved = app.tunnels().register(client, local[0]);
        Ok(Ends { control, relay, proved, _place: Place { app: app.clone(), source: prefix(client), local } })
    }

    /// The client behind a connection to the QUIC listener, if it is one of ours.
    pub(in crate::control) fn client(&self, remote: SocketAddr) -> Option<IpAddr> {
        self.lock().by_socket.get(&canonical(remote)).map(|known| known.client)
    }

    /// A device proved itself on the connection from this address.
    pub(in crate::control) fn prove(&self, remote: SocketAddr) {
        if let Some(known) = self.lock().by_socket.get(&canonical(remote)) {
            known.proved.send_replace(true);
        }
    }

    fn admit(&self, client: IpAddr) -> Result<[SocketAddr; 2], Refusal> {
        let mut state = self.lock();
        let services = state.services.ok_or(Refusal::NotServing)?;
        if state.by_socket.len() >= MAX_OPEN {
            return Err(Refusal::Full);
        }
        let open = state.by_source.get(&prefix(client)).copied().unwrap_or(0);
        if open >= MAX_PER_SOURCE || !state.limit.allow(client, Instant::now()) {
            return Err(Refusal::TooMany);
        }
        Ok(services)
    }

    fn register(&self, client: IpAddr, local: SocketAddr) -> watch::Receiver<bool> {
        let (proved, receiver) = watch::channel(false);
        let mut state = self.lock();
        *state.by_source.entry(prefix(client)).or_default() += 1;
        state.by_socket.insert(local, Known { client, proved });
        receiver
    }

    fn forget(&self, source: u64, local: SocketAddr) {
        let mut state = self.lock();
        state.by_socket.remove(&local);
        if let Some(open) = state.by_source.get_mut(&source) {
            *open -= 1;
            if *open == 0 {
                state.by_source.remove(&source);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the registry")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let [control, relay] = self.local;
        self.app.tunnels().forget(self.source, control);
        // the next socket may get the same port, and must not inherit what was bound to it
        self.app.hub().unbind_relay(relay);
    }
}

/// A socket that speaks to one of our own alone.
async fn connect(service: SocketAddr) -> io::Result<UdpSocket> {
    let target = reachable(service);
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target).await?;
    Ok(socket)
}

/// Where a socket is reached from its own host: one that listens everywhere, on the loopback interface.
fn reachable(service: SocketAddr) -> SocketAddr {
    match service.ip() {
        // dual-stack or not, an unspecified socket of either family takes this
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, service.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, service.port()).into(),
        IpAddr::V4(_) | IpAddr::V6(_) => service,
    }
}

/// Each takes three descriptors: more than a mesh of thousands has behind such networks, within what a host gives.
const MAX_OPEN: usize = 4096;
/// A company's proxy may stand for a hundred devices.
const MAX_PER_SOURCE: usize = 128;
/// As the QUIC listener: all of them return at once after an outage.
const PER_SECOND: f32 = 10.0;
const BURST: f32 = 200.0;
