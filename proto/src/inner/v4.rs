//! The IPv4 header (RFC 791): reading, the canonical test, rebuilding.
//!
//! Rebuilt headers say DF and identification 0: an unfragmented datagram that nobody fragments later is atomic, and
//! its identification means nothing (RFC 6864 section 4).

use std::net::Ipv4Addr;

use crate::io::{Discard, Ecn};
use crate::keys::Family;

use super::{Addresses, Outline, checksum};

/// Bytes of a header without options.
pub(super) const HEADER_LEN: usize = 20;

/// See [`super::Template`].
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// TTL, then source and destination, as they stand in a packet.
    ttl: u8,
    addresses: [u8; 8],
    /// Checksum so far over everything that is the same in each rebuilt header.
    fixed_sum: u32,
}

impl Template {
    pub(super) fn new(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8) -> Self {
        let mut addresses = [0; 8];
        addresses[..4].copy_from_slice(&source.octets());
        addresses[4..].copy_from_slice(&destination.octets());
        let fixed = [VERSION_IHL, 0, DONT_FRAGMENT, 0, ttl, 0];
        let fixed_sum = checksum::add(checksum::add(0, &fixed), &addresses);
        Self { ttl, addresses, fixed_sum }
    }

    pub(super) fn source(&self) -> Ipv4Addr {
        let [a, b, c, d, ..] = self.addresses;
        Ipv4Addr::new(a, b, c, d)
    }

    pub(super) fn destination(&self) -> Ipv4Addr {
        let [.., a, b, c, d] = self.addresses;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Whether `packet`, already parsed, is what [`Self::rebuild`] would make of its payload.
    pub(super) fn is_canonical(&self, packet: &[u8]) -> bool {
        let Some(header) = packet.first_chunk::<HEADER_LEN>() else { return false };
        header[0] == VERSION_IHL
            && header[1] & DSCP_MASK == 0
            // any offset, "more fragments" or the reserved bit
            && header[6] & !DONT_FRAGMENT == 0
            && header[7] == 0
            && header[8] == self.ttl
            && super::is_upper_layer(header[9])
            && header[12..] == self.addresses
    }

    pub(super) fn rebuild(&self, header: &mut [u8], protocol: u8, ecn: Ecn, payload_len: usize) -> Result<(), Discard> {
        let total_len = u16::try_from(HEADER_LEN + payload_len).map_err(|_| Discard::Length)?;
        let sum = self.fixed_sum + u32::from(ecn.bits()) + u32::from(protocol) + u32::from(total_len);
        header[..2].copy_from_slice(&[VERSION_IHL, ecn.bits()]);
        header[2..4].copy_from_slice(&total_len.to_be_bytes());
        header[4..10].copy_from_slice(&[0, 0, DONT_FRAGMENT, 0, self.ttl, protocol]);
        header[10..12].copy_from_slice(&checksum::finish(sum).to_be_bytes());
        header[12..].copy_from_slice(&self.addresses);
        Ok(())
    }
}

pub(super) fn parse(packet: &[u8]) -> Result<Outline, Discard> {
    let header = packet.first_chunk::<HEADER_LEN>().ok_or(Discard::InnerMalformed)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header_len < HEADER_LEN || len < header_len || packet.len() < len {
        return Err(Discard::InnerMalformed);
    }
    if checksum::finish(checksum::add(0, &packet[..header_len])) != 0 {
        return Err(Discard::InnerMalformed);
    }
    Ok(Outline { family: Family::V4, len, header_len, protocol: header[9], ecn: Ecn::from_bits(header[1]) })
}

pub(super) fn addresses(packet: &[u8]) -> Result<Addresses, Discard> {
    let header = packet.first_chunk::<HEADER_LEN>().ok_or(Discard::InnerMalformed)?;
    let [.., a, b, c, d, e, f, g, h] = *header;
    Ok(Addresses { source: Ipv4Addr::new(a, b, c, d).into(), destination: Ipv4Addr::new(e, f, g, h).into() })
}

pub(super) fn set_ecn(packet: &mut [u8], ecn: Ecn) {
    packet[1] = packet[1] & DSCP_MASK | ecn.bits();
    mend_checksum(packet);
}

pub(super) fn set_payload_len(header: &mut [u8], payload_len: usize) -> Result<(), Discard> {
    let header_len = header.first().map_or(0, |byte| usize::from(byte & 0x0f) * 4);
    if header_len < HEADER_LEN || header.len() < header_len {
        return Err(Discard::InnerMalformed);
    }
    let total_len = u16::try_from(header_len + payload_len).map_err(|_| Discard::Length)?;
    header[2..4].copy_from_slice(&total_len.to_be_bytes());
    mend_checksum(header);
    Ok(())
}

fn mend_checksum(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    packet[10..12].fill(0);
    let sum = checksum::finish(checksum::add(0, &packet[..header_len]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Whether a router may not fragment `packet`, and what follows its header is no later fragment.
pub(super) fn dont_fragment(header: &[u8; HEADER_LEN]) -> bool {
    header[6] & DONT_FRAGMENT != 0
}

/// Whether this is a fragment other than the first.
pub(super) fn is_later_fragment(header: &[u8; HEADER_LEN]) -> bool {
    u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0
}

/// Version 4, five words of header.
const VERSION_IHL: u8 = 0x45;

/// The flag in byte 6.
const DONT_FRAGMENT: u8 = 0x40;

/// The six high bits of the TOS byte (RFC 2474).
const DSCP_MASK: u8 = 0xfc;
