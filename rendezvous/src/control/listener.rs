//! The control plane's socket: which connections may begin at all. Each admitted one becomes a task of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};
use quinn::{Endpoint, Incoming, TokioRuntime, VarInt};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use super::tunnel::observed;
use super::{connection, endpoint, tls};
use crate::app::App;
use crate::limits::SourceLimit;

/// Where the other services are, for agents' welcomes.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The relay's socket.
    pub relay: Option<SocketAddr>,
    /// The STUN sockets.
    pub stun: Vec<SocketAddr>,
    /// The host's addresses as the world knows them, looked up every now and then; empty when nobody said and a
    /// connection's own address is the best guess.
    pub public: Arc<Mutex<Vec<IpAddr>>>,
    /// The dashboard, which may be learned later.
    pub dashboard: Arc<Mutex<String>>,
}

impl Services {
    /// How an agent reaches one of our sockets: at the socket's own address if the whole world does, else at the public
    /// one (of the agent's family, if there are two), else where its control connection came in.
    pub(super) fn reachable(
        &self,
        socket: SocketAddr,
        observed: SocketAddr,
        local: Option<IpAddr>,
    ) -> Option<SocketAddr> {
        if is_global(socket.ip()) {
            return Some(socket);
        }
        let served = |ip: &IpAddr| socket.is_ipv6() || ip.is_ipv4();
        let known = self.known(socket);
        let same_family = known.iter().find(|ip| ip.is_ipv4() == observed.is_ipv4());
        let own = Some(socket.ip()).filter(|ip| !ip.is_unspecified());
        let local = own.or(local).map(|ip| ip.to_canonical()).filter(served);
        let ip = same_family.or_else(|| known.first()).copied().or(local)?;
        Some(SocketAddr::new(ip, socket.port()))
    }

    /// The addresses to be asked at one of our sockets for a view from outside: all that the public name has, for a NAT
    /// may look at the address a packet goes to, and for an agent on two families has a NAT on each.
    pub(super) fn vantage_points(
        &self,
        socket: SocketAddr,
        observed: SocketAddr,
        local: Option<IpAddr>,
    ) -> Vec<SocketAddr> {
        let first = self.reachable(socket, observed, local);
        let further = if is_global(socket.ip()) { Vec::new() } else { self.known(socket) };
        let further = further.into_iter().map(|ip| SocketAddr::new(ip, socket.port()));
        let mut points: Vec<_> = first.into_iter().collect();
        for point in further {
            if !points.contains(&point) {
                points.push(point);
            }
        }
        points.truncate(MAX_VANTAGE_POINTS);
        points
    }

    /// How the world reaches one of our sockets, as far as that can be said without knowing who asks.
    pub fn advertised(&self, socket: SocketAddr) -> Vec<SocketAddr> {
        let known: Vec<_> = self.known(socket).into_iter().map(|ip| SocketAddr::new(ip, socket.port())).collect();
        match socket.ip() {
            own if is_global(own) => vec![socket],
            own if known.is_empty() && !own.is_unspecified() => vec![socket],
            _ => known,
        }
    }

    /// The public addresses that a socket serves.
    fn known(&self, socket: SocketAddr) -> Vec<IpAddr> {
        let public = self.public.lock().expect("nothing panics while it holds the addresses");
        public.iter().copied().filter(|ip| socket.is_ipv6() || ip.is_ipv4()).collect()
    }
}

fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
    }
}

/// The control plane's listener.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
}

impl Listener {
    /// Opens the socket.
    pub fn bind(app: &App) -> Result<Self> {
        let listen = app.config().quic_listen();
        let socket = endpoint::bind(listen).with_context(|| format!("listen for agents on {listen} (UDP)"))?;
        let config = endpoint::config(app.server_key(), app.random());
        let server = tls::server_config(app.server_key())?;
        let endpoint = Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime))
            .with_context(|| format!("listen for agents on {listen} (UDP)"))?;
        Ok(Self { endpoint })
    }

    /// The socket's address.
    pub fn addr(&self) -> Result<SocketAddr> {
        self.endpoint.local_addr().context("read the control plane's address")
    }

    /// Admits connections until the listener is closed.
    pub async fn run(&self, app: &App, services: Services) {
        let services = Arc::new(services);
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let unproved = Arc::new(Semaphore::new(MAX_UNPROVED));
        let mut limit = SourceLimit::new(PER_SECOND, BURST, Instant::now());
        while let Some(incoming) = self.endpoint.accept().await {
            let source = observed(app, incoming.remote_address()).ip();
            let Some(incoming) = admit(incoming, source, &unproved, &mut limit) else { continue };
            let (Ok(place), Ok(trial)) =
                (Arc::clone(&connections).try_acquire_owned(), Arc::clone(&unproved).try_acquire_owned())
            else {
                incoming.refuse();
                continue;
            };
            let (app, services) = (app.clone(), Arc::clone(&services));
            let number = app.hub().number_connection();
            tokio::spawn(async move {
                let connected = async { incoming.accept()?.await };
                match timeout(connection::PROVE_WITHIN, connected).await {
                    Ok(Ok(connection)) => connection::serve(&app, &services, connection, number, trial).await,
                    Ok(Err(error)) => debug!(%error, "a control connection failed to begin"),
                    Err(_) => debug!("a control connection took too long to begin"),
                }
                drop(place);
            });
        }
    }

    /// Says goodbye to every agent; they return by themselves.
    pub async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(connection::CLOSE_STOPPING), b"the server is stopping");
        self.endpoint.wait_idle().await;
    }
}

