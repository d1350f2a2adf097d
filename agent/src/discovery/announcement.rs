//! The bytes of an announcement, 28 of them, and the names in it.
//!
//! ```text
//!   0         1       2             4            20           28
//!   | version | flags | port masked | name 16    | check 8    |
//! ```
//! The name is a keyed hash of the device and of the ten minutes it is said in; whoever has not the key of the mesh can
//! neither tell whose it is nor that two of them are of one device. The port, which a device keeps for years, is masked for
//! the same reason. The check binds all of it to the source address: an announcement repeated from elsewhere is nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use warren_proto::control::Network;
use warren_proto::keys::{NodeId, UnixTime};
use zeroize::Zeroizing;

/// What every member of a mesh knows, and nobody else: made of the network's id and key, which no message shows in clear.
#[derive(Clone)]
pub struct MeshKey(Zeroizing<[u8; 32]>);

/// An announcement before it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// Who.
    pub node: NodeId,
    /// The UDP port of its agent.
    pub port: u16,
    /// Whether it wants to hear who else is there.
    pub asks: bool,
}

/// The names by which peers may be called at this time.
#[derive(Clone, Debug, Default)]
pub struct Names {
    slot: u64,
    by_name: BTreeMap<[u8; NAME], NodeId>,
}

impl MeshKey {
    /// The key of a network.
    pub fn of(network: &Network) -> Self {
        let secret = [network.id.as_bytes().as_slice(), network.signing_key.as_bytes()].concat();
        Self(Zeroizing::new(hash(&Zeroizing::new(secret), &[b"warren discovery v1"])))
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        hash(&*self.0, parts)
    }

    fn name(&self, node: NodeId, slot: u64) -> [u8; NAME] {
        first(&self.hash(&[b"name", &slot.to_be_bytes(), node.as_bytes()]))
    }

    fn mask(&self, name: &[u8; NAME]) -> u16 {
        u16::from_be_bytes(first(&self.hash(&[b"port", name])))
    }

    fn check(&self, head: &[u8], source: IpAddr) -> Hmac<Sha256> {
        let source = match source {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        hmac(&*self.0, &[b"check", &source.octets(), head])
    }
}

impl Announcement {
    /// Writes it, to be sent from `source`.
    pub fn encode(&self, key: &MeshKey, source: IpAddr, wall: UnixTime) -> [u8; LENGTH] {
        let name = key.name(self.node, slot(wall));
        let mut bytes = [0; LENGTH];
        (bytes[0], bytes[1]) = (VERSION, if self.asks { ASKS } else { 0 });
        bytes[2..4].copy_from_slice(&(self.port ^ key.mask(&name)).to_be_bytes());
        bytes[4..4 + NAME].copy_from_slice(&name);
        let check: [u8; CHECK] = first(&key.check(&bytes[..HEAD], source).finalize().into_bytes());
        bytes[HEAD..].copy_from_slice(&check);
        bytes
    }

    /// Reads one of a peer that `names` knows; `None` for everything else.
    pub fn decode(bytes: &[u8], key: &MeshKey, names: &Names, source: IpAddr) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let name: [u8; NAME] = first(&bytes[4..]);
        let node = *names.by_name.get(&name).filter(|_| bytes[0] == VERSION)?;
        let is_genuine = key.check(&bytes[..HEAD], source).verify_truncated_left(&bytes[HEAD..]).is_ok();
        let port = u16::from_be_bytes([bytes[2], bytes[3]]) ^ key.mask(&name);
        is_genuine.then_some(Self { node, port, asks: bytes[1] & ASKS != 0 })
    }
}

impl Names {
    /// The names of these peers now, and ten minutes either way: clocks differ.
    pub fn of(peers: &[NodeId], key: &MeshKey, wall: UnixTime) -> Self {
        let slot = slot(wall);
        let slots = [slot.saturating_sub(1), slot, slot + 1];
        let peers = peers.iter().take(MAX_PEERS);
        let by_name = peers.flat_map(|peer| slots.map(|slot| (key.name(*peer, slot), *peer))).collect();
        Self { slot, by_name }
    }

