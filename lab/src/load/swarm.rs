//! All agents of a run: their sockets, what they share, and one place where everything they hear arrives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use quinn::Endpoint;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use warren_proto::control::{Invite, Peer, ToServer};
use warren_proto::keys::{NodeId, UnixTime};

use super::agent::Agent;
use super::tls;

/// Something an agent heard.
pub(super) struct Heard {
    pub(super) agent: usize,
    pub(super) at: Instant,
    pub(super) what: What,
}

/// What it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Attached,
    Candidates {
        peer: NodeId,
        epoch: u64,
    },
    Lost,
    Map {
        revision: u64,
        bytes: usize,
        peers: usize,
        /// What is said of the device that is watched for: whether it is online.
        named: Option<bool>,
    },
    PairOpened(NodeId),
    Presence {
        bytes: usize,
    },
}

/// What all agents know.
pub(super) struct Shared {
    pub(super) server: SocketAddr,
    pub(super) config: quinn::ClientConfig,
    pub(super) now: UnixTime,
    revision: AtomicU64,
    talking: AtomicBool,
    /// About whom they report.
    someone: RwLock<Option<NodeId>>,
    watched: RwLock<Vec<u8>>,
    heard: mpsc::UnboundedSender<Heard>,
}

impl Shared {
    pub(super) fn tell(&self, agent: usize, what: What) {
        // nobody listens between two stages
        let _ = self.heard.send(Heard { agent, at: Instant::now(), what });
    }

    /// The revision that everybody holds.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// About whom to report, while the swarm talks.
    pub(super) fn talks(&self) -> Option<NodeId> {
        let someone = *self.someone.read().unwrap_or_else(PoisonError::into_inner);
        someone.filter(|_| self.talking.load(Ordering::Relaxed))
    }

    /// What these entries say of the device that is watched for.
    pub(super) fn named(&self, peers: &[Peer]) -> Option<bool> {
        let mark = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        let is_meant =
            |peer: &&Peer| !mark.is_empty() && peer.certificate.windows(mark.len()).any(|part| part == *mark);
        peers.iter().find(is_meant).map(|peer| peer.online)
    }
}

/// The agents of one run.
pub(super) struct Swarm {
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint>,
    secret: [u8; 16],
    orders: Vec<mpsc::UnboundedSender<ToServer>>,
    pub(super) nodes: Vec<NodeId>,
    pub(super) heard: mpsc::UnboundedReceiver<Heard>,
}

impl Swarm {
    /// Sockets for so many agents.
    pub(super) fn new(agents: usize, server: SocketAddr, invite: &Invite, now: UnixTime) -> Result<Self> {
        let endpoints = (0..agents.div_ceil(AGENTS_PER_ADDRESS)).map(endpoint).collect::<Result<_>>()?;
        let (sender, heard) = mpsc::unbounded_channel();
        let shared = Shared {
            server,
            config: tls::client_config(invite.pin)?,
            now,
            revision: AtomicU64::new(0),
            talking: AtomicBool::new(false),
            someone: RwLock::new(None),
            watched: RwLock::new(Vec::new()),
            heard: sender,
        };
        let (orders, nodes, secret) = (Vec::new(), Vec::new(), invite.secret);
        Ok(Self { shared: Arc::new(shared), endpoints, secret, orders, nodes, heard })
    }

    /// Enrols them, some at a time; the order is theirs.
    pub(super) async fn enrol(&self, indices: impl Iterator<Item = usize>) -> Result<Vec<Agent>> {
        let (mut running, mut agents) = (JoinSet::new(), Vec::new());
        for index in indices {
            if running.len() >= ENROLMENTS_AT_ONCE {
                agents.extend(running.join_next().await.transpose()?.transpose()?);
            }
            let (endpoint, shared, secret) = (self.endpoint(index), Arc::clone(&self.shared), self.secret);
            running.spawn(async move {
                let mut agent = Agent::new(index);
                let enrolled = agent.enrol(&endpoint, &shared, &secret).await;
                enrolled.with_context(|| format!("enrol agent {index}")).map(|()| agent)
            });
        }
        while let Some(agent) = running.join_next().await {
            agents.push(agent??);
        }
        agents.sort_by_key(|agent| agent.index);
        Ok(agents)
    }

    /// Lets an agent go online and stay there.
    pub(super) fn release(&mut self, agent: Agent) {
        let (sender, orders) = mpsc::unbounded_channel();
        self.orders.push(sender);
        self.nodes.push(agent.node);
        let (endpoint, shared) = (self.endpoint(agent.index), Arc::clone(&self.shared));
        tokio::spawn(async move { agent.live(endpoint, &shared, orders).await });
    }

    /// Has an agent say something.
    pub(super) fn order(&self, agent: usize, message: ToServer) {
        // one that has been dismissed says nothing
        let _ = self.orders[agent].send(message);
    }

    /// Has the last agent leave.
    pub(super) fn dismiss_last(&mut self) {
        self.orders.pop();
        self.nodes.pop();
    }

    /// Everybody holds this revision when it connects from now on.
    pub(super) fn hold(&self, revision: u64) {
        self.shared.revision.store(revision, Ordering::Relaxed);
    }

    /// Has everybody report paths, or keep still.
    pub(super) fn talk(&self, talking: bool) {
        *self.shared.someone.write().unwrap_or_else(PoisonError::into_inner) = self.nodes.first().copied();
        self.shared.talking.store(talking, Ordering::Relaxed);
    }

    /// From now on maps that name this device are told apart.
    pub(super) fn watch_for(&self, agent: &Agent) {
        *self.shared.watched.write().unwrap_or_else(PoisonError::into_inner) = agent.mark();
    }

    /// Forgets what was heard so far.
    pub(super) fn clear(&mut self) {
        while self.heard.try_recv().is_ok() {}
    }

    /// Listens until `done` says so, or the limit is over; true if it was `done`.
    pub(super) async fn listen(&mut self, limit: Duration, mut done: impl FnMut(&Heard) -> bool) -> bool {
        let listening = async {
            while let Some(heard) = self.heard.recv().await {
                if done(&heard) {
                    return;
                }
            }
        };
        tokio::time::timeout(limit, listening).await.is_ok()
    }

    fn endpoint(&self, index: usize) -> Endpoint {
        self.endpoints[index / AGENTS_PER_ADDRESS % self.endpoints.len()].clone()
    }
}

/// A socket at a loopback address of its own.
fn endpoint(index: usize) -> Result<Endpoint> {
    let number = u32::try_from(index).context("there are fewer addresses")?;
    let ip = Ipv4Addr::from(FIRST_ADDRESS + number);
    Endpoint::client(SocketAddr::new(IpAddr::V4(ip), 0)).with_context(|| format!("open a socket at {ip}"))
}

/// Fewer than the sixty that one source may enrol at once.
const AGENTS_PER_ADDRESS: usize = 50;
/// 127.10.0.1; all of 127/8 is this machine.
const FIRST_ADDRESS: u32 = 0x7f0a_0001;
const ENROLMENTS_AT_ONCE: usize = 32;
