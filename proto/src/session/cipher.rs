//! The AEAD as RFC 4106 and RFC 8750 use it: nonce = salt ‖ IV, where the IV is the sequence number, sent or not.
//!
//! Works on byte ranges of one buffer; what the payload means and whether the number is fresh is decided elsewhere.

use std::ops::Range;

use crate::crypto::{EspAead, NONCE_LEN, Suite};
use crate::io::Discard;
use crate::wire::esp::{self, Header, ICV_LEN, Layout, NextHeader};

use super::KEY_MATERIAL_LEN;

/// One association's key, salt and packet layout.
pub(super) struct Cipher {
    aead: EspAead,
    salt: [u8; SALT_LEN],
    explicit_iv: bool,
    pub(super) layout: Layout,
}

impl Cipher {
    pub(super) fn new(suite: Suite, key_material: &[u8; KEY_MATERIAL_LEN]) -> Self {
        let (key, salt) = key_material.split_first_chunk().expect("key material is longer than a key");
        let salt = salt.try_into().expect("what follows the key is the salt");
        let iv_len = suite.iv_len();
        Self { aead: EspAead::new(suite, key), salt, explicit_iv: iv_len != 0, layout: Layout::new(iv_len) }
    }

    /// Encrypts `buffer[payload]` where it lies, writes everything around it, and says where the packet is.
    ///
    /// # Panics
    /// When the buffer lacks the room before or after the payload.
    pub(super) fn seal(
        &self,
        buffer: &mut [u8],
        payload: Range<usize>,
        next_header: NextHeader,
        header: Header,
    ) -> Range<usize> {
        let start = payload.start - self.layout.prefix_len();
        let trailer_len = esp::write_trailer(&mut buffer[payload.end..], payload.len(), next_header);
        let aad = header.encode();
        let iv = sequence_iv(header.sequence);
        let (prefix, rest) = buffer[start..].split_at_mut(self.layout.prefix_len());
        let (ciphertext, rest) = rest.split_at_mut(payload.len() + trailer_len);

        prefix[..Header::LEN].copy_from_slice(&aad);
        if self.explicit_iv {
            prefix[Header::LEN..].copy_from_slice(&iv);
        }
        let icv = self.aead.seal_in_place(&self.nonce(iv), &aad, ciphertext);
        rest[..ICV_LEN].copy_from_slice(&icv);

        start..payload.end + trailer_len + ICV_LEN
    }

    /// Verifies and decrypts the ESP packet `buffer[datagram]` where it lies, and says where its payload is.
    pub(super) fn open(
        &self,
        buffer: &mut [u8],
        datagram: Range<usize>,
        header: Header,
    ) -> Result<Range<usize>, Discard> {
        let ciphertext_len = self.layout.ciphertext_len(datagram.len())?;
        let (prefix, rest) = buffer[datagram.clone()].split_at_mut(self.layout.prefix_len());
        let (ciphertext, icv) = rest.split_at_mut(ciphertext_len);
        let icv = icv.first_chunk().ok_or(Discard::Length)?;
        let iv = match prefix.get(Header::LEN..).and_then(|iv| iv.first_chunk()) {
            Some(sent) if self.explicit_iv => *sent,
            Some(_) | None => sequence_iv(header.sequence),
        };
        self.aead.open_in_place(&self.nonce(iv), &header.encode(), ciphertext, icv)?;

        let start = datagram.start + self.layout.prefix_len();
        Ok(start..start + ciphertext_len)
    }

    /// Put together in a register: twelve bytes stored in two parts and loaded as others would wait for the stores.
    fn nonce(&self, iv: [u8; IV_LEN]) -> [u8; NONCE_LEN] {
        let word = u128::from(u32::from_be_bytes(self.salt)) << 96 | u128::from(u64::from_be_bytes(iv)) << 32;
        *word.to_be_bytes().first_chunk().expect("sixteen bytes begin with twelve")
    }
}

/// Four zero bytes and the sequence number (RFC 8750 section 4); as good an explicit IV as any that never repeats.
fn sequence_iv(sequence: u32) -> [u8; IV_LEN] {
    u64::from(sequence).to_be_bytes()
}

/// RFC 4106 section 4.
const SALT_LEN: usize = 4;

/// RFC 4106 section 3.1.
const IV_LEN: usize = 8;