    /// Whether they are those of another time.
    pub fn are_stale(&self, wall: UnixTime) -> bool {
        slot(wall) != self.slot
    }
}

fn slot(wall: UnixTime) -> u64 {
    wall.as_secs() / SLOT_SECONDS
}

fn hash(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    hmac(key, parts).finalize().into_bytes().into()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac
}

/// The first bytes of something that has at least as many.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut start = [0; N];
    start.copy_from_slice(&bytes[..N]);
    start
}

/// Of every announcement.
pub const LENGTH: usize = HEAD + CHECK;
const HEAD: usize = 20;
const NAME: usize = 16;
const CHECK: usize = 8;
const VERSION: u8 = 1;
const ASKS: u8 = 1;
/// Short against how long somebody stays where he could be recognised by it, long against the errors of clocks.
const SLOT_SECONDS: u64 = 600;
/// More devices than one link has; each costs three hashes in ten minutes.
const MAX_PEERS: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use warren_proto::certificate::NetworkSigner;
    use warren_proto::keys::NetworkId;

    use super::*;

    #[test]
    fn a_peer_reads_who_is_where() {
        let said = Announcement { node: node(1), port: 41_000, asks: true };
        let bytes = said.encode(&key(1), source(), wall(1_000));

        for later in [400, 1_000, 1_600] {
            let names = Names::of(&[node(2), node(1)], &key(1), wall(later));

            assert_eq!(Announcement::decode(&bytes, &key(1), &names, source()), Some(said), "{later}");
        }
    }

    #[test]
    fn nobody_else_reads_anything_and_nothing_old_or_repeated_elsewhere_counts() {
        let bytes = Announcement { node: node(1), port: 41_000, asks: false }.encode(&key(1), source(), wall(1_000));
        let names = |number, at| Names::of(&[node(1)], &key(number), wall(at));

        assert_eq!(Announcement::decode(&bytes, &key(2), &names(2, 1_000), source()), None);
        assert_eq!(Announcement::decode(&bytes, &key(1), &names(1, 2_400), source()), None);
        let elsewhere = "192.168.1.21".parse().unwrap();
        assert_eq!(Announcement::decode(&bytes, &key(1), &names(1, 1_000), elsewhere), None);
        assert_eq!(Announcement::decode(&bytes, &key(1), &Names::default(), source()), None);
    }

    #[test]
    fn every_bit_counts() {
        let bytes = Announcement { node: node(1), port: 41_000, asks: false }.encode(&key(1), source(), wall(1_000));
        let names = Names::of(&[node(1)], &key(1), wall(1_000));
        for bit in 0..LENGTH * 8 {
            let mut turned = bytes;
            turned[bit / 8] ^= 1 << (bit % 8);

            assert_eq!(Announcement::decode(&turned, &key(1), &names, source()), None, "{bit}");
        }
    }

    #[test]
    fn two_announcements_of_one_device_have_nothing_in_common_after_ten_minutes() {
        let said = Announcement { node: node(1), port: 41_000, asks: false };

        let [now, later] = [1_000, 1_600].map(|at| said.encode(&key(1), source(), wall(at)));

        let same = now[2..].iter().zip(&later[2..]).filter(|(now, later)| now == later).count();
        assert!(same <= 3, "{same} of 26 bytes are the same: {now:02x?} {later:02x?}");
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_stranger_are_read_or_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let names = Names::of(&[node(1)], &key(1), wall(1_000));

            prop_assert_eq!(Announcement::decode(&bytes, &key(1), &names, source()), None);
        }
    }

    fn key(number: u8) -> MeshKey {
        let (v4, v6, name) = (String::new(), String::new(), String::new());
        let signing_key = NetworkSigner::new(&[7; 32]).public();
        MeshKey::of(&Network { id: NetworkId::new([number; 16]), signing_key, v4, v6, name })
    }

    fn node(number: u8) -> NodeId {
        NodeId::new([number; 16])
    }

    fn source() -> IpAddr {
        "192.168.1.20".parse().unwrap()
    }

    fn wall(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }
}
