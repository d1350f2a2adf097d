//! Which replica each online device is attached to, and which one brings a pair together.
//!
//! A device is where it attached last. Attachments are ordered by a stamp that every replica takes higher than any it has
//! seen, so all agree without asking each other. A pair belongs to the replica that the lower of its two devices is attached
//! to, or if that is offline to the other's; a device whose network lets no UDP out reaches no relay but its own replica's, so
//! its pairs belong there. What a device wishes is remembered where it is attached and handed to whoever owns the pair from
//! then on: no replica takes a pair with it when it dies. Sans-IO.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use warren_proto::keys::NodeId;

/// One run of one server.
pub(crate) type ReplicaId = Uuid;

/// Where a device is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) replica: ReplicaId,
    /// The younger attachment has the higher one.
    pub(crate) stamp: u64,
    /// It is inside a WebSocket, and reaches no other relay than this replica's.
    pub(crate) tunnelled: bool,
}

/// All attachments that this replica knows of.
#[derive(Debug)]
pub(crate) struct Places {
    own: ReplicaId,
    by_device: BTreeMap<NodeId, Place>,
    /// The highest stamp seen.
    newest: u64,
    /// Of devices attached here: whom each wants.
    wishes: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// The same by whom it is that is wanted.
    wished_by: BTreeMap<NodeId, BTreeSet<NodeId>>,
}

impl Places {
    /// Nobody is anywhere.
    pub(crate) fn new(own: ReplicaId) -> Self {
        Self { own, by_device: BTreeMap::new(), newest: 0, wishes: BTreeMap::new(), wished_by: BTreeMap::new() }
    }

    /// This replica.
    pub(crate) fn own(&self) -> ReplicaId {
        self.own
    }

    /// A device attached here; gives the stamp. The clock makes a replica that has just started, and has seen nothing, younger
    /// than what was.
    pub(crate) fn attach(&mut self, device: NodeId, tunnelled: bool, unix_ms: u64) -> u64 {
        self.newest = unix_ms.max(self.newest + 1);
        self.forget_wishes(device);
        let place = Place { replica: self.own, stamp: self.newest, tunnelled };
        self.by_device.insert(device, place);
        self.newest
    }

    /// A device attached elsewhere. False if it has attached to a third replica, or here, since.
    pub(crate) fn arrive(&mut self, device: NodeId, place: Place) -> bool {
        self.newest = self.newest.max(place.stamp);
        let order = |place: &Place| (place.stamp, place.replica);
        if self.by_device.get(&device).is_some_and(|held| order(held) >= order(&place)) {
            return false;
        }
        self.forget_wishes(device);
        self.by_device.insert(device, place);
        true
    }

    /// A device's attachment ended. False if it is attached elsewhere by now.
    pub(crate) fn leave(&mut self, device: NodeId, replica: ReplicaId, stamp: u64) -> bool {
        let ends = |held: &Place| held.replica == replica && held.stamp <= stamp;
        if !self.by_device.get(&device).is_some_and(ends) {
            return false;
        }
        self.forget_wishes(device);
        self.by_device.remove(&device);
        true
    }

    /// Where a device is.
    pub(crate) fn of(&self, device: NodeId) -> Option<Place> {
        self.by_device.get(&device).copied()
    }

    /// The other replica that a device is attached to, if it is.
    pub(crate) fn elsewhere(&self, device: NodeId) -> Option<ReplicaId> {
        self.of(device).map(|place| place.replica).filter(|replica| *replica != self.own)
    }

    /// Who is attached to a replica.
    pub(crate) fn attached_to(&self, replica: ReplicaId) -> Vec<(NodeId, u64)> {
        let there = self.by_device.iter().filter(|(_, place)| place.replica == replica);
        there.map(|(device, place)| (*device, place.stamp)).collect()
    }

    /// Whose business a pair is; this replica's if neither is online.
    pub(crate) fn owner(&self, a: NodeId, b: NodeId) -> ReplicaId {
        let places = [self.of(a.min(b)), self.of(a.max(b))];
        let [low, high] = places;
        let place = match (low, high) {
            (Some(low), Some(high)) if high.tunnelled && !low.tunnelled => Some(high),
            _ => low.or(high),
        };
        place.map_or(self.own, |place| place.replica)
    }

