//! One connection: says who we are, then carries messages both ways until it ends.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};
use warren_proto::control::{
    DecodeError, EXPORTER_LABEL, Enroll, Hello, PROTOCOL, Refused, ToAgent, ToServer, proof_input,
};

use super::frame::{self, FrameError};
use super::{Event, Opening, SILENCE};
use crate::identity::Identity;

/// A live connection, for those who want to know of it.
#[derive(Clone, Debug)]
pub struct Link {
    connection: Connection,
}

impl Link {
    /// Smoothed round-trip time.
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// The server's address.
    pub fn server(&self) -> SocketAddr {
        let address = self.connection.remote_address();
        // quinn speaks of IPv4 addresses as IPv6 ones, for its socket calls itself one.
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// It broke, or the server made no sense.
    Broke,
    /// Nobody wants it any more.
    Dropped,
    /// The server refused.
    Refused(Refused),
}

/// Runs one connection to its end. `revision` is that of the map held, and follows the maps that come in.
pub(super) async fn run(
    connection: &Connection,
    opening: &Opening,
    identity: &Identity,
    revision: &mut u64,
    outgoing: &mut mpsc::Receiver<ToServer>,
    events: &mpsc::Sender<Event>,
) -> End {
    let Some((mut send, receive)) = open(connection, opening, identity, *revision).await else { return End::Broke };
    let watchdog = silence(connection);
    let reading = read_all(receive, revision, events);
    tokio::pin!(watchdog, reading);
    loop {
        tokio::select! {
            end = &mut reading => return end,
            () = &mut watchdog => {
                debug!("the server is silent");
                return End::Broke;
            }
            message = outgoing.recv() => {
                let Some(message) = message else {
                    let _ = send.finish();
                    return End::Dropped;
                };
                if let Err(error) = frame::write(&mut send, &message.encode()).await {
                    debug!(%error, "cannot send to the server");
                    // What the server last said, perhaps why it closes, is still to be read.
                    return reading.await;
                }
            }
        }
    }
}

async fn open(
    connection: &Connection,
    opening: &Opening,
    identity: &Identity,
    revision: u64,
) -> Option<(SendStream, RecvStream)> {
    let (mut send, receive) = connection.open_bi().await.ok()?;
    let mut exported = [0; 32];
    connection.export_keying_material(&mut exported, EXPORTER_LABEL, &[]).ok()?;
    let proof = identity.identity.sign(&proof_input(&exported));
    frame::write(&mut send, &first_message(opening, identity, proof, revision).encode()).await.ok()?;
    Some((send, receive))
}

fn first_message(opening: &Opening, identity: &Identity, proof: [u8; 64], revision: u64) -> ToServer {
    let agent_version = env!("CARGO_PKG_VERSION").to_owned();
    let os = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    match opening {
        Opening::Enroll { secret, hostname } => ToServer::Enroll(Enroll {
            protocol: PROTOCOL,
            secret: secret.to_vec(),
            identity_key: identity.identity.public(),
            static_key: identity.static_secret.public(),
            proof,
            hostname: hostname.clone(),
            os,
            agent_version,
        }),
        Opening::Hello(node) => {
            ToServer::Hello(Hello { protocol: PROTOCOL, node: *node, proof, revision, agent_version, os })
        }
    }
}

async fn read_all(mut receive: RecvStream, revision: &mut u64, events: &mpsc::Sender<Event>) -> End {
    loop {
        let bytes = match frame::read(&mut receive).await {
            Ok(bytes) => bytes,
            Err(FrameError::Length) => {
                warn!("the server sent a message longer than allowed");
                return End::Broke;
            }
            Err(error @ (FrameError::Closed | FrameError::Connection(_))) => {
                debug!(%error, "the connection to the server ended");
                return End::Broke;
            }
        };
        match ToAgent::decode(&bytes) {
            Ok(ToAgent::Refused(refused)) => return End::Refused(refused),
            Ok(message) => {
                if let ToAgent::Map(map) = &message {
                    *revision = map.revision;
                }
                if events.send(Event::Message(Box::new(message))).await.is_err() {
                    return End::Dropped;
                }
            }
            Err(DecodeError::UnknownBody) => debug!("the server sent a message of a kind this version does not know"),
            Err(error @ (DecodeError::Encoding | DecodeError::Field(_) | DecodeError::Limit(_))) => {
                warn!(%error, "the server sent a message that makes no sense");
                return End::Broke;
            }
        }
    }
}

/// Ends when we have sent for `SILENCE` and heard nothing. QUIC itself would wait for the idle timeout.
async fn silence(connection: &Connection) {
    let (mut sent, mut received) = (0, 0);
    let mut waiting_since: Option<Instant> = None;
    loop {
        // often while an answer is due; while nothing is, as seldom as a late start of the wait allows
        sleep(if waiting_since.is_some() { SILENCE / 5 } else { SILENCE / 2 }).await;
        let stats = connection.stats();
        if stats.udp_rx.datagrams != received {
            waiting_since = None;
        } else if stats.udp_tx.datagrams != sent {
            waiting_since = waiting_since.or_else(|| Some(Instant::now()));
        }
        (sent, received) = (stats.udp_tx.datagrams, stats.udp_rx.datagrams);
        if waiting_since.is_some_and(|since| since.elapsed() >= SILENCE) {
            return;
        }
    }
}