/// Lets a connection attempt through, or makes it prove its address first, or drops it.
fn admit(incoming: Incoming, source: IpAddr, unproved: &Semaphore, limit: &mut SourceLimit) -> Option<Incoming> {
    let validated = incoming.remote_address_validated();
    if !validated && unproved.available_permits() < MAX_UNPROVED / 2 {
        // under load a handshake costs us nothing before the source has shown that it is not forged
        match incoming.retry() {
            Ok(()) => return None,
            Err(error) => {
                error.into_incoming().refuse();
                return None;
            }
        }
    }
    if !limit.allow(source, Instant::now()) {
        incoming.refuse();
        return None;
    }
    Some(incoming)
}

/// One would do for each family, and a second one shows what a NAT does with another address.
const MAX_VANTAGE_POINTS: usize = 4;
/// Twice what one server is meant for.
const MAX_CONNECTIONS: usize = 20_000;
/// Connections that have not proved who they are; at half of it, sources must prove their address.
const MAX_UNPROVED: usize = 512;
/// New connections per second from one source: a NAT may hide a hundred devices that all return after an outage.
const PER_SECOND: f32 = 10.0;
const BURST: f32 = 200.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn known_as(public: &[&str]) -> Services {
        let public = public.iter().map(|ip| ip.parse().unwrap()).collect();
        Services { public: Arc::new(Mutex::new(public)), ..Services::default() }
    }

    #[test]
    fn an_agent_may_ask_for_its_address_wherever_the_public_name_leads() {
        let told = |socket: &str, public: &[&str], observed: &str| -> Vec<String> {
            let points = known_as(public).vantage_points(socket.parse().unwrap(), observed.parse().unwrap(), None);
            points.iter().map(SocketAddr::to_string).collect()
        };
        let (v4, v6) = ("203.0.113.9:1", "[2001:db8::9]:1");
        let name = ["198.51.100.1", "198.51.100.2", "2001:db8::1"];

        let both = ["[2001:db8::1]:3478", "198.51.100.1:3478", "198.51.100.2:3478"];
        assert_eq!(told("[::]:3478", &name, v6), both);
        assert_eq!(told("0.0.0.0:3478", &name, v4), ["198.51.100.1:3478", "198.51.100.2:3478"]);
        assert_eq!(told("198.51.100.1:3478", &name, v4), ["198.51.100.1:3478"]);
        assert_eq!(told("[::]:3478", &["198.51.100.1"; 9], v4).len(), 1);
    }

    fn reachable(socket: &str, public: &[&str], observed: &str, local: &str) -> Option<String> {
        let services = known_as(public);
        let local = if local.is_empty() { None } else { Some(local.parse().unwrap()) };
        let addr = services.reachable(socket.parse().unwrap(), observed.parse().unwrap(), local);
        addr.map(|addr| addr.to_string())
    }

    #[test]
    fn an_agent_is_told_an_address_it_can_reach() {
        let (v4, v6) = ("203.0.113.9:1", "[2001:db8::9]:1");
        for (socket, public, observed, local, told) in [
            // the public name wins over what the socket is bound to behind a NAT, in the agent's family
            ("0.0.0.0:3480", &["198.51.100.1"][..], v4, "10.0.0.5", Some("198.51.100.1:3480")),
            ("10.0.0.5:3480", &["198.51.100.1"], v4, "10.0.0.5", Some("198.51.100.1:3480")),
            ("[::]:3480", &["198.51.100.1", "2001:db8::1"], v6, "", Some("[2001:db8::1]:3480")),
            ("0.0.0.0:3480", &["2001:db8::1", "198.51.100.1"], v6, "", Some("198.51.100.1:3480")),
            // a socket bound to a public address is there
            ("198.51.100.2:3480", &["198.51.100.1"], v4, "198.51.100.1", Some("198.51.100.2:3480")),
            // nobody said: where the agent came in
            ("0.0.0.0:3480", &[], v4, "10.0.0.5", Some("10.0.0.5:3480")),
            ("127.0.0.1:3480", &[], v4, "10.0.0.5", Some("127.0.0.1:3480")),
            ("0.0.0.0:3480", &[], v6, "2001:db8::1", None),
        ] {
            assert_eq!(reachable(socket, public, observed, local).as_deref(), told, "{socket} {public:?} {observed}");
        }
    }
}
