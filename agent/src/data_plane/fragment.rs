//! Cuts an IPv4 packet that may be fragmented into pieces that fit the path (RFC 791 section 3.2).
//!
//! The pieces travel whole and are put together by the receiving host. IPv6 packets and those with DF are never cut:
//! their sender is told instead. Allocates; nothing that wants speed sends such packets.

use warren_proto::inner;
use warren_proto::io::Discard;
use warren_proto::keys::Family;

/// The fragments of `packet`, none longer than `mtu`, in order. `InnerTooBig` when it must not or cannot be cut.
pub(super) fn fragments(packet: &[u8], mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    let outline = inner::parse(packet)?;
    if outline.family != Family::V4 {
        return Err(Discard::InnerTooBig);
    }
    let header = packet.first_chunk().ok_or(Discard::InnerMalformed)?;
    // options would have to be sorted into those that are copied; nothing sends them
    if flags_of(header) & DONT_FRAGMENT != 0 || outline.header_len != FIXED_HEADER_LEN {
        return Err(Discard::InnerTooBig);
    }
    cut(header, &packet[outline.payload()], mtu)
}

fn cut(header: &[u8; FIXED_HEADER_LEN], payload: &[u8], mtu: usize) -> Result<Vec<Vec<u8>>, Discard> {
    let piece_len = mtu.saturating_sub(FIXED_HEADER_LEN) / UNIT * UNIT;
    if piece_len == 0 {
        return Err(Discard::InnerTooBig);
    }
    let first_offset = usize::from(flags_of(header) & OFFSET_MASK);
    let more_follow = flags_of(header) & MORE_FRAGMENTS;
    let last = payload.len().div_ceil(piece_len).saturating_sub(1);
    let fragment = |(number, piece): (usize, &[u8])| {
        let more = if number < last { MORE_FRAGMENTS } else { more_follow };
        let offset = u16::try_from(first_offset + number * piece_len / UNIT).map_err(|_| Discard::InnerMalformed)?;
        if offset > OFFSET_MASK {
            return Err(Discard::InnerMalformed);
        }
        fragment(header, more | offset, piece)
    };
    payload.chunks(piece_len).enumerate().map(fragment).collect()
}

fn fragment(header: &[u8; FIXED_HEADER_LEN], flags: u16, piece: &[u8]) -> Result<Vec<u8>, Discard> {
    let len = u16::try_from(FIXED_HEADER_LEN + piece.len()).map_err(|_| Discard::InnerMalformed)?;
    let mut header = *header;
    header[2..4].copy_from_slice(&len.to_be_bytes());
    header[6..8].copy_from_slice(&flags.to_be_bytes());
    header[10..12].fill(0);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    Ok([&header[..], piece].concat())
}

/// Flags and fragment offset.
const fn flags_of(header: &[u8; FIXED_HEADER_LEN]) -> u16 {
    u16::from_be_bytes([header[6], header[7]])
}

/// RFC 1071, over a header.
fn checksum(header: &[u8; FIXED_HEADER_LEN]) -> u16 {
    let words = header.as_chunks::<2>().0.iter();
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    // ten words carry at most nine into the high half, so one fold and one more suffice
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) as u16 + (folded >> 16) as u16)
}

const FIXED_HEADER_LEN: usize = 20;

/// Offsets are counted in units of eight bytes.
const UNIT: usize = 8;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

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
            let flags = flags_of(piece.first_chunk().unwrap());
            assert!(piece.len() <= 1200);
            assert_eq!(usize::from(flags & OFFSET_MASK) * UNIT, payload.len());
            payload.extend(&piece[outline.payload()]);
            assert_eq!(flags & MORE_FRAGMENTS != 0, payload.len() < 3000);
        }
        assert_eq!(payload, packet[20..]);
    }

    #[test]
    fn a_fragment_is_cut_further_and_keeps_its_place() {
        let middle = packet(1600, MORE_FRAGMENTS | 100);

        let pieces = fragments(&middle, 1020).unwrap();

        let flags: Vec<u16> = pieces.iter().map(|piece| flags_of(piece.first_chunk().unwrap())).collect();
        assert_eq!(flags, [MORE_FRAGMENTS | 100, MORE_FRAGMENTS | 225]);
    }

    #[test]
    fn what_must_not_be_cut_is_not() {
        assert_eq!(fragments(&packet(3000, DONT_FRAGMENT), 1200), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet(3000, 0), 27), Err(Discard::InnerTooBig));
        assert_eq!(fragments(&packet(60_000, 8000), 1200), Err(Discard::InnerMalformed));
        assert_eq!(fragments(&[0x45, 0, 0], 1200), Err(Discard::InnerMalformed));
    }

    fn packet(payload_len: usize, flags: u16) -> Vec<u8> {
        let mut header = [0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 100, 64, 0, 1, 100, 64, 0, 2];
        header[2..4].copy_from_slice(&u16::try_from(20 + payload_len).unwrap().to_be_bytes());
        header[6..8].copy_from_slice(&flags.to_be_bytes());
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.into_iter().chain((0..payload_len).map(|byte| byte as u8)).collect()
    }
}
