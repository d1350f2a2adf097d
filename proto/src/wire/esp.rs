//! The ESP packet around its ciphertext (RFC 4303 section 2): header, padding, trailer and their sizes. No keys here.
//!
//! ```text
//!  0       4       8           8+iv                                              len-16       len
//!  | SPI   | seq   | IV (0, 8) | payload | pad 1,2,3.. | pad length | next header | ICV         |
//!  '--- authenticated -'       '--------------- encrypted and authenticated ------'
//! ```

use crate::io::Discard;
use crate::keys::{Family, Spi};

use super::Cursor;

/// The clear first eight bytes; together they are the additional authenticated data of the AEAD (RFC 4106 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The receiver's name for the security association.
    pub spi: Spi,
    /// The packet's number; the sender's first is 1.
    pub sequence: u32,
}

impl Header {
    /// Bytes of SPI and sequence number.
    pub const LEN: usize = 8;

    /// Reads the header at the start of `datagram`.
    pub fn decode(datagram: &[u8]) -> Result<Self, Discard> {
        let mut cursor = Cursor::new(datagram);
        let (word, sequence) = (cursor.u32()?, cursor.u32()?);
        let spi = Spi::new(word).ok_or(Discard::Malformed)?;
        Ok(Self { spi, sequence })
    }

    /// The bytes on the wire.
    pub fn encode(self) -> [u8; Self::LEN] {
        let word = u64::from(self.spi.get()) << 32 | u64::from(self.sequence);
        word.to_be_bytes()
    }
}

/// What an ESP payload is (RFC 4303 section 2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHeader {
    /// A control message of ours (experimental number of RFC 3692).
    Control,
    /// Nothing: discarded after authentication (RFC 4303 section 2.6).
    Dummy,
    /// An upper-layer segment whose IP header stays at home.
    Transport(u8),
    /// A whole inner packet.
    Whole(Family),
}

impl NextHeader {
    /// Reads the number of a trailer. Whether a protocol may travel in transport form is `inner`'s to say.
    pub const fn decode(number: u8) -> Self {
        match number {
            CONTROL => Self::Control,
            DUMMY => Self::Dummy,
            IPV4 => Self::Whole(Family::V4),
            IPV6 => Self::Whole(Family::V6),
            _ => Self::Transport(number),
        }
    }

    /// The number on the wire.
    pub const fn encode(self) -> u8 {
        match self {
            Self::Control => CONTROL,
            Self::Dummy => DUMMY,
            Self::Transport(number) => number,
            Self::Whole(Family::V4) => IPV4,
            Self::Whole(Family::V6) => IPV6,
        }
    }
}

/// Sizes of an ESP packet whose IV takes `iv_len` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    iv_len: usize,
}

impl Layout {
    /// For a suite with this many bytes of explicit IV.
    pub const fn new(iv_len: usize) -> Self {
        Self { iv_len }
    }

    /// Bytes before the ciphertext.
    pub const fn prefix_len(self) -> usize {
        Header::LEN + self.iv_len
    }

    /// The whole ESP packet around `payload_len` bytes.
    pub const fn packet_len(self, payload_len: usize) -> usize {
        self.prefix_len() + payload_len + trailer_len(payload_len) + ICV_LEN
    }

    /// The largest payload whose packet fits into `packet_len` bytes; `None` when not even an empty one does.
    pub const fn payload_capacity(self, packet_len: usize) -> Option<usize> {
        let Some(room) = packet_len.checked_sub(self.prefix_len() + ICV_LEN) else { return None };
        (room - room % ALIGNMENT).checked_sub(TRAILER_LEN)
    }

    /// Length of the ciphertext in a packet of `packet_len` bytes, if there is such a packet.
    pub const fn ciphertext_len(self, packet_len: usize) -> Result<usize, Discard> {
        match packet_len.checked_sub(self.prefix_len() + ICV_LEN) {
            Some(len) if len >= ALIGNMENT && len.is_multiple_of(ALIGNMENT) => Ok(len),
            _ => Err(Discard::Length),
        }
    }
}

