//! The IPv6 header (RFC 8200): reading, the canonical test, rebuilding.
//!
//! The flow label is not carried: only the receiving host's own stack would see it, and 0 is always legal (RFC 6437).

use std::net::Ipv6Addr;

use crate::io::{Discard, Ecn};
use crate::keys::Family;

use super::{Addresses, Outline};

/// Bytes of the fixed header.
pub(super) const HEADER_LEN: usize = 40;

/// See [`super::Template`].
#[derive(Clone, Debug)]
pub(super) struct Template {
    hop_limit: u8,
    /// Source and destination as they stand in a packet.
    addresses: [u8; 32],
}

impl Template {
    pub(super) fn new(source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8) -> Self {
        let mut addresses = [0; 32];
        addresses[..16].copy_from_slice(&source.octets());
        addresses[16..].copy_from_slice(&destination.octets());
        Self { hop_limit, addresses }
    }

    pub(super) fn source(&self) -> Ipv6Addr {
        address(&self.addresses[..16])
    }

    pub(super) fn destination(&self) -> Ipv6Addr {
        address(&self.addresses[16..])
    }

    /// Whether `packet`, already parsed, is what [`Self::rebuild`] would make of its payload, flow label aside.
    pub(super) fn is_canonical(&self, packet: &[u8]) -> bool {
        let Some(header) = packet.first_chunk::<HEADER_LEN>() else { return false };
        traffic_class(header) & DSCP_MASK == 0
            && super::is_upper_layer(header[6])
            && header[7] == self.hop_limit
            && header[8..] == self.addresses
    }

    pub(super) fn rebuild(&self, header: &mut [u8], protocol: u8, ecn: Ecn, payload_len: usize) -> Result<(), Discard> {
        let payload_len = u16::try_from(payload_len).map_err(|_| Discard::Length)?;
        header[..4].copy_from_slice(&[VERSION, ecn.bits() << 4, 0, 0]);
        header[4..6].copy_from_slice(&payload_len.to_be_bytes());
        header[6..8].copy_from_slice(&[protocol, self.hop_limit]);
        header[8..].copy_from_slice(&self.addresses);
        Ok(())
    }
}

pub(super) fn parse(packet: &[u8]) -> Result<Outline, Discard> {
    let header = packet.first_chunk::<HEADER_LEN>().ok_or(Discard::InnerMalformed)?;
    let len = HEADER_LEN + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if packet.len() < len {
        return Err(Discard::InnerMalformed);
    }
    let ecn = Ecn::from_bits(traffic_class(header));
    Ok(Outline { family: Family::V6, len, header_len: HEADER_LEN, protocol: header[6], ecn })
}

pub(super) fn addresses(packet: &[u8]) -> Result<Addresses, Discard> {
    let header = packet.first_chunk::<HEADER_LEN>().ok_or(Discard::InnerMalformed)?;
    Ok(Addresses { source: address(&header[8..24]).into(), destination: address(&header[24..]).into() })
}

pub(super) fn set_payload_len(header: &mut [u8], payload_len: usize) -> Result<(), Discard> {
    let payload_len = u16::try_from(payload_len).map_err(|_| Discard::Length)?;
    header.get_mut(4..6).ok_or(Discard::InnerMalformed)?.copy_from_slice(&payload_len.to_be_bytes());
    Ok(())
}

pub(super) fn set_ecn(packet: &mut [u8], ecn: Ecn) {
    packet[1] = packet[1] & !0x30 | ecn.bits() << 4;
}

/// The byte that lies across the first two.
fn traffic_class(header: &[u8; HEADER_LEN]) -> u8 {
    header[0] << 4 | header[1] >> 4
}

fn address(octets: &[u8]) -> Ipv6Addr {
    Ipv6Addr::from(<[u8; 16]>::try_from(octets).expect("callers slice sixteen bytes of a fixed header"))
}

/// Version 6 in the high nibble.
const VERSION: u8 = 0x60;

/// The six high bits of the traffic class (RFC 2474).
const DSCP_MASK: u8 = 0xfc;
