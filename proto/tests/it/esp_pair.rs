//! The two ends of one direction of an ESP session, and ordinary inner packets for them.

use std::net::IpAddr;

use warren_proto::crypto::Suite;
use warren_proto::inner::Template;
use warren_proto::io::Ecn;
use warren_proto::keys::{Family, NodeId, Spi};
use warren_proto::session::{HEADROOM, InboundSa, Opened, OutboundSa, SaParams, TAILROOM};
use zeroize::Zeroizing;

/// Both ends of the direction from [`addresses`]`.0` to `.1`.
pub(crate) struct Pair {
    pub(crate) outbound: OutboundSa,
    pub(crate) inbound: InboundSa,
}

impl Pair {
    pub(crate) fn new(suite: Suite, family: Family) -> Self {
        let (sender, receiver) = addresses(family);
        let params = |local, remote| SaParams {
            suite,
            spi: Spi::new(0x8765_4320 | family as u32).expect("a tagged word"),
            key_material: Zeroizing::new(key_material()),
            peer: NodeId::new([9; 16]),
            local,
            remote,
            ttl: TTL,
            routes: Vec::new(),
        };
        Self { outbound: OutboundSa::new(params(sender, receiver)), inbound: InboundSa::new(params(receiver, sender)) }
    }
}

/// Key 00 01 02 .. 1f, salt a0 a1 a2 a3.
fn key_material() -> [u8; 36] {
    let mut material = std::array::from_fn(|index| index as u8);
    material[32..].copy_from_slice(&[0xa0, 0xa1, 0xa2, 0xa3]);
    material
}

/// Who sends and who receives.
pub(crate) fn addresses(family: Family) -> (IpAddr, IpAddr) {
    match family {
        Family::V4 => ([100, 64, 0, 1].into(), [100, 64, 0, 2].into()),
        Family::V6 => ([0xfd00, 0, 0, 0, 0, 0, 0, 1].into(), [0xfd00, 0, 0, 0, 0, 0, 0, 2].into()),
    }
}

/// A packet from sender to receiver, canonical if `ttl` is [`TTL`].
pub(crate) fn packet(family: Family, protocol: u8, ttl: u8, ecn: Ecn, segment: &[u8]) -> Vec<u8> {
    let (source, destination) = addresses(family);
    let template = Template::new(source, destination, ttl).expect("one family");
    let mut packet = vec![0; template.header_len()];
    template.rebuild(&mut packet, protocol, ecn, segment.len()).expect("a length that fits its field");
    packet.extend(segment);
    packet
}

/// `packet` with the room around it that sealing and opening ask for.
pub(crate) fn buffer(packet: &[u8]) -> Vec<u8> {
    [&[0; HEADROOM][..], packet, &[0; TAILROOM]].concat()
}

/// The bytes that an opened datagram stands for.
pub(crate) fn contents(buffer: &[u8], opened: &Opened) -> Vec<u8> {
    match opened {
        Opened::Packet(range) | Opened::Control(range) => buffer[range.clone()].to_vec(),
        Opened::Dummy => Vec::new(),
    }
}

/// The sender's canonical TTL.
pub(crate) const TTL: u8 = 64;
