//! Cuts a packet that may be fragmented into pieces that fit the path (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! That is an IPv4 packet without DF, an IPv6 packet that is a fragment already (the host's route says what fits without
//! a header, and fragments travel with theirs), and one so small that its sender need not send less. Only a source may cut
//! IPv6, and this is the source's own machine. Any other packet's sender is told instead. Allocates; nothing that wants speed sends fragments.

use warren_proto::inner::{self, Outline};
use warren_proto::io::Discard;
use warren_proto::keys::Family;

/// The fragments of `packet`, none longer than `mtu`, in order. `InnerTooBig` when it must not or cannot be cut.
pub(super) fn fragments(packet: &[u8], mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    let outline = inner::parse(packet)?;
    match outline.family {
        Family::V4 => fragments_v4(packet, &outline, mtu),
        Family::V6 => fragments_v6(packet, &outline, mtu),
    }
}

/// An IPv6 packet as a fragment that is the whole of it (RFC 8200 section 4.5), ready to be cut. `None` when a header
/// comes first that routers read, which every piece would have to carry.
pub(super) fn as_fragment(packet: &[u8], id: u32) -> Option<Vec<u8>> {
    let outline = inner::parse(packet).ok().filter(|outline| outline.family == Family::V6)?;
    let (fixed, rest) = packet[..outline.len].split_first_chunk::<V6_FIXED_LEN>()?;
    match outline.protocol {
        V6_FRAGMENT_HEADER => return Some(packet.to_vec()),
        V6_HOP_BY_HOP | V6_ROUTING | V6_DESTINATION => return None,
        _ => {}
    }
    let mut fixed = *fixed;
    fixed[4..6].copy_from_slice(&length(V6_HEADERS_LEN - V6_FIXED_LEN + rest.len()).ok()?);
    fixed[6] = V6_FRAGMENT_HEADER;
    let header = [outline.protocol, 0, 0, 0];
    Some([&fixed[..], &header, &id.to_be_bytes(), rest].concat())
}

fn fragments_v4(packet: &[u8], outline: &Outline, mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    let header: &[u8; V4_HEADER_LEN] = packet.first_chunk().ok_or(Discard::InnerMalformed)?;
    let flags = u16::from_be_bytes([header[6], header[7]]);
    // options would have to be sorted into those that are copied; nothing sends them
    if flags & V4_DONT_FRAGMENT != 0 || outline.header_len != V4_HEADER_LEN {
        return Err(Discard::InnerTooBig);
    }
    let pieces = cut(&packet[outline.payload()], mtu.saturating_sub(V4_HEADER_LEN))?;
    let more_follow = flags & V4_MORE_FRAGMENTS != 0;
    let fragment = |piece: &Piece<'_>| {
        let offset = offset(usize::from(flags & OFFSET_MASK) * UNIT, piece)? / UNIT as u16;
        let more = if piece.is_last && !more_follow { 0 } else { V4_MORE_FRAGMENTS };
        let mut header = *header;
        header[2..4].copy_from_slice(&length(V4_HEADER_LEN + piece.bytes.len())?);
        header[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        header[10..12].fill(0);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        Ok([&header[..], piece.bytes].concat())
    };
    pieces.iter().map(fragment).collect()
}

fn fragments_v6(packet: &[u8], outline: &Outline, mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    if outline.protocol != V6_FRAGMENT_HEADER {
        return Err(Discard::InnerTooBig);
    }
    let headers: &[u8; V6_HEADERS_LEN] = packet.first_chunk().ok_or(Discard::InnerMalformed)?;
    let place = u16::from_be_bytes([headers[42], headers[43]]);
    let payload = packet.get(V6_HEADERS_LEN..outline.len).ok_or(Discard::InnerMalformed)?;
    let pieces = cut(payload, mtu.saturating_sub(V6_HEADERS_LEN))?;
    let fragment = |piece: &Piece<'_>| {
        // the offset in bytes takes the upper 13 bits as it is; the lowest says that more follow
        let offset = offset(usize::from(place & !V6_PLACE_FLAGS), piece)?;
        let more = if piece.is_last { place & V6_MORE_FRAGMENTS } else { V6_MORE_FRAGMENTS };
        let mut headers = *headers;
        headers[4..6].copy_from_slice(&length(V6_HEADERS_LEN - V6_FIXED_LEN + piece.bytes.len())?);
        headers[42..44].copy_from_slice(&(offset | more).to_be_bytes());
        Ok([&headers[..], piece.bytes].concat())
    };
    pieces.iter().map(fragment).collect()
}

