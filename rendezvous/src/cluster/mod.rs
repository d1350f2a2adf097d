//! Several servers that are one: replicas over one PostgreSQL.
//!
//! **What is shared, and how.** What must last is in the database; a change is seen by the others when `NOTIFY` says so, or at
//! the next look. Who is online, where, and what they say to each other is in memory and goes from replica to replica over
//! QUIC, never through the database: with the database away, everybody who is there can still meet. The server key and the
//! network key are files, the same in the data directory of each: whoever sets up a second replica copies `server.key` and
//! `network.key`. Sealing them in the database would need one more secret in the same place, to the same effect. Both sides
//! of a link prove the server key (`tls`), so that writing to the database makes nobody a replica.
//!
//! **Links.** Each replica dials each other one and tells it, in order, everything about the devices attached to itself:
//! first what there is, then what happens. So a link that broke is made good by making it again. A link that is silent for
//! three beats of two seconds ends, and with it the presence of all who were attached there. The `replica` table only says
//! whom to dial; no clock is compared.
//!
//! **Pairs.** Every replica knows all presence and all candidates, and one of them brings a pair together, by a rule that all
//! apply alike (`places`): the one that the lower device is attached to. Connect and Search are handed to it; what it says to a
//! device of another replica goes by way of that one; the relay channel is on its relay, where the tokens of all devices are
//! good. Two alternatives were not taken. One leader for all pairs is simpler to state, but who leads would be the database's
//! decision, and its death would be everybody's. A hash over the replicas moves most pairs whenever one comes or goes; with
//! this rule a pair moves only when one of its own devices does, which asks for it anew anyhow.
//!
//! **Agents** are told of all replicas and their relays (`ToAgent::Servers`), go to another one when theirs is silent, and are
//! asked to when it is stopping. Tunnels do not notice: direct paths need no server, and sessions are the agents' own.
//!
//! **Not here.** Two devices, attached to different replicas, neither of which gets UDP out, have no relay in common. Whoever
//! runs replicas behind one load balancer for the web does not have this; for others docs/operations.md names it.

mod link;
mod message;
mod places;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use quinn::{Endpoint, EndpointConfig, TokioRuntime, VarInt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::app::App;

pub(crate) use message::{Arrived, Body, Frame, Greeting, Left, Measured, Said, Tell, micros};
pub(crate) use places::{Place, Places, ReplicaId};

/// This server as a replica.
#[derive(Debug)]
pub(crate) struct Cluster {
    endpoint: Endpoint,
    /// Where others reach it.
    address: String,
}

impl Cluster {
    /// Opens the socket for other replicas; `None` if this server is to be alone.
    pub(crate) async fn bind(app: &App) -> Result<Option<Self>> {
        let Some(listen) = app.config().replica_listen else { return Ok(None) };
        let socket = std::net::UdpSocket::bind(listen)
            .with_context(|| format!("listen for other replicas on {listen} (UDP)"))?;
        let bound = socket.local_addr().context("read the replica listener's address")?;
        let server = tls::server_config(app.server_key())?;
        let mut endpoint = Endpoint::new(EndpointConfig::default(), Some(server), socket, Arc::new(TokioRuntime))
            .with_context(|| format!("listen for other replicas on {listen} (UDP)"))?;
        endpoint.set_default_client_config(tls::client_config(app.server_key())?);
        let address = address(app.config().replica_addr.as_deref(), bound)?;
        let cluster = Self { endpoint, address };
        cluster.check_key(app).await?;
        Ok(Some(cluster))
    }

    /// All replicas prove the same key, and agents pin it: another one here is a mistake that must not go unnoticed. One that
    /// was killed long ago, and that nobody was left to forget, is no reason.
    async fn check_key(&self, app: &App) -> Result<()> {
        let before = strangers(app).await?;
        if before.is_empty() {
            return Ok(());
        }
        sleep(BEAT * 3).await;
        if strangers(app).await?.iter().any(|(id, beat)| before.get(id) != Some(beat)) {
            bail!(
                "the other replicas on this database have another server key: copy server.key and network.key from one \
                 of their data directories to {}",
                app.config().data_dir.display()
            );
        }
        Ok(())
    }

