//! Cutting a packet that may be fragmented into pieces that fit the path (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! That is an IPv4 packet without DF, an IPv6 packet that is a fragment already (the host's route says what fits without
//! a header, and fragments travel with theirs), and one so small that its sender need not send less. Only a source may cut
//! IPv6, and this is the source's own machine. Any other packet's sender is told instead. The far end's stack puts the
//! pieces together, never we. Allocates; nothing that wants speed sends fragments.

use super::{Outline, parse, set_payload_len, v4, v6};
use crate::io::Discard;
use crate::keys::Family;

/// The fragments of `packet`, none longer than `mtu`, in order.
///
/// # Errors
/// `InnerTooBig` when it must not or cannot be cut, `InnerMalformed` when it is no packet or a fragment that reaches
/// beyond any packet's end.
pub fn fragments(packet: &[u8], mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    let outline = parse(packet)?;
    let packet = &packet[..outline.len];
    match outline.family {
        Family::V4 => fragments_v4(packet, &outline, mtu),
        Family::V6 => fragments_v6(packet, &outline, mtu),
    }
}

/// An IPv6 packet as a fragment that is the whole of it (RFC 8200 section 4.5), ready to be cut. `None` when a header
/// comes first that routers read, which every piece would have to carry.
pub fn as_fragment(packet: &[u8], id: u32) -> Option<Vec<u8>> {
    let outline = parse(packet).ok().filter(|outline| outline.family == Family::V6)?;
    let (fixed, rest) = packet[..outline.len].split_first_chunk::<{ v6::HEADER_LEN }>()?;
    match outline.protocol {
        V6_FRAGMENT_HEADER => return Some(packet.to_vec()),
        V6_HOP_BY_HOP | V6_ROUTING | V6_DESTINATION => return None,
        _ => {}
    }
    let mut fixed = *fixed;
    set_payload_len(&mut fixed, V6_HEADERS_LEN - v6::HEADER_LEN + rest.len()).ok()?;
    fixed[6] = V6_FRAGMENT_HEADER;
    let header = [outline.protocol, 0, 0, 0];
    Some([&fixed[..], &header, &id.to_be_bytes(), rest].concat())
}

fn fragments_v4(packet: &[u8], outline: &Outline, mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    let (header, payload) = packet.split_first_chunk::<{ v4::HEADER_LEN }>().ok_or(Discard::InnerMalformed)?;
    // options would have to be sorted into those that are copied; nothing sends them
    if v4::dont_fragment(header) || outline.header_len != v4::HEADER_LEN {
        return Err(Discard::InnerTooBig);
    }
    let place = u16::from_be_bytes([header[6], header[7]]);
    let first = (place & V4_OFFSET) * UNIT as u16;
    let fragment = |piece: Piece<'_>| {
        let more = if piece.is_last { place & V4_MORE_FRAGMENTS } else { V4_MORE_FRAGMENTS };
        let mut fragment = header.to_vec();
        fragment[6..8].copy_from_slice(&((piece.offset / UNIT as u16) | more).to_be_bytes());
        set_payload_len(&mut fragment, piece.bytes.len())?;
        fragment.extend(piece.bytes);
        Ok(fragment)
    };
    cut(payload, first, mtu.saturating_sub(v4::HEADER_LEN))?.map(fragment).collect()
}

fn fragments_v6(packet: &[u8], outline: &Outline, mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    if outline.protocol != V6_FRAGMENT_HEADER {
        return Err(Discard::InnerTooBig);
    }
    let (headers, payload) = packet.split_first_chunk::<V6_HEADERS_LEN>().ok_or(Discard::InnerMalformed)?;
    // the offset in bytes takes the upper 13 bits as it is; the lowest says that more follow
    let place = u16::from_be_bytes([headers[42], headers[43]]);
    let fragment = |piece: Piece<'_>| {
        let more = if piece.is_last { place & V6_MORE_FRAGMENTS } else { V6_MORE_FRAGMENTS };
        let mut fragment = headers.to_vec();
        fragment[42..44].copy_from_slice(&(piece.offset | more).to_be_bytes());
        set_payload_len(&mut fragment, V6_HEADERS_LEN - v6::HEADER_LEN + piece.bytes.len())?;
        fragment.extend(piece.bytes);
        Ok(fragment)
    };
    cut(payload, place & !V6_PLACE_FLAGS, mtu.saturating_sub(V6_HEADERS_LEN))?.map(fragment).collect()
}

/// A part of a payload, and where it lies in the datagram, in bytes.
struct Piece<'a> {
    bytes: &'a [u8],
    offset: u16,
    is_last: bool,
}

/// Cuts a payload that lies at `first` into pieces of at most `room` bytes, all but the last a multiple of eight.
fn cut(payload: &[u8], first: u16, room: usize) -> Result<impl Iterator<Item = Piece<'_>>, Discard> {
    let len = room / UNIT * UNIT;
    if len == 0 {
        return Err(Discard::InnerTooBig);
    }
    if usize::from(first) + payload.len() > usize::from(u16::MAX) {
        return Err(Discard::InnerMalformed);
    }
    let count = payload.len().div_ceil(len);
    let piece = move |(index, bytes)| Piece {
        bytes,
        // ends within 64 KiB, as has just been seen
        offset: first + (index * len) as u16,
        is_last: index + 1 == count,
    };
    Ok(payload.chunks(len).enumerate().map(piece))
}

/// Offsets are counted in units of eight bytes.
const UNIT: usize = 8;

/// The low 13 bits of bytes 6 and 7, and the flag above them.
const V4_OFFSET: u16 = 0x1fff;
const V4_MORE_FRAGMENTS: u16 = 0x2000;

