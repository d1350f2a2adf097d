//! Who is online in a mesh too large to name them: a bit for each member, in the order of their ids.
//!
//! It means something only to whoever holds exactly the map it was made of; a digest of the ids tells.

use crate::keys::NodeId;

/// A census of the members of one map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// Of the map that names the members.
    pub revision: u64,
    /// How many there are, the receiver among them.
    pub members: u32,
    /// Of their ids; see `Presence::read`.
    pub digest: u64,
    /// The first member's bit is the lowest of the first byte.
    pub online: Vec<u8>,
}

impl Presence {
    /// Of these members, in ascending order, with whether each is online.
    pub fn new(revision: u64, members: impl Iterator<Item = (NodeId, bool)>) -> Self {
        let mut presence = Self { revision, members: 0, digest: 0, online: Vec::new() };
        for (index, (id, online)) in members.enumerate() {
            if index % 8 == 0 {
                presence.online.push(0);
            }
            if let Some(byte) = presence.online.last_mut() {
                *byte |= u8::from(online) << (index % 8);
            }
            presence.members += 1;
            presence.digest = digest(presence.digest, id);
        }
        presence
    }

    /// Which of these, in ascending order, are online; `None` if they are not the members it is about.
    pub fn read(&self, members: &[NodeId]) -> Option<Vec<(NodeId, bool)>> {
        let count = usize::try_from(self.members).ok()?;
        let told = members.iter().fold(0, |sum, id| digest(sum, *id));
        if members.len() != count || self.online.len() != count.div_ceil(8) || told != self.digest {
            return None;
        }
        let bit = |index: usize| self.online[index / 8] >> (index % 8) & 1 == 1;
        Some(members.iter().enumerate().map(|(index, id)| (*id, bit(index))).collect())
    }
}

/// The random halves of all ids, added up: two sets that differ by accident have different sums.
fn digest(sum: u64, id: NodeId) -> u64 {
    let (_, random) = id.as_bytes().split_last_chunk().expect("an id is longer than its half");
    sum.wrapping_add(u64::from_be_bytes(*random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u8) -> Vec<NodeId> {
        (0..count).map(|number| NodeId::new([number; 16])).collect()
    }

    #[test]
    fn a_census_says_of_each_member_what_was_so() {
        for count in [0, 1, 8, 9, 200] {
            let told: Vec<_> = members(count).into_iter().enumerate().map(|(i, id)| (id, i % 3 == 0)).collect();

            let presence = Presence::new(7, told.iter().copied());

            assert_eq!(presence.read(&members(count)), Some(told));
        }
    }

    #[test]
    fn a_census_of_other_members_says_nothing() {
        let presence = Presence::new(7, members(20).into_iter().map(|id| (id, true)));

        assert_eq!(presence.read(&members(19)), None);
        assert_eq!(presence.read(&members(21)[1..]), None);
        assert_eq!(Presence { online: vec![0; 2], ..presence }.read(&members(20)), None);
    }
}
