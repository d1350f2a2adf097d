//! Inner packets that programs of the simulated hosts send, each with a number so that loss and order show.

use std::net::{IpAddr, Ipv4Addr};

use warren_proto::keys::Family;

use crate::host::{Host, HostId};
use crate::oracle::MARKER;
use crate::world::World;

/// An IPv4 UDP packet of `number` from one host's overlay address to another's, with 64 bytes of payload that the oracle
/// knows again.
pub fn numbered(world: &World, from: HostId, to: HostId, number: u32) -> Vec<u8> {
    let (source, destination) = (v4(&world.hosts[from]), v4(&world.hosts[to]));
    let mut packet = vec![0x45, 0];
    packet.extend((28 + PAYLOAD).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let checksum = header_checksum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend([0x1f, 0x90, 0x1f, 0x90]);
    packet.extend((8 + PAYLOAD).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(number.to_be_bytes());
    packet.resize(28 + usize::from(PAYLOAD), MARKER[0]);
    packet
}

fn v4(host: &Host) -> Ipv4Addr {
    match host.overlay(Family::V4) {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => unreachable!("asked for IPv4"),
    }
}

fn header_checksum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded twice")
}

const PAYLOAD: u16 = 64;
