//! By which way a server is reached: UDP if it answers, else a WebSocket; and the better one again as soon as there is one.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use quinn::{Connection, Endpoint, VarInt};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::client::Gate;
use super::connection::{Inside, Servers};
use super::proxy::Proxies;
use super::reach::{Unreached, attempt, connect, resolve};
use super::tunnel::Tunnel;
use super::watch::{Progress, next_try};
use super::{ServerPlace, TUNNEL_WITHIN, random};

/// A server that answered.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) connection: Connection,
    /// What it is inside of, if UDP is blocked.
    pub(super) tunnel: Option<Tunnel>,
    /// UDP is not blocked but between here and the server's relay.
    pub(super) is_detour: bool,
}

/// What reaching a server takes.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) config: &'a quinn::ClientConfig,
    pub(super) gate: &'a Gate,
    pub(super) proxies: &'a Proxies,
    pub(super) place: &'a ServerPlace,
    /// Where its web server is by now.
    pub(super) web: &'a str,
    /// All servers of the mesh, as the last one in use told.
    pub(super) servers: &'a watch::Receiver<Servers>,
}

impl Reached {
    /// What others may know of the WebSocket.
    pub(super) fn inside(&self) -> Option<Inside> {
        let Self { tunnel, is_detour, .. } = self;
        tunnel.as_ref().map(|tunnel| Inside { relay: tunnel.relay, via: tunnel.via, is_detour: *is_detour })
    }

    /// Waits until the WebSocket ends; for ever, if there is none.
    pub(super) async fn cut(&self) {
        match &self.tunnel {
            Some(tunnel) => tunnel.ended().await,
            None => pending().await,
        }
    }
}

