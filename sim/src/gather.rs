//! What a host knows of its addresses: those of its interfaces, and what servers see of it through the NATs.
//!
//! As the agent's gatherer, over simulated answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use warren_proto::candidate::{Allocation, Candidate, CandidateKind, CandidateSet, NatMapping, NatReport};

/// What a host knows of its addresses.
pub(crate) struct Surroundings {
    epoch: u64,
    port: u16,
    hosts: Vec<IpAddr>,
    /// Server asked -> our address as it saw us, on this network.
    seen_from: BTreeMap<SocketAddr, SocketAddr>,
    /// External ports of mappings that did not exist before, on this network, in the order in which they were made.
    fresh: Vec<u16>,
}

impl Surroundings {
    pub(crate) fn new(port: u16, hosts: Vec<IpAddr>) -> Self {
        Self { epoch: 1, port, hosts, seen_from: BTreeMap::new(), fresh: Vec::new() }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The network is another, or the device was started anew, maybe on another port.
    pub(crate) fn start_epoch(&mut self, port: u16, hosts: Vec<IpAddr>) {
        self.epoch += 1;
        self.port = port;
        self.hosts = hosts;
        self.seen_from.clear();
        self.fresh.clear();
    }

    /// Notes how `server` sees us; true when that is news.
    pub(crate) fn note_seen(&mut self, server: SocketAddr, mapped: SocketAddr) -> bool {
        self.seen_from.insert(server, mapped) != Some(mapped)
    }

    /// Notes the external ports of mappings made one after the other.
    pub(crate) fn note_fresh(&mut self, ports: &[u16]) {
        self.fresh.extend(ports);
        self.fresh.drain(..self.fresh.len().saturating_sub(MAX_FRESH));
    }

    /// Whether a look at how the NAT numbers mappings is worth while, and was not taken yet.
    pub(crate) fn wants_look(&self) -> bool {
        let report = self.report();
        report.mapping.is_dependent() && report.allocation.is_none()
    }

    /// All addresses to offer.
    pub(crate) fn candidates(&self) -> CandidateSet {
        let mut candidates: Vec<Candidate> = Vec::new();
        let hosts = self.hosts.iter().map(|ip| (SocketAddr::new(*ip, self.port), CandidateKind::Host));
        let mapped = self.seen_from.values().map(|mapped| (*mapped, CandidateKind::Reflexive));
        let guessed =
            self.seen_from.values().map(|mapped| (SocketAddr::new(mapped.ip(), self.port), CandidateKind::Guessed));
        for (addr, kind) in hosts.chain(mapped).chain(guessed.take(1)) {
            if !candidates.iter().any(|known| known.addr == addr) {
                candidates.push(Candidate { addr, kind });
            }
        }
        CandidateSet { epoch: self.epoch, candidates, nat: self.report() }
    }

    fn report(&self) -> NatReport {
        let seen: Vec<SocketAddr> = self.seen_from.values().copied().collect();
        let Some(first) = seen.first() else { return NatReport::default() };
        let same = seen.iter().all(|mapped| mapped == first);
        let mapping = match (seen.len(), same) {
            _ if same && self.hosts.contains(&first.ip()) => NatMapping::None,
            (1, _) => NatMapping::Unknown,
            (_, true) => NatMapping::EndpointIndependent,
            (_, false) => NatMapping::EndpointDependent,
        };
        let preserves_port = seen.iter().all(|mapped| mapped.port() == self.port);
        NatReport { mapping, preserves_port, allocation: Allocation::of(&self.fresh), searches: false }
    }
}

/// As many as the agent remembers.
const MAX_FRESH: usize = 32;
