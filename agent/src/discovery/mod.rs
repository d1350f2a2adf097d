//! Tells the other devices of the mesh on this network where we are, and hears where they are, without any server.
//!
//! Every device multicasts a short announcement on each of its links: a name that only members of the mesh can read and
//! that is another one every ten minutes, and its UDP port. What is heard is a hint like any other, which a handshake has
//! to prove; who is a peer at all, certificates say. Which links there are is `netcfg`'s business.
//!
//! - `announcement`: the bytes, and how names are blinded.
//! - `schedule`: when to announce, and how often at most.
//! - `links`: the multicast sockets. `task`: all of it together.

pub mod announcement;
mod links;
mod schedule;
mod task;

use std::net::SocketAddr;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use warren_proto::keys::NodeId;

use self::announcement::MeshKey;
use crate::clock::Clock;
use crate::netcfg::{HostNetwork, OnLink};

/// What never changes.
#[derive(Clone)]
pub struct Settings {
    /// What members of the mesh know and nobody else.
    pub key: MeshKey,
    /// This device.
    pub node: NodeId,
    /// Its UDP port.
    pub port: u16,
    /// Tells the time that names are made of.
    pub clock: Clock,
}

/// What may change.
#[derive(Clone, Debug, Default)]
struct Scene {
    /// Our addresses, by link.
    links: Vec<OnLink>,
    /// Moves on with every change of the network, so that the same links are announced on anew.
    generation: u64,
    /// Whom to listen for.
    peers: Vec<NodeId>,
    /// Whether to listen and say nothing.
    silent: bool,
}

/// A peer that announced itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Who, by its own claim.
    pub peer: NodeId,
    /// Where.
    pub addr: SocketAddr,
}

/// The task's handle; it ends with it.
#[derive(Debug)]
pub struct Discovery {
    scene: watch::Sender<Scene>,
    sightings: mpsc::Receiver<Sighting>,
    task: JoinHandle<()>,
}

impl Discovery {
    /// Starts the task; it waits for links. Needs a tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let (scene, scene_end) = watch::channel(Scene::default());
        let (sightings_end, sightings) = mpsc::channel(MAX_WAITING);
        let task = tokio::spawn(task::run(settings, scene_end, sightings_end));
        Self { scene, sightings, task }
    }

    /// The network is another, or this is the first look at it.
    pub fn set_network(&self, network: &HostNetwork) {
        self.scene.send_modify(|scene| {
            scene.links.clone_from(&network.links);
            scene.generation = network.generation;
        });
    }

    /// Says whom to listen for, and whether to say nothing meanwhile.
    pub fn set_peers(&self, peers: Vec<NodeId>, silent: bool) {
        self.scene.send_if_modified(|scene| {
            let changed = scene.peers != peers || scene.silent != silent;
            if changed {
                (scene.peers, scene.silent) = (peers, silent);
            }
            changed
        });
    }

    /// The next peer heard.
    pub async fn sighting(&mut self) -> Sighting {
        match self.sightings.recv().await {
            Some(sighting) => sighting,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sightings that the slow path has not looked at yet; more are dropped, they come again.
const MAX_WAITING: usize = 64;
