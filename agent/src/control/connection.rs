//! One connection: says who we are, then carries messages both ways until it ends.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;
use tracing::{debug, warn};
use warren_proto::control::{
    DecodeError, EXPORTER_LABEL, Enroll, Hello, PROTOCOL, Refused, ToAgent, ToServer, proof_input,
};

use super::frame::{self, FrameError};
use super::watch::{Progress, keep_vigil};
use super::{Event, Opening};
use crate::identity::Identity;

/// A live connection, for those who want to know of it.
#[derive(Clone, Debug)]
pub struct Link {
    connection: Connection,
    inside: Option<Inside>,
}

/// What QUIC goes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// UDP.
    Quic,
    /// A WebSocket, because UDP is blocked.
    WebSocket,
}

/// The WebSocket that a connection is inside of, as far as others see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Inside {
    /// Stands for the relay's address.
    pub(super) relay: SocketAddr,
    /// The other end of the TCP connection: the server, or a proxy.
    pub(super) via: SocketAddr,
    /// UDP is not blocked but between here and the server's relay.
    pub(super) is_detour: bool,
}

/// What the server told that outlives the connection.
#[derive(Debug)]
pub(super) struct Learnt {
    /// Revision of the map held.
    pub(super) revision: u64,
    /// Its web origin.
    pub(super) web: String,
    /// The mesh's servers; watched by whoever looks for another one.
    pub(super) servers: watch::Sender<Servers>,
}

/// The servers of a mesh that has several.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Servers {
    /// "host:port" of each.
    pub(super) names: Vec<String>,
    /// The one in use stops soon.
    pub(super) leave: bool,
}

impl Link {
    /// Smoothed round-trip time.
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// What it goes over.
    pub fn transport(&self) -> Transport {
        if self.inside.is_some() { Transport::WebSocket } else { Transport::Quic }
    }

    /// The server's address, or that of a proxy before it.
    pub fn server(&self) -> SocketAddr {
        if let Some(inside) = self.inside {
            return inside.via;
        }
        let address = self.connection.remote_address();
        // quinn speaks of IPv4 addresses as IPv6 ones, for its socket calls itself one.
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// The server's UDP address; `None` inside a WebSocket, which says nothing of it.
    pub fn udp_server(&self) -> Option<SocketAddr> {
        (self.transport() == Transport::Quic).then(|| self.server())
    }

    /// Whether it goes through a WebSocket for the relay's sake alone.
    pub fn is_detour(&self) -> bool {
        self.inside.is_some_and(|inside| inside.is_detour)
    }

    /// An address as people are to see it: the near end of a WebSocket as the far one.
    pub fn shown(&self, address: SocketAddr) -> SocketAddr {
        self.inside.filter(|inside| inside.relay == address).map_or(address, |inside| inside.via)
    }

    pub(super) fn new(connection: Connection, inside: Option<Inside>) -> Self {
        Self { connection, inside }
    }
}

impl Transport {
    /// The stable word used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::WebSocket => "websocket",
        }
    }
}

/// Who speaks, and what is said first.
#[derive(Clone, Copy)]
pub(super) struct Speaker<'a> {
    pub(super) opening: &'a Opening,
    pub(super) identity: &'a Identity,
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

/// Runs one connection to its end. `doubt` is told when it is silent for longer than usual.
pub(super) async fn run(
    link: &Link,
    speaker: Speaker<'_>,
    learnt: &mut Learnt,
    outgoing: &mut mpsc::Receiver<ToServer>,
    events: &mpsc::Sender<Event>,
    doubt: &watch::Sender<Option<Progress>>,
) -> End {
    let Some((mut send, receive)) = open(&link.connection, speaker, learnt.revision).await else { return End::Broke };
    let wrote = Notify::new();
    let servers = learnt.servers.subscribe();
    let vigil = keep_vigil(&link.connection, &wrote, doubt);
    let reading = read_all(receive, link.inside, learnt, events);
    tokio::pin!(vigil, reading);
    loop {
        tokio::select! {
            end = &mut reading => return end,
            () = &mut vigil => {
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
                wrote.notify_one();
            }
            // where there is another server to go to, it is worth a packet to learn soon that this one is gone
            () = sleep(ALIVE_EVERY), if servers.borrow().names.len() > 1 => {
                if frame::write(&mut send, &ToServer::Alive.encode()).await.is_err() {
                    return reading.await;
                }
                wrote.notify_one();
            }
        }
    }
}

async fn open(connection: &Connection, speaker: Speaker<'_>, revision: u64) -> Option<(SendStream, RecvStream)> {
    let Speaker { opening, identity } = speaker;
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
            secret: secret.as_ref().map(|secret| secret.to_vec()).unwrap_or_default(),
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

async fn read_all(
    mut receive: RecvStream,
    inside: Option<Inside>,
    learnt: &mut Learnt,
    events: &mpsc::Sender<Event>,
) -> End {
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
            Ok(mut message) => {
                // no map counts as held that does not arrive: from here on nothing waits
                let Ok(place) = events.reserve().await else { return End::Dropped };
                learn(&message, learnt);
                if let Some(inside) = inside {
                    bring_inside(&mut message, inside.relay);
                }
                place.send(Event::Message(Box::new(message)));
            }
            Err(DecodeError::UnknownBody) => debug!("the server sent a message of a kind this version does not know"),
            Err(error @ (DecodeError::Encoding | DecodeError::Field(_) | DecodeError::Limit(_))) => {
                warn!(%error, "the server sent a message that makes no sense");
                return End::Broke;
            }
        }
    }
}

fn learn(message: &ToAgent, learnt: &mut Learnt) {
    if let ToAgent::Map(map) = message {
        learnt.revision = map.revision;
    } else if let ToAgent::Welcome(welcome) = message
        && !welcome.dashboard.is_empty()
    {
        learnt.web.clone_from(&welcome.dashboard);
    } else if let ToAgent::Servers(told) = message {
        learnt.servers.send_replace(Servers { names: told.servers.clone(), leave: told.leave });
    }
}

/// Through a WebSocket the server's relay is reached at our own end of it; another server's is not reached at all.
fn bring_inside(message: &mut ToAgent, relay: SocketAddr) {
    if let ToAgent::Welcome(welcome) = message {
        welcome.relays.truncate(1);
        welcome.relays.iter_mut().for_each(|known| known.addr = relay);
    } else if let ToAgent::PairOpened(pair) = message {
        pair.relay = relay;
    } else if let ToAgent::Servers(told) = message {
        told.relays.clear();
    }
}

/// With what it takes to see that nobody answers and to reach another server, a dead one is left in less than ten seconds.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
