//! The active devices with their certificates, as of one revision of the change log, and what a device that holds an
//! older revision must be told.
//!
//! In a mesh that fits one message the answer is always the whole map, and everybody hears of each who comes and goes. In a
//! larger one it is what changed since, and presence goes two ways, because all that is told to everybody of everybody grows
//! with the square of the mesh: those who are to have a channel with a device hear of it at once (`presence`), all others get
//! a bit for each member every now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use warren_proto::control::{MAX_PEERS_PER_MAP, Map, Peer, Presence};
use warren_proto::keys::{IdentityPublic, NodeId, UnixTime};

/// An active device, as far as others are concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// Encoded signed certificate.
    pub certificate: Vec<u8>,
    /// By which it proves itself.
    pub identity_key: IdentityPublic,
    /// When the certificate ends.
    pub not_after: UnixTime,
    /// An administrator wants it to use the relay only.
    pub relay_only: bool,
}

/// What a map says of a member beside its certificate, as far as its connection tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) online: bool,
    pub(super) relay_only: bool,
}

/// How a device ceased to be a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It left by itself.
    LoggedOut,
    /// An administrator removed it.
    Revoked,
}

/// What became of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RosterChange {
    /// It is active, with this certificate.
    Active(Member),
    /// It left or was revoked.
    Ended(Ended),
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    members: BTreeMap<NodeId, (Member, u64)>,
    ended: BTreeMap<NodeId, u64>,
    revision: u64,
    oldest: u64,
    /// Members whose entry is to be broadcast, and when.
    marked: BTreeSet<NodeId>,
    flush_at: Option<Instant>,
    /// When everybody is told who is online, in a large mesh.
    census_at: Option<Instant>,
}

impl Roster {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn member(&self, device: NodeId) -> Option<&Member> {
        self.members.get(&device).map(|(member, _)| member)
    }

    pub(super) fn set_oldest(&mut self, oldest: u64) {
        self.oldest = oldest;
    }

    pub(super) fn apply(&mut self, device: NodeId, change: RosterChange, revision: u64) {
        match change {
            RosterChange::Active(member) => {
                self.members.insert(device, (member, revision));
            }
            RosterChange::Ended(_) => {
                self.members.remove(&device);
                self.marked.remove(&device);
                self.ended.insert(device, revision);
            }
        }
        self.revision = self.revision.max(revision);
    }

    /// Has a member's entry broadcast soon, with the others marked until then.
    pub(super) fn mark(&mut self, device: NodeId, now: Instant) {
        if self.members.contains_key(&device) {
            self.marked.insert(device);
            self.flush_at.get_or_insert(now + GATHER_FOR);
        }
    }

    /// Whether a member's entry still waits to be broadcast.
    pub(super) fn is_marked(&self, device: NodeId) -> bool {
        self.marked.contains(&device)
    }

    /// Whether presence is told to those alone whom it concerns.
    pub(super) fn is_large(&self) -> bool {
        self.members.len() > MAX_PEERS_PER_MAP
    }

    pub(super) fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Has everybody told before long who is online.
    pub(super) fn call_census(&mut self, now: Instant) {
        let pause = CENSUS_PER_MEMBER * u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.census_at.get_or_insert(now + pause);
    }

    pub(super) fn census_at(&self) -> Option<Instant> {
        self.census_at
    }

    pub(super) fn end_census(&mut self) {
        self.census_at = None;
    }

    /// Who is online, for those that hold the map of this revision.
    pub(super) fn census(&self, standing: impl Fn(NodeId) -> Standing) -> Presence {
        Presence::new(self.revision, self.members.keys().map(|id| (*id, standing(*id).online)))
    }

    /// One member as it stands at this moment.
    pub(super) fn entry_of(&self, device: NodeId, standing: impl Fn(NodeId) -> Standing) -> Map {
        Map { revision: self.told(), full: false, peers: self.entries(&[device], standing), removed: Vec::new() }
    }

    /// The revision that everybody has been told of; until the last batch is out, a receiver that leaves must ask again from
    /// the revision before.
    pub(super) fn told(&self) -> u64 {
        if self.marked.is_empty() { self.revision } else { 0 }
    }

    /// What to broadcast: the marked members (as many as fit), and who is gone.
    pub(super) fn flush(&mut self, removed: &[NodeId], standing: impl Fn(NodeId) -> Standing) -> Map {
        let batch: Vec<NodeId> = self.marked.iter().take(MAX_PEERS_PER_MAP).copied().collect();
        self.marked.retain(|id| !batch.contains(id));
        if self.marked.is_empty() {
            self.flush_at = None;
        }
        Map { revision: self.told(), full: false, peers: self.entries(&batch, standing), removed: removed.to_vec() }
    }

    /// The maps that bring a device from the revision it holds to ours.
    pub(super) fn maps_since(&self, held: u64, standing: impl Fn(NodeId) -> Standing + Copy) -> Vec<Map> {
        let removed: Vec<NodeId> = self.ended.iter().filter(|(_, at)| **at > held).map(|(id, _)| *id).collect();
        let full =
            !self.is_large() || held < self.oldest || held == 0 || held > self.revision || removed.len() > MAX_REMOVED;
        let told: Vec<NodeId> =
            self.members.iter().filter(|(_, (_, changed))| full || *changed > held).map(|(id, _)| *id).collect();
        let mut maps: Vec<Map> = told
            .chunks(MAX_PEERS_PER_MAP)
            .map(|part| Map { revision: 0, full: false, peers: self.entries(part, standing), removed: Vec::new() })
            .collect();
        if maps.is_empty() {
            maps.push(Map::default());
        }
        maps[0].full = full;
        if !full {
            maps[0].removed = removed;
        }
        if let Some(last) = maps.last_mut() {
            last.revision = self.revision;
        }
        maps
    }

    fn entries(&self, ids: &[NodeId], standing: impl Fn(NodeId) -> Standing) -> Vec<Peer> {
        let entry = |id: &NodeId| {
            let (member, _) = self.members.get(id)?;
            let Standing { online, relay_only } = standing(*id);
            let relay_only = relay_only || member.relay_only;
            Some(Peer { certificate: member.certificate.clone(), online, relay_only })
        };
        ids.iter().filter_map(entry).collect()
    }
}

/// Gathers the presence of many into one message, well inside the 100 ms in which a change is to arrive.
const GATHER_FOR: Duration = Duration::from_millis(20);
/// So that telling everybody takes 2,000 messages a second however large the mesh is: ten thousand hear every five seconds.
const CENSUS_PER_MEMBER: Duration = Duration::from_micros(500);
/// Removed ids in one message: 5,000 of 18 bytes stay below `MAX_MESSAGE`; beyond that the whole map is shorter.
const MAX_REMOVED: usize = 5000;