/// Writes padding and trailer at the start of `tail`, the room after the payload; says how many bytes that took.
///
/// # Panics
/// When `tail` is shorter than [`MAX_TRAILER_LEN`].
pub fn write_trailer(tail: &mut [u8], payload_len: usize, next_header: NextHeader) -> usize {
    let len = trailer_len(payload_len);
    let pad_len = len - TRAILER_LEN;
    tail[..MAX_PADDING].copy_from_slice(&[1, 2, 3]);
    // at most 3
    tail[pad_len] = pad_len as u8;
    tail[pad_len + 1] = next_header.encode();
    len
}

/// Reads the trailer of a decrypted packet: the payload's length and kind.
///
/// The padding is inspected as RFC 4303 section 2.4 advises: any length up to 255 is legal, its bytes count 1, 2, 3 ..
pub fn read_trailer(plaintext: &[u8]) -> Result<(usize, NextHeader), Discard> {
    let [before @ .., pad_len, next_header] = plaintext else { return Err(Discard::Length) };
    let payload_len = before.len().checked_sub(usize::from(*pad_len)).ok_or(Discard::Malformed)?;
    let counts_up = before[payload_len..].iter().zip(1..=u8::MAX).all(|(byte, expected)| *byte == expected);
    if !counts_up {
        return Err(Discard::Malformed);
    }
    Ok((payload_len, NextHeader::decode(*next_header)))
}

/// Padding, pad length and next header after `payload_len` bytes.
const fn trailer_len(payload_len: usize) -> usize {
    (payload_len + TRAILER_LEN).next_multiple_of(ALIGNMENT) - payload_len
}

/// Ciphertext ends on a four-byte boundary (RFC 4303 section 2.4); GCM needs no more.
const ALIGNMENT: usize = 4;

/// Pad length and next header.
const TRAILER_LEN: usize = 2;

/// What alignment to four bytes can ask for.
const MAX_PADDING: usize = ALIGNMENT - 1;

/// The most that follows a payload before its ICV.
pub const MAX_TRAILER_LEN: usize = MAX_PADDING + TRAILER_LEN;

/// Full-length tag (RFC 4106 section 6: 16 octets MUST be supported).
pub const ICV_LEN: usize = 16;

/// An IPv4 packet (RFC 2003).
const IPV4: u8 = 4;

/// An IPv6 packet (RFC 2473).
const IPV6: u8 = 41;

/// "No next header": a dummy packet.
const DUMMY: u8 = 59;

/// Use for experimentation (RFC 3692).
const CONTROL: u8 = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_up_to_the_next_multiple_of_four() {
        for payload_len in 0..64 {
            let mut tail = [0xaa; MAX_TRAILER_LEN];

            let len = write_trailer(&mut tail, payload_len, NextHeader::Transport(17));
            let plaintext = [&vec![0x55; payload_len][..], &tail[..len]].concat();

            assert!(plaintext.len().is_multiple_of(4));
            assert_eq!(read_trailer(&plaintext), Ok((payload_len, NextHeader::Transport(17))));
        }
    }

    #[test]
    fn longer_padding_than_ours_is_accepted_when_it_counts_up() {
        let mut plaintext: Vec<u8> = (1..=255).collect();
        plaintext.extend([255, 6]);

        assert_eq!(read_trailer(&plaintext), Ok((0, NextHeader::Transport(6))));
        plaintext[200] ^= 1;
        assert_eq!(read_trailer(&plaintext), Err(Discard::Malformed));
    }

    #[test]
    fn a_pad_length_beyond_the_packet_is_malformed() {
        assert_eq!(read_trailer(&[1, 2, 3, 6]), Err(Discard::Malformed));
        assert_eq!(read_trailer(&[6]), Err(Discard::Length));
    }

    #[test]
    fn every_number_decodes_to_what_encodes_to_it() {
        for number in 0..=u8::MAX {
            assert_eq!(NextHeader::decode(number).encode(), number);
        }
    }

    #[test]
    fn capacity_and_length_agree_at_every_size() {
        for layout in [Layout::new(0), Layout::new(8)] {
            for packet_len in 0..200 {
                let Some(payload_len) = layout.payload_capacity(packet_len) else { continue };

                assert!(layout.packet_len(payload_len) <= packet_len);
                assert!(layout.packet_len(payload_len + 1) > packet_len);
                assert!(layout.ciphertext_len(layout.packet_len(payload_len)).is_ok());
            }
        }
    }
}