    /// Keeps the links, until dropped.
    pub(crate) async fn run(&self, app: &App) {
        info!(address = self.address, "this server is a replica, reached by others at {}", self.address);
        tokio::join!(self.accept(app), self.find_others(app));
    }

    async fn accept(&self, app: &App) {
        while let Some(incoming) = self.endpoint.accept().await {
            let app = app.clone();
            tokio::spawn(async move {
                match timeout(link::GREET_WITHIN, async { incoming.accept()?.await }).await {
                    Ok(Ok(connection)) => link::hear(&app, &connection).await,
                    Ok(Err(error)) => debug!(%error, "a replica's link failed to begin"),
                    Err(_) => debug!("a replica's link took too long to begin"),
                }
            });
        }
    }

    /// Says that we are here, and dials whoever else says so.
    async fn find_others(&self, app: &App) {
        let own = app.hub().replica();
        let mut known: BTreeMap<ReplicaId, Other> = BTreeMap::new();
        loop {
            if let Err(error) = app.store().beat(own, &self.address, &app.server_key().pin()).await {
                debug!(%error, "cannot say that this replica is here; its links stay");
            } else if let Ok(rows) = app.store().replicas().await {
                let now = Instant::now();
                known.retain(|id, _| rows.iter().any(|row| row.id == *id));
                for row in rows.into_iter().filter(|row| row.id != own) {
                    let other = known.entry(row.id).or_insert_with(|| Other {
                        beat: row.beat,
                        at: now,
                        dialling: self.dial(app, row.id, row.address.clone()),
                    });
                    if row.beat != other.beat {
                        (other.beat, other.at) = (row.beat, now);
                    } else if now.duration_since(other.at) >= FORGET_AFTER
                        && let Err(error) = app.store().forget_replica(row.id).await
                    {
                        debug!(%error, "cannot forget a replica that has ended");
                    }
                }
            }
            sleep(BEAT).await;
        }
    }

    fn dial(&self, app: &App, other: ReplicaId, address: String) -> JoinHandle<()> {
        let (app, endpoint) = (app.clone(), self.endpoint.clone());
        tokio::spawn(async move {
            loop {
                match link::tell(&app, &endpoint, other, &address).await {
                    Ok(()) => {}
                    Err(error) => debug!(error = format!("{error:#}"), "no link to the replica at {address}"),
                }
                sleep(BEAT).await;
            }
        })
    }

    /// Ends the links, so that the others need not wait for silence.
    pub(crate) async fn close(&self, app: &App) {
        if let Err(error) = app.store().forget_replica(app.hub().replica()).await {
            warn!(%error, "cannot take this replica from the list; the others will");
        }
        self.endpoint.close(VarInt::from_u32(0), b"the server is stopping");
        self.endpoint.wait_idle().await;
    }
}

/// Whoever is listed with another key than ours, with the beat of each.
async fn strangers(app: &App) -> Result<BTreeMap<ReplicaId, u64>> {
    let others = app.store().replicas().await.context("read the other replicas")?;
    let strangers = others.into_iter().filter(|other| other.server_key != app.server_key().pin());
    Ok(strangers.map(|other| (other.id, other.beat)).collect())
}

/// A replica that is listed.
struct Other {
    beat: u64,
    /// When its beat was first seen.
    at: Instant,
    dialling: JoinHandle<()>,
}

impl Drop for Other {
    fn drop(&mut self) {
        self.dialling.abort();
    }
}

/// What was said, or the listener's own address where that says enough.
fn address(said: Option<&str>, bound: SocketAddr) -> Result<String> {
    match said {
        Some(said) => Ok(said.to_owned()),
        None if !bound.ip().is_unspecified() => Ok(bound.to_string()),
        None => bail!(
            "--replica-listen {bound} does not say where the others reach this server: add --replica-addr HOST:PORT"
        ),
    }
}

/// How often a replica says that it is there.
const BEAT: Duration = Duration::from_secs(2);
/// Long after its link has ended: a list with dead entries costs attempts to dial them, and nothing else.
const FORGET_AFTER: Duration = Duration::from_secs(30);
