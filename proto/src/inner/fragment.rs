//! Cutting an IPv4 packet that allows it into fragments (RFC 791 section 3.2), for a path too narrow to carry it.
//!
//! Every fragment is a packet of its own that will travel whole; the far end's stack puts them together, never we.

use super::{checksum, parse, v4};
use crate::keys::Family;

/// The fragments of `packet`, each of at most `mtu` bytes; a fragment itself is cut further.
///
/// `None` when the packet may not be cut: it is IPv6, says DF, carries options (whose copying rules nobody needs any
/// more), is malformed, or is a fragment that would reach beyond any packet's end.
pub fn fragment(packet: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let outline = parse(packet).ok().filter(|outline| outline.family == Family::V4)?;
    let (header, rest) = packet[..outline.len].split_first_chunk::<{ v4::HEADER_LEN }>()?;
    if v4::dont_fragment(header) || outline.header_len != v4::HEADER_LEN {
        return None;
    }
    if fragment_offset(header) * UNIT + rest.len() > usize::from(u16::MAX) {
        return None;
    }
    let step = (mtu.max(super::MIN_MTU_V4) - v4::HEADER_LEN) / UNIT * UNIT;
    let count = rest.len().div_ceil(step);
    let fragments = rest.chunks(step).enumerate().map(|(index, piece)| {
        let more_follow = index + 1 < count;
        one_fragment(header, index * step / UNIT, more_follow, piece)
    });
    Some(fragments.collect())
}

/// One piece under a copy of the header; offset and "more fragments" continue those of the original.
fn one_fragment(header: &[u8; v4::HEADER_LEN], units: usize, more_follow: bool, piece: &[u8]) -> Vec<u8> {
    // the caller has seen to it that this does not run into the flags
    let offset = u16::from_be_bytes([header[6], header[7]]) + units as u16;
    let flags = if more_follow { offset | MORE_FRAGMENTS } else { offset };
    let mut fragment = header.to_vec();
    fragment[2..4].copy_from_slice(&((v4::HEADER_LEN + piece.len()) as u16).to_be_bytes());
    fragment[6..8].copy_from_slice(&flags.to_be_bytes());
    fragment[10..12].fill(0);
    let sum = checksum::finish(checksum::add(0, &fragment));
    fragment[10..12].copy_from_slice(&sum.to_be_bytes());
    fragment.extend(piece);
    fragment
}

/// Where an earlier cut put this packet's bytes, in units.
fn fragment_offset(header: &[u8; v4::HEADER_LEN]) -> usize {
    usize::from(u16::from_be_bytes([header[6], header[7]]) & OFFSET)
}

/// The low 13 bits of bytes 6 and 7.
const OFFSET: u16 = 0x1fff;

/// Offsets count in eight bytes.
const UNIT: usize = 8;

/// The flag beside the offset.
const MORE_FRAGMENTS: u16 = 0x2000;
