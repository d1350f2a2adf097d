//! The peer map as the rendezvous tells it: nothing is believed before its certificate verifies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use super::{Event, Node};
use crate::certificate::VerifiedCertificate;
use crate::control::{Map, Peer as PeerEntry, Presence};
use crate::io::Discard;
use crate::keys::NodeId;
use crate::peer::{Peer, same_binding};

/// Peers that a full map has not named yet. A long map comes in parts, of which only the last carries a revision; whoever
/// is still unnamed then is gone.
pub(super) type Unnamed = BTreeSet<NodeId>;

/// What a map says of a peer beside its certificate.
#[derive(Clone, Copy)]
struct Told {
    online: bool,
    relay_only: bool,
}

impl Node {
    pub(super) fn apply_map(&mut self, map: Map, now: Instant) {
        if std::mem::take(&mut self.is_first_map) && !map.full {
            // it names whoever changed and whoever is online: the others are neither
            self.for_each(now, |peer, shared| peer.set_online(false, shared, now));
        }
        if map.full {
            self.unnamed = Some(self.peers.keys().copied().collect());
            self.disbelieved = false;
        }
        map.removed.iter().for_each(|id| self.remove_peer(*id, now));
        let applied: Vec<_> = map.peers.iter().map(|entry| self.apply_entry(entry, now)).collect();
        self.disbelieved |= applied.iter().any(Result::is_err);
        self.revision = map.revision;
        let told: BTreeMap<NodeId, Told> = applied.into_iter().flatten().flatten().collect();
        if map.revision != 0 {
            self.unnamed.take().into_iter().flatten().for_each(|id| self.remove_peer(id, now));
        }
        let total = self.online_peers(&told);
        self.shared.small_mesh = total <= self.shared.config.small_mesh;
        for (id, told) in told {
            self.with(id, now, |peer, shared| {
                peer.set_relay_only(told.relay_only, shared, now);
                peer.set_online(told.online, shared, now);
            });
        }
        self.shared.forwarding_changed();
    }

    /// Learns who is online in a large mesh; nothing, if it is about another map than ours.
    pub(super) fn apply_presence(&mut self, presence: &Presence, now: Instant) {
        let mut members: BTreeSet<NodeId> = self.peers.keys().copied().collect();
        members.insert(self.shared.local.certificate.node);
        let members: Vec<NodeId> = members.into_iter().collect();
        let told = presence.read(&members).filter(|_| presence.revision == self.revision);
        let Some(told) = told else { return };
        let changed =
            |(id, online): &(NodeId, bool)| self.peers.get(id).is_some_and(|peer| peer.is_online() != *online);
        let changed: Vec<_> = told.iter().copied().filter(changed).collect();
        let is_peer = |(id, online): &&(NodeId, bool)| *online && self.peers.contains_key(id);
        self.shared.small_mesh = told.iter().filter(is_peer).count() <= self.shared.config.small_mesh;
        for (id, online) in changed {
            self.with(id, now, |peer, shared| peer.set_online(online, shared, now));
        }
        self.shared.forwarding_changed();
    }

    /// Learns one peer; says who it is and what is told of it, unless it is this device.
    fn apply_entry(&mut self, entry: &PeerEntry, now: Instant) -> Result<Option<(NodeId, Told)>, Discard> {
        let certificate = self.verify(&entry.certificate, now)?;
        let id = certificate.node;
        if id == self.shared.local.certificate.node {
            self.replace_certificate(&entry.certificate, now);
            self.set_relay_only(entry.relay_only, now);
            return Ok(None);
        }
        if let Some(unnamed) = &mut self.unnamed {
            unnamed.remove(&id);
        }
        let told = Told { online: entry.online, relay_only: entry.relay_only };
        let known = self.peers.get(&id).map(|peer| peer.certificate().clone());
        match known {
            Some(held) if held.epoch > certificate.epoch => return Ok(Some((id, told))),
            Some(held) if same_binding(&held, &certificate) => {
                self.with(id, now, |peer, shared| peer.renew(certificate, shared));
            }
            Some(_) => {
                self.remove_peer(id, now);
                self.add_peer(certificate, now);
            }
            None => self.add_peer(certificate, now),
        }
        Ok(Some((id, told)))
    }

    /// An administrator's word on this device; its owner's own is in the configuration.
    pub(super) fn set_relay_only(&mut self, relay_only: bool, now: Instant) {
        let relay_only = relay_only || self.shared.config.relay_only;
        if std::mem::replace(&mut self.shared.relay_only, relay_only) != relay_only {
            self.offer_candidates();
            self.for_each(now, |peer, shared| peer.apply_policy(shared, now));
        }
    }

    pub(super) fn add_peer(&mut self, certificate: VerifiedCertificate, now: Instant) {
        let id = certificate.node;
        self.by_key.insert(certificate.static_key, id);
        self.by_address.insert(IpAddr::V4(certificate.v4), id);
        self.by_address.insert(IpAddr::V6(certificate.v6), id);
        let peer = Peer::new(certificate, &mut self.shared, now);
        self.peers.insert(id, peer);
    }

    /// Closes the SAs of a peer that was revoked or left, and forgets it.
    fn remove_peer(&mut self, id: NodeId, now: Instant) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        peer.close(&mut self.shared, now);
        let certificate = peer.certificate();
        // a key or an address may be another device's by now
        forget(&mut self.by_key, &certificate.static_key, id);
        forget(&mut self.by_address, &IpAddr::V4(certificate.v4), id);
        forget(&mut self.by_address, &IpAddr::V6(certificate.v6), id);
        self.set_deadline(id, None);
        self.introductions.forget(id);
    }

    /// Takes our own renewed certificate, if it is ours and newer.
    pub(super) fn replace_certificate(&mut self, bytes: &[u8], now: Instant) {
        let Ok(certificate) = self.verify(bytes, now) else { return };
        let held = &self.shared.local.certificate;
        let ours = certificate.node == held.node && certificate.static_key == held.static_key;
        if ours && certificate.epoch > held.epoch {
            self.shared.renew(certificate);
            self.shared.event(Event::CertificateReplaced(bytes.to_vec()));
        }
    }

    pub(super) fn verify(&mut self, bytes: &[u8], now: Instant) -> Result<VerifiedCertificate, Discard> {
        let network = &self.shared.local.network;
        let wall = self.shared.unix_time(now);
        VerifiedCertificate::verify(bytes, &network.id, &network.signing_key, wall).map_err(|_| {
            self.shared.count(Discard::CertificateMismatch);
            Discard::CertificateMismatch
        })
    }

    fn online_peers(&self, changed: &BTreeMap<NodeId, Told>) -> usize {
        let online =
            |(id, peer): &(&NodeId, &Peer)| changed.get(*id).map_or_else(|| peer.is_online(), |told| told.online);
        self.peers.iter().filter(online).count()
    }
}

/// Removes `key` if it still names `id`.
fn forget<K: Ord>(names: &mut BTreeMap<K, NodeId>, key: &K, id: NodeId) {
    if names.get(key) == Some(&id) {
        names.remove(key);
    }
}