impl Search<'_> {
    /// Connects by UDP, or after `head_start` or as soon as that fails by whichever way is first.
    pub(super) async fn reach(&self, head_start: Duration) -> Result<Reached, Unreached> {
        let (udp, web, late) = (self.by_udp(), self.by_websocket(), sleep(head_start));
        tokio::pin!(udp, web, late);
        let (mut udp_failure, mut web_failure, mut both) = (None, None, false);
        loop {
            tokio::select! {
                outcome = &mut udp, if udp_failure.is_none() => match outcome {
                    Ok(connection) => return Ok(Reached { connection, tunnel: None, is_detour: false }),
                    Err(unreached) => udp_failure = Some(unreached),
                },
                outcome = &mut web, if (both || udp_failure.is_some()) && web_failure.is_none() => match outcome {
                    Ok(reached) => return Ok(reached),
                    Err(unreached) => web_failure = Some(unreached),
                },
                () = &mut late, if !both => both = true,
            }
            if let (Some(udp), Some(web)) = (&udp_failure, &web_failure) {
                return Err(join_failures(udp, web));
            }
        }
    }

    /// Connects by UDP alone.
    pub(super) async fn by_udp(&self) -> Result<Connection, Unreached> {
        let addresses = self.resolve().await?;
        self.gate.admit(&addresses);
        connect(self.endpoint, self.config, &addresses).await
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, Unreached> {
        let told = self.servers.borrow().names.clone();
        resolve(self.place, &told).await
    }

    /// Waits for a better way than the one in use: UDP, while that is a WebSocket; any, while that is silent; a WebSocket,
    /// when the relay is not reached by UDP.
    pub(super) async fn find_better(
        &self,
        current: &Reached,
        doubts: watch::Receiver<Option<Progress>>,
        hurry: &Notify,
        relays_silent: watch::Receiver<bool>,
    ) -> Reached {
        match current.tunnel {
            Some(_) => {
                if current.is_detour {
                    // a firewall that lets all UDP out but the relay's will not think better of it on this network
                    hurry.notified().await;
                }
                self.return_to_udp(hurry).await
            }
            None => tokio::select! {
                found = self.replace_silent(&current.connection, doubts) => found,
                found = self.go_around(relays_silent) => found,
                found = self.replace_stopping(&current.connection) => found,
            },
        }
    }

    async fn go_around(&self, mut relays_silent: watch::Receiver<bool>) -> Reached {
        loop {
            if relays_silent.wait_for(|silent| *silent).await.is_err() {
                // nobody says any more: whoever waits for us is about to stop
                pending().await
            }
            debug!("the relay does not answer by UDP: a WebSocket is opened");
            match self.by_websocket().await {
                Ok(reached) => return Reached { is_detour: true, ..reached },
                Err(unreached) => debug!(%unreached, "there is no way around"),
            }
            sleep(DETOUR_AGAIN).await;
        }
    }

    /// Waits until the server asks to be left, and reaches another one.
    async fn replace_stopping(&self, current: &Connection) -> Reached {
        let mut servers = self.servers.clone();
        if servers.wait_for(|servers| servers.leave).await.is_err() {
            pending().await
        }
        debug!("the server is stopping: another one is looked for");
        let stopping = current.remote_address();
        let stopping = SocketAddr::new(stopping.ip().to_canonical(), stopping.port());
        loop {
            if let Ok(mut addresses) = self.resolve().await {
                addresses.retain(|address| *address != stopping);
                self.gate.admit(&addresses);
                if let Ok(connection) = connect(self.endpoint, self.config, &addresses).await {
                    return Reached { connection, tunnel: None, is_detour: false };
                }
            }
            // none of the others answers: when this one is gone, all are tried as ever
            sleep(next_try(0, random())).await;
        }
    }

    async fn return_to_udp(&self, hurry: &Notify) -> Reached {
        let mut tries = 0;
        loop {
            tokio::select! {
                () = sleep(next_try(tries, random())) => tries += 1,
                () = hurry.notified() => tries = 0,
            }
            if let Ok(connection) = self.by_udp().await {
                return Reached { connection, tunnel: None, is_detour: false };
            }
        }
    }

    async fn replace_silent(&self, current: &Connection, mut doubts: watch::Receiver<Option<Progress>>) -> Reached {
        loop {
            if doubts.changed().await.is_err() {
                // nobody doubts any more: whoever waits for us is about to stop
                pending().await
            }
            let Some(doubted) = *doubts.borrow_and_update() else { continue };
            debug!("the server is silent: another way is looked for");
            let Ok(found) = self.reach(HEAD_START_IN_DOUBT).await else { continue };
            if !doubted.is_answered(current) {
                return found;
            }
            found.connection.close(VarInt::from_u32(0), b"");
        }
    }

    async fn by_websocket(&self) -> Result<Reached, Unreached> {
        let failed = |why: String| {
            debug!(why, "the server cannot be reached through a WebSocket");
            Unreached::SilentBothWays { udp: String::new(), web: self.web.to_owned(), why }
        };
        // our own socket's port; it is there, for QUIC goes over it
        let port = self.endpoint.local_addr().map_err(|error| failed(error.to_string()))?.port();
        let opening = Tunnel::open(self.place, self.web, self.proxies, port);
        let tunnel = match timeout(TUNNEL_WITHIN, opening).await {
            Ok(opened) => opened.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed("it takes too long".to_owned())),
        };
        self.gate.admit(&[tunnel.control]);
        match attempt(self.endpoint, self.config.clone(), tunnel.control).await {
            Ok(connection) => Ok(Reached { connection, tunnel: Some(tunnel), is_detour: false }),
            Err(Unreached::WrongKey(_)) => Err(Unreached::WrongKey(self.web.to_owned())),
            Err(_) => Err(failed("nobody answers inside".to_owned())),
        }
    }
}

/// A wrong key is worth more to the reader than a silent address.
fn join_failures(udp: &Unreached, web: &Unreached) -> Unreached {
    match (udp, web) {
        (Unreached::WrongKey(_), _) => udp.clone(),
        (Unreached::Silent(udp) | Unreached::Name(udp), Unreached::SilentBothWays { web, why, .. }) => {
            Unreached::SilentBothWays { udp: udp.clone(), web: web.clone(), why: why.clone() }
        }
        _ => web.clone(),
    }
}

/// A web server that did not answer may be starting.
const DETOUR_AGAIN: Duration = Duration::from_secs(30);
/// UDP's lead when a connection in use is silent: it has had its second.
const HEAD_START_IN_DOUBT: Duration = Duration::from_millis(500);