/// A part of a payload.
struct Piece<'a> {
    bytes: &'a [u8],
    start: usize,
    is_last: bool,
}

/// Cuts `payload` into pieces of at most `room` bytes, all but the last a multiple of eight.
fn cut(payload: &[u8], room: usize) -> Result<Vec<Piece<'_>>, Discard> {
    let len = room / UNIT * UNIT;
    if len == 0 {
        return Err(Discard::InnerTooBig);
    }
    let piece = |(number, bytes): (usize, _)| Piece {
        bytes,
        start: number * len,
        is_last: (number + 1) * len >= payload.len(),
    };
    Ok(payload.chunks(len).enumerate().map(piece).collect())
}

/// Where a piece lies in the datagram, in bytes.
fn offset(first: usize, piece: &Piece<'_>) -> Result<u16, Discard> {
    u16::try_from(first + piece.start).map_err(|_| Discard::InnerMalformed)
}

fn length(len: usize) -> Result<[u8; 2], Discard> {
    u16::try_from(len).map(u16::to_be_bytes).map_err(|_| Discard::InnerMalformed)
}

/// RFC 1071, over a header.
fn checksum(header: &[u8; V4_HEADER_LEN]) -> u16 {
    let words = header.as_chunks::<2>().0.iter();
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    // ten words carry at most nine into the high half, so one fold and one more suffice
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) as u16 + (folded >> 16) as u16)
}

/// Offsets are counted in units of eight bytes.
const UNIT: usize = 8;

const V4_HEADER_LEN: usize = 20;
const V4_DONT_FRAGMENT: u16 = 0x4000;
const V4_MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

const V6_FIXED_LEN: usize = 40;
/// The fixed header and the fragment header right behind it, as hosts send them.
const V6_HEADERS_LEN: usize = V6_FIXED_LEN + 8;
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
            let outline = inner::parse(piece).expect("a well-formed fragment");
            assert!(piece.len() <= 1200);
            assert_eq!(usize::from(flags_of(piece) & OFFSET_MASK) * UNIT, payload.len());
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
            assert_eq!((piece.len(), inner::parse(piece).unwrap().len), (len, len));
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
            assert!(piece.len() <= 1226 && inner::parse(piece).unwrap().len == piece.len());
            assert_eq!((piece[6], piece[40], &piece[44..48]), (V6_FRAGMENT_HEADER, 6, &[0, 0, 0xab, 0xcd][..]));
        }
        assert_eq!([&pieces[0][48..], &pieces[1][48..]].concat(), whole[40..]);
        whole[6] = V6_HOP_BY_HOP;
        assert_eq!(as_fragment(&whole, 1), None);
        assert_eq!(as_fragment(&packet(1000, 0), 1), None);
    }

    #[test]
    fn what_must_not_be_cut_is_not() {
        assert_eq!(fragments(&packet(3000, V4_DONT_FRAGMENT), 1200), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet(3000, 0), 27), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet(60_000, 8000), 1200), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&packet_v6(17, 1500, 0), 1280), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet_v6(V6_FRAGMENT_HEADER, 0, 0)[..44], 40), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&[0x45, 0, 0], 1200), Err(Discard::InnerMalformed));
    }

    fn flags_of(piece: &[u8]) -> u16 {
        u16::from_be_bytes([piece[6], piece[7]])
    }

    fn packet(payload_len: usize, flags: u16) -> Vec<u8> {
        let mut header = [0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 100, 64, 0, 1, 100, 64, 0, 2];
        header[2..4].copy_from_slice(&u16::try_from(20 + payload_len).unwrap().to_be_bytes());
        header[6..8].copy_from_slice(&flags.to_be_bytes());
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
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