    /// A device attached here wants a peer. False if it wants as many as one may.
    pub(crate) fn wish(&mut self, device: NodeId, peer: NodeId) -> bool {
        let wishes = self.wishes.entry(device).or_default();
        if wishes.len() >= MAX_WISHES && !wishes.contains(&peer) {
            return false;
        }
        wishes.insert(peer);
        self.wished_by.entry(peer).or_default().insert(device);
        true
    }

    /// Of the devices attached here, those that want this one, and whom it wants: (who, whom).
    pub(crate) fn wishes_about(&self, device: NodeId) -> Vec<(NodeId, NodeId)> {
        let by_others = self.wished_by.get(&device).into_iter().flatten().map(|other| (*other, device));
        let own = self.wishes.get(&device).into_iter().flatten().map(|other| (device, *other));
        by_others.chain(own).collect()
    }

    fn forget_wishes(&mut self, device: NodeId) {
        for peer in self.wishes.remove(&device).into_iter().flatten() {
            if let Some(devices) = self.wished_by.get_mut(&peer) {
                devices.remove(&device);
                if devices.is_empty() {
                    self.wished_by.remove(&peer);
                }
            }
        }
    }
}

/// As many pairs as the coordinator lets one device have.
const MAX_WISHES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: ReplicaId = Uuid::from_u128(1);
    const OTHER: ReplicaId = Uuid::from_u128(2);
    const THIRD: ReplicaId = Uuid::from_u128(3);

    fn id(number: u8) -> NodeId {
        NodeId::new([number; 16])
    }

    fn at(replica: ReplicaId, stamp: u64) -> Place {
        Place { replica, stamp, tunnelled: false }
    }

    #[test]
    fn a_device_is_where_it_attached_last_in_whatever_order_one_hears_of_it() {
        let mut places = Places::new(OWN);
        assert!(places.arrive(id(1), at(OTHER, 20)));
        assert!(!places.arrive(id(1), at(THIRD, 10)));

        let stamp = places.attach(id(1), false, 5);

        assert!(stamp > 20);
        assert!(!places.leave(id(1), OTHER, 20), "it has left there long ago");
        assert_eq!(places.of(id(1)), Some(at(OWN, stamp)));
        assert!(places.arrive(id(1), at(THIRD, stamp + 1)));
        assert_eq!(places.elsewhere(id(1)), Some(THIRD));
    }

    #[test]
    fn two_replicas_agree_whose_a_pair_is() {
        let (mut here, mut there) = (Places::new(OWN), Places::new(OTHER));
        let (low, high) = (here.attach(id(1), false, 100), there.attach(id(2), false, 100));
        here.arrive(id(2), at(OTHER, high));
        there.arrive(id(1), at(OWN, low));

        assert_eq!((here.owner(id(1), id(2)), there.owner(id(2), id(1))), (OWN, OWN));
        here.leave(id(1), OWN, low);
        there.leave(id(1), OWN, low);
        assert_eq!((here.owner(id(1), id(2)), there.owner(id(2), id(1))), (OTHER, OTHER));
    }

    #[test]
    fn a_pair_of_which_one_cannot_reach_other_relays_is_its_replicas() {
        let mut places = Places::new(OWN);
        places.attach(id(1), false, 100);
        places.arrive(id(2), Place { tunnelled: true, ..at(OTHER, 100) });

        assert_eq!(places.owner(id(1), id(2)), OTHER);
    }

    #[test]
    fn a_wish_is_kept_for_as_long_as_the_device_is_attached_here() {
        let mut places = Places::new(OWN);
        let stamp = places.attach(id(1), false, 100);
        places.wish(id(1), id(2));

        assert_eq!(places.wishes_about(id(2)), [(id(1), id(2))]);
        assert_eq!(places.wishes_about(id(1)), [(id(1), id(2))]);
        places.leave(id(1), OWN, stamp);
        assert_eq!(places.wishes_about(id(2)), []);
    }

    #[test]
    fn a_device_wishes_for_no_more_than_it_may() {
        let mut places = Places::new(OWN);
        places.attach(id(1), false, 100);
        let peer = |number: u16| {
            let mut bytes = [9; 16];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            NodeId::new(bytes)
        };

        let granted = (0..2000).filter(|number| places.wish(id(1), peer(*number))).count();

        assert_eq!(granted, MAX_WISHES);
        assert!(places.wish(id(1), peer(0)));
    }
}
