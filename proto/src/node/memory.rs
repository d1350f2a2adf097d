//! Beginning without the rendezvous: peers from an earlier run, and peers heard of on this network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Node;
use crate::candidate::{Candidate, CandidateKind};
use crate::keys::NodeId;
use crate::peer::{Memory, PeerMemory};

impl Node {
    /// Takes back what an earlier run knew, and goes to those it was in touch with: in a small mesh to all. Returns how many
    /// peers were believed; maps of the rendezvous replace them as they come.
    pub fn restore(&mut self, memory: &Memory, now: Instant) -> usize {
        self.set_relay_only(memory.relay_only, now);
        let latest = memory.peers.iter().filter_map(newest).max();
        let mut in_use = Vec::new();
        let mut believed = 0;
        for peer in &memory.peers {
            let Ok(certificate) = self.verify(&peer.certificate, now) else { continue };
            let id = certificate.node;
            if id == self.shared.local.certificate.node || self.peers.contains_key(&id) {
                continue;
            }
            self.add_peer(certificate, now);
            self.with(id, now, |known, shared| known.remember(peer, shared, now));
            believed += 1;
            if newest(peer).zip(latest).is_some_and(|(newest, latest)| latest.saturating_sub(newest) < IN_USE) {
                in_use.push(id);
            }
        }
        self.shared.small_mesh = self.peers.len() <= self.shared.config.small_mesh;
        let wanted = if self.shared.small_mesh { self.peers.keys().copied().collect() } else { in_use };
        wanted.into_iter().for_each(|id| self.with(id, now, |peer, shared| peer.connect(shared, now)));
        self.shared.forwarding_changed();
        believed
    }

    /// What the next run is to know. Peers that were removed are not in it.
    pub fn memory(&self, now: Instant) -> Memory {
        let peers = self.peers.values().map(|peer| peer.memory(&self.shared, now)).collect();
        Memory { relay_only: self.shared.relay_only, peers }
    }

    /// Somebody on this network claims that `peer` is at `addr`. Only a handshake can prove it.
    pub fn handle_discovered(&mut self, peer: NodeId, addr: SocketAddr, now: Instant) {
        let candidate = Candidate { addr, kind: CandidateKind::Host };
        self.with(peer, now, |peer, shared| peer.handle_discovered(candidate, shared, now));
    }
}

fn newest(memory: &PeerMemory) -> Option<Duration> {
    memory.endpoints.iter().map(|endpoint| endpoint.answered_at.since_epoch()).max()
}

/// Peers that answered this shortly before the last one did were in use when the memory was made: longer than a path in
/// use can go without an answer, and than the memory may lag behind.
const IN_USE: Duration = Duration::from_secs(600);
