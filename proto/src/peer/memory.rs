//! What outlives a run: a peer's certificate and where it answered, so that it is found without the rendezvous.
//!
//! Certificates are verified again when they come back, and endpoints are hints as ever. Where it is written, and when, is
//! the driver's business.

use std::time::{Duration, Instant};

use super::{Peer, Shared};
use crate::candidate::Candidate;
use crate::keys::UnixTime;

/// What is to be kept from run to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Whether this device uses relays only.
    pub relay_only: bool,
    /// Every peer of the map.
    pub peers: Vec<PeerMemory>,
}

/// One peer, to be kept from run to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerMemory {
    /// The signed bytes.
    pub certificate: Vec<u8>,
    /// Whether it uses relays only; then nothing is kept of where it is.
    pub relay_only: bool,
    /// Where it answered, latest first.
    pub endpoints: Vec<RememberedEndpoint>,
}

/// An address at which a peer answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RememberedEndpoint {
    /// The address, and how it had been learnt.
    pub candidate: Candidate,
    /// When it last answered.
    pub answered_at: UnixTime,
}

/// What is left of an earlier run.
#[derive(Default)]
pub(super) struct Remembered {
    endpoints: Vec<RememberedEndpoint>,
    unconfirmed: bool,
}

impl Remembered {
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed
    }

    /// The rendezvous named the peer.
    pub(super) fn confirm(&mut self) {
        self.unconfirmed = false;
    }
}

impl Peer {
    /// Takes back what an earlier run found out. What is too old says nothing any more.
    pub(crate) fn remember(&mut self, memory: &PeerMemory, shared: &Shared, now: Instant) {
        self.remembered.unconfirmed = true;
        self.set_relay_only(memory.relay_only, shared, now);
        let wall = shared.unix_time(now).since_epoch();
        let fresh = |endpoint: &&RememberedEndpoint| wall.saturating_sub(endpoint.answered_at.since_epoch()) < MAX_AGE;
        self.remembered.endpoints = memory.endpoints.iter().filter(fresh).take(MAX_ENDPOINTS).copied().collect();
        for endpoint in self.remembered.endpoints.clone() {
            self.path.remember(endpoint.candidate, now);
        }
    }

    /// What the next run is to know: what answered in this one, then what answered in earlier ones.
    pub(crate) fn memory(&self, shared: &Shared, now: Instant) -> PeerMemory {
        let certificate = self.certificate.encoded().to_vec();
        if self.is_relay_only(shared) {
            return PeerMemory { certificate, relay_only: self.relay_only, endpoints: Vec::new() };
        }
        let wall = shared.unix_time(now).since_epoch();
        let lately = self.path.endpoints().into_iter().map(|endpoint| RememberedEndpoint {
            candidate: endpoint.candidate,
            answered_at: UnixTime::new(wall.saturating_sub(now.saturating_duration_since(endpoint.answered_at))),
        });
        let mut endpoints: Vec<RememberedEndpoint> = Vec::new();
        for endpoint in lately.chain(self.remembered.endpoints.iter().copied()) {
            let known = endpoints.iter().any(|other| other.candidate.addr == endpoint.candidate.addr);
            if !known && endpoints.len() < MAX_ENDPOINTS {
                endpoints.push(endpoint);
            }
        }
        PeerMemory { certificate, relay_only: false, endpoints }
    }

    /// Somebody on this network says that the peer is at this address. A hint, like any other.
    pub(crate) fn handle_discovered(&mut self, candidate: Candidate, shared: &mut Shared, now: Instant) {
        self.path.hint(candidate, now);
        if !shared.control_up && self.is_wanted(shared, now) {
            self.connect(shared, now);
        }
    }
}

/// Where the peer was last, at home and on the road, in two families.
const MAX_ENDPOINTS: usize = 4;
/// An address that has not answered for a week is most likely somebody else's by now.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