/// The fixed header and the fragment header right behind it, as hosts send them.
const V6_HEADERS_LEN: usize = v6::HEADER_LEN + 8;
const V6_FRAGMENT_HEADER: u8 = 44;
const V6_HOP_BY_HOP: u8 = 0;
const V6_ROUTING: u8 = 43;
/// Destination options, which may stand before a routing header.
const V6_DESTINATION: u8 = 60;
const V6_MORE_FRAGMENTS: u16 = 1;
/// Two reserved bits and "more fragments".
const V6_PLACE_FLAGS: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_fit_are_well_formed_and_add_up_to_the_packet() {
        let packet = packet(3000, 0);

        let pieces = fragments(&packet, 1200).unwrap();

        let mut payload: Vec<u8> = Vec::new();
        for piece in &pieces {
            let outline = parse(piece).expect("a well-formed fragment");
            assert!(piece.len() <= 1200);
            assert_eq!(usize::from(flags_of(piece) & V4_OFFSET) * UNIT, payload.len());
            payload.extend(&piece[outline.payload()]);
            assert_eq!(flags_of(piece) & V4_MORE_FRAGMENTS != 0, payload.len() < 3000);
        }
        assert_eq!(payload, packet[20..]);
    }

    #[test]
    fn a_fragment_is_cut_further_and_keeps_its_place() {
        let middle = packet(1600, V4_MORE_FRAGMENTS | 100);
        let middle_v6 = packet_v6(V6_FRAGMENT_HEADER, 1600, 800 | V6_MORE_FRAGMENTS);
        let last_v6 = packet_v6(V6_FRAGMENT_HEADER, 1600, 800);

        let pieces = fragments(&middle, 1020).unwrap();
        let pieces_v6 = fragments(&middle_v6, 1048).unwrap();
        let pieces_of_last = fragments(&last_v6, 1048).unwrap();

        assert_eq!(pieces.iter().map(|piece| flags_of(piece)).collect::<Vec<_>>(), [0x2000 | 100, 0x2000 | 225]);
        let place = |piece: &Vec<u8>| u16::from_be_bytes([piece[42], piece[43]]);
        assert_eq!(pieces_v6.iter().map(place).collect::<Vec<_>>(), [800 | 1, 1800 | 1]);
        assert_eq!(pieces_of_last.iter().map(place).collect::<Vec<_>>(), [800 | 1, 1800]);
        for (piece, len) in pieces_v6.iter().zip([1048, 648]) {
            assert_eq!((piece.len(), parse(piece).unwrap().len), (len, len));
        }
    }

    #[test]
    fn an_ipv6_packet_becomes_fragments_that_add_up_to_it() {
        let mut whole = packet_v6(17, 1232, 0);
        whole[6] = 6;

        let pieces = fragments(&as_fragment(&whole, 0xabcd).unwrap(), 1226).unwrap();

        let places: Vec<_> = pieces.iter().map(|piece| u16::from_be_bytes([piece[42], piece[43]])).collect();
        assert_eq!(places, [V6_MORE_FRAGMENTS, 1176]);
        for piece in &pieces {
            assert!(piece.len() <= 1226 && parse(piece).unwrap().len == piece.len());
            assert_eq!((piece[6], piece[40], &piece[44..48]), (V6_FRAGMENT_HEADER, 6, &[0, 0, 0xab, 0xcd][..]));
        }
        assert_eq!([&pieces[0][48..], &pieces[1][48..]].concat(), whole[40..]);
        whole[6] = V6_HOP_BY_HOP;
        assert_eq!(as_fragment(&whole, 1), None);
        assert_eq!(as_fragment(&packet(1000, 0), 1), None);
    }

    #[test]
    fn what_must_not_be_cut_is_not() {
        assert_eq!(fragments(&packet(3000, 0x4000), 1200), Err(Discard::InnerTooBig));
        let mut with_options = packet(100, 0);
        with_options[0] = 0x46;
        set_payload_len(&mut with_options, 96).unwrap();
        assert_eq!(fragments(&with_options, 100), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet(3000, 0), 27), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet(60_000, 8000), 1200), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&packet(16, V4_OFFSET), 30), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&packet_v6(V6_FRAGMENT_HEADER, 16, 0xfff8), 56), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&packet_v6(17, 1500, 0), 1280), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet_v6(V6_FRAGMENT_HEADER, 0, 0)[..44], 40), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&[0x45, 0, 0], 1200), Err(Discard::InnerMalformed));
    }

    fn flags_of(piece: &[u8]) -> u16 {
        u16::from_be_bytes([piece[6], piece[7]])
    }

    fn packet(payload_len: usize, flags: u16) -> Vec<u8> {
        let mut header = [0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 100, 64, 0, 1, 100, 64, 0, 2];
        header[6..8].copy_from_slice(&flags.to_be_bytes());
        set_payload_len(&mut header, payload_len).unwrap();
        header.into_iter().chain((0..payload_len).map(|byte| byte as u8)).collect()
    }

    fn packet_v6(next_header: u8, payload_len: usize, place: u16) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next_header, 64];
        packet[4..6].copy_from_slice(&u16::try_from(8 + payload_len).unwrap().to_be_bytes());
        packet.extend([[0xfd; 16], [0xfd; 16]].concat());
        packet.extend([17, 0]);
        packet.extend(place.to_be_bytes());
        packet.extend([0x12, 0x34, 0x56, 0x78]);
        packet.extend((0..payload_len).map(|byte| byte as u8));
        packet
    }
}
