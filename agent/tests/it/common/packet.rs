//! Inner packets as an operating system would send them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use warren_proto::io::Ecn;

use super::{v4, v6};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

pub(crate) const DONT_FRAGMENT: u16 = 0x4000;

/// What a test varies.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) ecn: Ecn,
    /// IPv4 flags and fragment offset.
    pub(crate) flags: u16,
}

impl Packet {
    pub(crate) fn v4(from: u8, to: u8, protocol: u8) -> Self {
        let (from, to) = (v4(from).into(), v4(to).into());
        Self { from, to, protocol, ttl: 64, ecn: Ecn::NotEct, flags: DONT_FRAGMENT }
    }

    pub(crate) fn v6(from: u8, to: u8, protocol: u8) -> Self {
        let (from, to) = (v6(from).into(), v6(to).into());
        Self { from, to, protocol, ttl: 64, ecn: Ecn::NotEct, flags: 0 }
    }

    /// The packet with `len` bytes in all, filled with a pattern that `mark` begins.
    pub(crate) fn filled(&self, len: usize, mark: u32) -> Vec<u8> {
        let header = if self.from.is_ipv4() { 20 } else { 40 };
        let mut payload: Vec<u8> = (0..len - header).map(|index| (index as u32 ^ mark) as u8).collect();
        if let Some(start) = payload.first_chunk_mut() {
            *start = mark.to_be_bytes();
        }
        self.with(&payload)
    }

    /// The packet with this payload.
    pub(crate) fn with(&self, payload: &[u8]) -> Vec<u8> {
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.build_v4(from, to, payload),
            (IpAddr::V6(from), IpAddr::V6(to)) => self.build_v6(from, to, payload),
            _ => panic!("a packet has one family"),
        }
    }

    fn build_v4(&self, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
        let len = u16::try_from(20 + payload.len()).expect("an IPv4 packet");
        let mut header = [0x45, self.ecn.bits(), 0, 0, 0, 0, 0, 0, self.ttl, self.protocol, 0, 0];
        header[2..4].copy_from_slice(&len.to_be_bytes());
        header[6..8].copy_from_slice(&self.flags.to_be_bytes());
        let mut packet = [&header[..], &from.octets(), &to.octets()].concat();
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn build_v6(&self, from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
        let len = u16::try_from(payload.len()).expect("an IPv6 packet");
        let mut header = [0x60, self.ecn.bits() << 4, 0, 0, 0, 0, self.protocol, self.ttl];
        header[4..6].copy_from_slice(&len.to_be_bytes());
        [&header[..], &from.octets(), &to.octets(), payload].concat()
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) as u16 + (folded >> 16) as u16)
}
