//! The client that never gives up: connects, serves the connection, waits, connects again.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Endpoint, VarInt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::debug;
use warren_proto::control::{RefusedCode, ToServer};

use super::backoff::Backoff;
use super::connection::{self, End, Link};
use super::{Event, Opening, ServerPlace, Unreached, pin, reach};
use crate::identity::Identity;

/// What a client is made of.
pub struct Parts {
    /// Over the socket that all traffic shares, so that the server sees the address that peers must use.
    pub endpoint: Endpoint,
    /// Proves this device.
    pub identity: Arc<Identity>,
    /// Told the server's addresses before anything is sent there: only their datagrams are QUIC's.
    pub admit: Admit,
}

/// Lets datagrams of these addresses through to QUIC.
pub type Admit = Box<dyn Fn(&[SocketAddr]) + Send + Sync>;

/// A running client; it ends when this is dropped.
pub struct Client {
    outgoing: mpsc::Sender<ToServer>,
    events: mpsc::Receiver<Event>,
    opening: watch::Sender<Opening>,
    link: watch::Receiver<Option<Link>>,
    hurry: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Client {
    /// Starts to connect.
    pub fn start(parts: Parts, place: ServerPlace, opening: Opening) -> Self {
        let (outgoing, outgoing_end) = mpsc::channel(MAX_OUTGOING);
        let (events_end, events) = mpsc::channel(MAX_EVENTS);
        let (opening, opening_end) = watch::channel(opening);
        let (link_end, link) = watch::channel(None);
        let hurry = Arc::new(Notify::new());
        let runner = Runner {
            parts,
            place,
            opening: opening_end,
            outgoing: outgoing_end,
            events: events_end,
            link: link_end,
            hurry: Arc::clone(&hurry),
            revision: 0,
        };
        Self { outgoing, events, opening, link, hurry, task: tokio::spawn(runner.run()) }
    }

    /// The next event; `None` once the server has refused for good.
    pub async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Sends a message if there is room; says whether there was. What is queued while disconnected is thrown away, for
    /// a new connection starts from the state of that moment.
    pub fn send(&self, message: ToServer) -> bool {
        self.outgoing.try_send(message).is_ok()
    }

    /// Says how the next connections open: after an enrolment, with the new name.
    pub fn set_opening(&self, opening: Opening) {
        self.opening.send_replace(opening);
    }

    /// The live connection.
    pub fn link(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    /// Ends a wait for the next attempt: the network changed, or the owner asks.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Ends the client, and its connection with a goodbye to the server.
    pub async fn close(self) {
        let Self { outgoing, events, task, .. } = self;
        drop((outgoing, events));
        let abort = task.abort_handle();
        if tokio::time::timeout(GOODBYE_WITHIN, task).await.is_err() {
            abort.abort();
        }
    }
}

struct Runner {
    parts: Parts,
    place: ServerPlace,
    opening: watch::Receiver<Opening>,
    outgoing: mpsc::Receiver<ToServer>,
    events: mpsc::Sender<Event>,
    link: watch::Sender<Option<Link>>,
    hurry: Arc<Notify>,
    revision: u64,
}

impl Runner {
    async fn run(mut self) {
        let config = pin::client_config(self.place.pin);
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.connect_and_serve(&config, &mut backoff).await {
                Ended::Finally => return,
                Ended::Lost(unreached) => {
                    if self.events.send(Event::Lost(unreached)).await.is_err() {
                        return;
                    }
                    backoff.next(random())
                }
                Ended::TurnedAway { for_long: true } => backoff.longest(random()),
                Ended::TurnedAway { for_long: false } => backoff.next(random()),
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.hurry.notified() => {}
                () = self.events.closed() => return,
            }
        }
    }

    async fn connect_and_serve(&mut self, config: &quinn::ClientConfig, backoff: &mut Backoff) -> Ended {
        let connection = tokio::select! {
            connection = reach_server(&self.parts, &self.place, config) => match connection {
                Ok(connection) => connection,
                Err(unreached) => return Ended::Lost(unreached),
            },
            () = self.events.closed() => return Ended::Finally,
        };
        // What was meant for an earlier connection means nothing on this one.
        while self.outgoing.try_recv().is_ok() {}
        let opening = self.opening.borrow_and_update().clone();
        let link = Link::new(connection.clone());
        self.link.send_replace(Some(link.clone()));
        let end = connection::run(
            &connection,
            &opening,
            &self.parts.identity,
            &mut self.revision,
            &mut self.outgoing,
            &self.events,
        )
        .await;
        self.link.send_replace(None);
        let was_heard = connection.stats().frame_rx.stream > 0;
        connection.close(VarInt::from_u32(0), b"");
        match end {
            End::Broke => {
                if was_heard {
                    backoff.reset();
                }
                Ended::Lost(Unreached::Broke(link.server().to_string()))
            }
            End::Dropped => Ended::Finally,
            End::Refused(refused) => {
                let retry = is_worth_retrying(refused.code, &opening);
                debug!(code = ?refused.code, retry, "the server refused");
                let is_busy = refused.code == RefusedCode::Unavailable;
                let told = self.events.send(Event::Refused { refused, retry }).await;
                if !retry || told.is_err() {
                    return Ended::Finally;
                }
                Ended::TurnedAway { for_long: !is_busy }
            }
        }
    }
}

/// How one attempt ended.
enum Ended {
    Finally,
    Lost(Unreached),
    TurnedAway { for_long: bool },
}

async fn reach_server(
    parts: &Parts,
    place: &ServerPlace,
    config: &quinn::ClientConfig,
) -> Result<quinn::Connection, Unreached> {
    let addresses = reach::resolve(place).await?;
    (parts.admit)(&addresses);
    reach::connect(&parts.endpoint, config, &addresses).await
}

/// Whether the same question may get another answer later. An unknown device may be one whose server was restored from
/// an older backup, and will be again from a newer; one that is enrolled keeps its tunnels until it is revoked.
fn is_worth_retrying(code: RefusedCode, opening: &Opening) -> bool {
    match code {
        RefusedCode::Proof | RefusedCode::Protocol => matches!(opening, Opening::Hello(_)),
        RefusedCode::DeviceUnknown
        | RefusedCode::RateLimited
        | RefusedCode::Replaced
        | RefusedCode::Unavailable
        | RefusedCode::Unspecified => true,
        RefusedCode::DeviceRevoked
        | RefusedCode::InviteExpired
        | RefusedCode::InviteUnknown
        | RefusedCode::InviteUsed
        | RefusedCode::NameTaken
        | RefusedCode::PoolExhausted => false,
    }
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

/// Messages of one burst: a path report for each of some hundred peers.
const MAX_OUTGOING: usize = 256;
/// The server may send a large map in many parts; the stream's own flow control holds back the rest.
const MAX_EVENTS: usize = 16;
/// Enough to get one packet out.
const GOODBYE_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
