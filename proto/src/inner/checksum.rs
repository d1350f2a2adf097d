//! The internet checksum (RFC 1071): a one's complement sum of 16-bit words. Callers decide what it covers.

/// Adds `bytes` to a running sum, an odd last byte padded with zero. Pieces but the last must have an even length.
pub(super) fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (words, odd) = bytes.as_chunks::<2>();
    let sum = words.iter().fold(sum, |sum, word| sum + u32::from(u16::from_be_bytes(*word)));
    odd.first().map_or(sum, |byte| sum + (u32::from(*byte) << 8))
}

/// The sum with its carries folded in, complemented: what stands in the header, and 0 over a header that is right.
pub(super) const fn finish(sum: u32) -> u16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !(folded as u16)
}

#[cfg(test)]
mod tests {
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
}
