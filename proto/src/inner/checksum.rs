//! The internet checksum (RFC 1071): a one's complement sum of 16-bit words. Callers decide what it covers.

/// Adds `bytes` to a running sum, an odd last byte padded with zero. Pieces but the last must have an even length.
///
/// The sum does not care in which order or width words are added, nor in which byte order until the end (RFC 1071
/// section 2): 32-bit words of the machine's own order, several lanes at a time, are what a compiler makes vectors of.
pub fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (blocks, rest) = bytes.as_chunks::<{ 4 * LANES }>();
    let mut lanes = [0_u64; LANES];
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let wide = fold(lanes.iter().sum());
    let (words, odd) = rest.as_chunks::<2>();
    let sum =
        words.iter().fold(sum + u32::from(u16::from_be(wide)), |sum, word| sum + u32::from(u16::from_be_bytes(*word)));
    odd.first().map_or(sum, |byte| sum + (u32::from(*byte) << 8))
}

/// The sum with its carries folded in, complemented: what stands in the header, and 0 over a header that is right.
pub const fn finish(sum: u32) -> u16 {
    !fold(sum as u64)
}

/// The sum with its carries folded in: what stands in the header while somebody else is to add the rest.
pub const fn unfinished(sum: u32) -> u16 {
    fold(sum as u64)
}

const fn fold(sum: u64) -> u16 {
    let folded = (sum & 0xffff_ffff) + (sum >> 32);
    let folded = (folded & 0xffff) + (folded >> 16 & 0xffff) + (folded >> 32);
    let folded = (folded & 0xffff) + (folded >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    folded as u16
}

/// 32-bit words side by side: two vectors of the smallest kind that 64-bit processors have.
const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let sum = add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);

        assert_eq!(finish(sum), !0xddf2);
    }

    #[test]
    fn an_odd_last_byte_is_the_high_half_of_a_word() {
        assert_eq!(add(0, &[0x12, 0x34, 0x56]), 0x1234 + 0x5600);
    }

    #[test]
    fn the_largest_packet_of_ones_does_not_overflow() {
        assert_eq!(finish(add(0, &[0xff; 65_535])), 0x00ff);
    }

    proptest! {
        #[test]
        fn wide_lanes_agree_with_one_word_after_the_other(bytes in prop::collection::vec(any::<u8>(), 0..3000), start in 0_u32..70_000) {
            let plain = bytes.chunks(2).fold(start, |sum, word| {
                sum + u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]))
            });

            prop_assert_eq!(finish(add(start, &bytes)), finish(plain));
        }
    }
}
