//! The client that never gives up: connects, serves the connection, goes over to a better one, waits, connects again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Endpoint, VarInt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, info};
use warren_proto::control::{RefusedCode, ToServer};

use super::backoff::Backoff;
use super::connection::{self, End, Learnt, Link, Speaker};
use super::proxy::Proxies;
use super::search::{Reached, Search};
use super::{Event, Opening, ServerPlace, Unreached, pin, random};
use crate::identity::Identity;

/// What a client is made of.
pub struct Parts {
    /// Over the socket that all traffic shares, so that the server sees the address that peers must use.
    pub endpoint: Endpoint,
    /// Proves this device.
    pub identity: Arc<Identity>,
    /// Told the server's addresses before anything is sent there: only their datagrams are QUIC's.
    pub admit: Admit,
    /// On the way to its web server.
    pub proxies: Proxies,
}

/// Lets datagrams of these addresses through to QUIC.
pub type Admit = Box<dyn Fn(&[SocketAddr]) + Send + Sync>;

/// Lets the server's addresses of late through: the connection in use may go to any of them.
pub(super) struct Gate {
    admit: Admit,
    known: Mutex<Vec<SocketAddr>>,
}

impl Gate {
    /// Adds addresses that are about to be tried.
    pub(super) fn admit(&self, addresses: &[SocketAddr]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|address| !addresses.contains(address));
        known.splice(0..0, addresses.iter().copied());
        known.truncate(MAX_KNOWN);
        (self.admit)(&known);
    }
}

/// A running client; it ends when this is dropped.
pub struct Client {
    outgoing: mpsc::Sender<ToServer>,
    events: mpsc::Receiver<Event>,
    opening: watch::Sender<Opening>,
    link: watch::Receiver<Option<Link>>,
    hurry: Arc<Notify>,
    relays_silent: watch::Sender<bool>,
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
        let (relays_silent, relays_silent_end) = watch::channel(false);
        let Parts { endpoint, identity, admit, proxies } = parts;
        let runner = Runner {
            endpoint,
            identity,
            gate: Gate { admit, known: Mutex::default() },
            proxies,
            learnt: Learnt { revision: 0, web: place.web.clone(), servers: watch::Sender::default() },
            place,
            udp_blocked: false,
            opening: opening_end,
            outgoing: outgoing_end,
            events: events_end,
            link: link_end,
            hurry: Arc::clone(&hurry),
            relays_silent: relays_silent_end,
        };
        Self { outgoing, events, opening, link, hurry, relays_silent, task: tokio::spawn(runner.run()) }
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

    /// Says whether the server's relay fails to answer. If so while UDP works, a way through a WebSocket is taken.
    pub fn set_relays_silent(&self, silent: bool) {
        self.relays_silent.send_if_modified(|known| std::mem::replace(known, silent) != silent);
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
    endpoint: Endpoint,
    identity: Arc<Identity>,
    gate: Gate,
    proxies: Proxies,
    place: ServerPlace,
    learnt: Learnt,
    /// The last connection went through a WebSocket: the next need not wait for UDP.
    udp_blocked: bool,
    opening: watch::Receiver<Opening>,
    outgoing: mpsc::Receiver<ToServer>,
    events: mpsc::Sender<Event>,
    link: watch::Sender<Option<Link>>,
    hurry: Arc<Notify>,
    relays_silent: watch::Receiver<bool>,
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
        let web = self.learnt.web.clone();
        // what the next server says of this counts, not what the last one said before it stopped
        self.learnt.servers.send_modify(|servers| servers.leave = false);
        let servers = self.learnt.servers.subscribe();
        let search = Search {
            servers: &servers,
            endpoint: &self.endpoint,
            config,
            gate: &self.gate,
            proxies: &self.proxies,
            place: &self.place,
            web: &web,
        };
        let head_start = if self.udp_blocked { Duration::ZERO } else { UDP_HEAD_START };
        let mut current = tokio::select! {
            reached = search.reach(head_start) => match reached {
                Ok(reached) => reached,
                Err(unreached) => return Ended::Lost(unreached),
            },
            () = self.events.closed() => return Ended::Finally,
        };
        // What was meant for an earlier connection means nothing on this one.
        while self.outgoing.try_recv().is_ok() {}
        let (opening, link, end) = loop {
            let opening = self.opening.borrow_and_update().clone();
            let link = Link::new(current.connection.clone(), current.inside());
            self.udp_blocked = current.tunnel.is_some() && !current.is_detour;
            info!(transport = link.transport().name(), "the rendezvous answers");
            self.link.send_replace(Some(link.clone()));
            let (doubt, doubts) = watch::channel(None);
            let speaker = Speaker { opening: &opening, identity: &self.identity };
            let end = tokio::select! {
                end = connection::run(&link, speaker, &mut self.learnt, &mut self.outgoing, &self.events, &doubt) => end,
                () = current.cut() => End::Broke,
                better = search.find_better(&current, doubts, &self.hurry, self.relays_silent.clone()) => {
                    part_later(std::mem::replace(&mut current, better));
                    self.learnt.servers.send_modify(|servers| servers.leave = false);
                    continue;
                }
            };
            break (opening, link, end);
        };
        self.link.send_replace(None);
        let was_heard = current.connection.stats().frame_rx.stream > 0;
        current.connection.close(VarInt::from_u32(0), b"");
        if current.tunnel.is_some() {
            // the goodbye leaves by a task of QUIC and one of the WebSocket's
            sleep(GOODBYE_UNDER_WAY).await;
        }
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

/// Lets go of a way that has been left: what is still under way on it arrives, and the server ends it when it knows of the
/// other.
fn part_later(old: Reached) {
    tokio::spawn(async move {
        sleep(LINGER).await;
        old.connection.close(VarInt::from_u32(0), b"");
    });
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
        | RefusedCode::EnrolmentDenied
        | RefusedCode::EnrolmentExpired
        | RefusedCode::InviteExpired
        | RefusedCode::InviteUnknown
        | RefusedCode::InviteUsed
        | RefusedCode::NameTaken
        | RefusedCode::PoolExhausted => false,
    }
}

/// Messages of one burst: a path report for each of some hundred peers.
const MAX_OUTGOING: usize = 256;
/// The server may send a large map in many parts; the stream's own flow control holds back the rest.
const MAX_EVENTS: usize = 16;
/// Enough to get one packet out.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// On the way through this process alone.
const GOODBYE_UNDER_WAY: Duration = Duration::from_millis(50);
/// The relay's new binding takes two round trips; then nothing comes by the old way.
const LINGER: Duration = Duration::from_secs(3);
/// UDP's lead: a lost packet and its repetition fit in it (RFC 9002 section 6.2.2: the first comes after a second).
const UDP_HEAD_START: Duration = Duration::from_secs(3);
/// Those of two look-ups, and our ends of two WebSockets.
const MAX_KNOWN: usize = 36;
