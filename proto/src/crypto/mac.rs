//! HMAC-SHA256 cut to 16 bytes, compared in constant time. Who holds which key is `handshake`'s business.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The tag over all `parts`, one after the other; their lengths must be fixed or told by a part.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| hmac.update(part));
    let full: [u8; 32] = hmac.finalize().into_bytes().into();
    let (tag, _) = full.split_first_chunk().expect("a SHA-256 is longer than a tag");
    *tag
}

/// Whether two tags are equal, in time that does not tell where they differ.
pub(crate) fn tags_equal(one: &[u8; 16], other: &[u8; 16]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_first_half_of_the_published_hmac() {
        // RFC 4231 section 4.3
        let tag = mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);

        assert_eq!(tag, 0x5bdc_c146_bf60_754e_6a04_2426_0895_75c7_u128.to_be_bytes());
    }
}
