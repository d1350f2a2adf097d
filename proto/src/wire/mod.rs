//! Bytes on the wire and the values they stand for: total, stateless codecs and the first look at a datagram.
//!
//! One UDP socket carries everything, so the first bytes decide what a datagram is (RFC 7983, RFC 9443). Nothing here
//! authenticates, keeps time or panics: what a codec accepts is well-formed, not true.

mod cursor;
pub mod esp;
pub mod handshake;
pub mod introduction;
pub mod path_probe;
pub mod relay;

pub use cursor::Cursor;

use crate::io::Discard;
use crate::keys::Spi;

/// What a datagram is, by its first bytes alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// ESP for the security association that this SPI names.
    Esp(Spi),
    /// One of the handshake messages; `wire::handshake` tells which.
    Handshake,
    /// The lone byte 0xFF that only refreshes NAT state (RFC 3948 section 2.3): to be ignored.
    Keepalive,
    /// QUIC; believed only from a rendezvous address.
    Quic,
    /// A relay frame; what it carries is to be classified again.
    Relay,
    /// STUN; believed only for an outstanding transaction.
    Stun,
}

/// Tells what `datagram` is. A relay frame inside a relay frame is the caller's to refuse.
pub fn classify(datagram: &[u8]) -> Result<Kind, Discard> {
    match *datagram {
        [] => Err(Discard::Length),
        [0xff] => Ok(Kind::Keepalive),
        [0x00..=0x03, ..] => classify_stun(datagram),
        [0x08..=0x0b, ..] => Ok(Kind::Handshake),
        [relay::FRAME_TYPE, ..] => Ok(Kind::Relay),
        [0x40..=0x7f | 0xc0..=0xff, ..] => Ok(Kind::Quic),
        [0x80..=0xbf, ..] => esp::Header::decode(datagram).map(|header| Kind::Esp(header.spi)),
        _ => Err(Discard::Unclassified),
    }
}

/// The first byte alone is weak evidence: four zero bytes are also IKE's non-ESP marker (RFC 3948 section 2.2).
fn classify_stun(datagram: &[u8]) -> Result<Kind, Discard> {
    match datagram.get(4..8) {
        Some(STUN_MAGIC_COOKIE) if datagram.len() >= STUN_HEADER_LEN => Ok(Kind::Stun),
        _ => Err(Discard::Unclassified),
    }
}

/// Fixed value at offset 4 of every STUN message (RFC 8489 section 5).
const STUN_MAGIC_COOKIE: &[u8] = &0x2112_a442_u32.to_be_bytes();

/// Type, length, cookie and transaction id (RFC 8489 section 5).
const STUN_HEADER_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_falls_into_the_range_the_design_gives_it() {
        for first in 0..=u8::MAX {
            let mut datagram = [0_u8; 64];
            datagram[0] = first;
            datagram[4..8].copy_from_slice(STUN_MAGIC_COOKIE);

            let kind = classify(&datagram);

            match first {
                0x00..=0x03 => assert_eq!(kind, Ok(Kind::Stun)),
                0x08..=0x0b => assert_eq!(kind, Ok(Kind::Handshake)),
                0x0c => assert_eq!(kind, Ok(Kind::Relay)),
                0x40..=0x7f | 0xc0..=0xff => assert_eq!(kind, Ok(Kind::Quic)),
                0x80..=0xbf => assert!(matches!(kind, Ok(Kind::Esp(spi)) if spi.get() >> 24 == u32::from(first))),
                _ => assert_eq!(kind, Err(Discard::Unclassified)),
            }
        }
    }

    #[test]
    fn a_lone_ff_is_a_keepalive_and_two_are_not() {
        assert_eq!(classify(&[0xff]), Ok(Kind::Keepalive));
        assert_eq!(classify(&[0xff, 0xff]), Ok(Kind::Quic));
    }

    #[test]
    fn the_non_esp_marker_of_ike_is_not_taken_for_stun() {
        assert_eq!(classify(&[0; 64]), Err(Discard::Unclassified));
    }

    #[test]
    fn an_empty_datagram_and_a_cut_esp_header_are_too_short() {
        assert_eq!(classify(&[]), Err(Discard::Length));
        assert_eq!(classify(&[0x80, 0, 0, 1, 0, 0, 0]), Err(Discard::Length));
    }
}
