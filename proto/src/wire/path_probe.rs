//! Messages between two peers inside an SA (ESP Next Header 253): ping, pong and goodbye.
//!
//! ```text
//!  0      1       2        4          8              16     17         18       20              36
//!  +------+-------+--------+----------+--------------+------+----------+--------+---------------+
//!  | type | flags | length | id, high | id, low      | seen | reserved | port   | address       |
//!  +------+-------+--------+----------+--------------+------+----------+--------+---------------+
//!  |<---------- header, all --------->|<------------------- ping and pong ------------------->| ping: zeros
//! ```
//!
//! `length` counts the whole payload, header included. `flags` is sent as 0 and ignored on receipt. A ping leaves
//! `seen` and what follows it zero and may be padded with zeros, to try out a size; a pong is never padded, so it is
//! never longer than the ping it answers. `seen` is 4 or 6 (the family of the address the ping came from, an IPv4
//! address in the first 4 bytes) or 0 (it came through a relay). A goodbye is the header alone.
//!
//! Kinds from 4 on are `introduction`'s.
//!
//! The codec knows nothing of time, nor of what a message is an answer to: `path` does.

use std::net::{IpAddr, SocketAddr};

use crate::io::Discard;

/// What names one ping: 96 random bits, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProbeId(pub [u8; 12]);

/// "Do you hear me from here?"
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ping {
    /// To be repeated by the pong.
    pub id: ProbeId,
    /// Length of the encoded message with its padding, at least `PING_MIN`.
    pub length: u16,
}

/// "Yes, and this is where you seem to be."
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pong {
    /// The ping's.
    pub id: ProbeId,
    /// The source address of the ping; none if it came through a relay.
    pub seen: Option<SocketAddr>,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathMessage {
    /// The sender ends the session: forget its keys.
    Close,
    /// Asks for a pong.
    Ping(Ping),
    /// Answers a ping.
    Pong(Pong),
}

impl PathMessage {
    /// The ESP payload.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Close => header(CLOSE, &[0; 12], HEADER).to_vec(),
            Self::Ping(ping) => {
                let mut bytes = with_id(PING, &ping.id, usize::from(ping.length).max(PING_MIN));
                bytes.resize(usize::from(ping.length).max(PING_MIN), 0);
                bytes
            }
            Self::Pong(pong) => {
                let mut bytes = with_id(PONG, &pong.id, PONG_LENGTH);
                bytes.extend_from_slice(&encode_seen(pong.seen));
                bytes
            }
        }
    }

    /// Reads an ESP payload. A kind that this version does not know is `Malformed`, to be counted and ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, Discard> {
        let Some((&[kind, _flags, high, low, ..], body)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(Discard::Length);
        };
        let length = u16::from_be_bytes([high, low]);
        if usize::from(length) != bytes.len() {
            return Err(Discard::Length);
        }
        match kind {
            CLOSE if body.is_empty() => Ok(Self::Close),
            PING if bytes.len() >= PING_MIN => Ok(Self::Ping(Ping { id: decode_id(bytes)?, length })),
            PONG if bytes.len() == PONG_LENGTH => {
                Ok(Self::Pong(Pong { id: decode_id(bytes)?, seen: decode_seen(&bytes[SEEN_AT..])? }))
            }
            CLOSE | PING | PONG => Err(Discard::Length),
            _ => Err(Discard::Malformed),
        }
    }
}

fn header(kind: u8, id: &[u8; 12], length: usize) -> [u8; HEADER] {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    [kind, 0, length[0], length[1], id[0], id[1], id[2], id[3]]
}

fn with_id(kind: u8, id: &ProbeId, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&header(kind, &id.0, length));
    bytes.extend_from_slice(&id.0[4..]);
    bytes
}

fn decode_id(bytes: &[u8]) -> Result<ProbeId, Discard> {
    bytes[4..].first_chunk().copied().map(ProbeId).ok_or(Discard::Length)
}

fn encode_seen(seen: Option<SocketAddr>) -> [u8; PONG_LENGTH - SEEN_AT] {
    let mut bytes = [0; PONG_LENGTH - SEEN_AT];
    let Some(addr) = seen else { return bytes };
    bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
    match addr.ip() {
        IpAddr::V4(ip) => {
            bytes[0] = 4;
            bytes[4..8].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes[0] = 6;
            bytes[4..].copy_from_slice(&ip.octets());
        }
    }
    bytes
}

fn decode_seen(bytes: &[u8]) -> Result<Option<SocketAddr>, Discard> {
    let Some((&[family, _, high, low], address)) = bytes.split_first_chunk::<4>() else {
        return Err(Discard::Length);
    };
    let port = u16::from_be_bytes([high, low]);
    let ip = match family {
        0 => return Ok(None),
        4 => address.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        6 => address.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => return Err(Discard::Malformed),
    };
    ip.map(|ip| Some(SocketAddr::new(ip, port))).ok_or(Discard::Length)
}

/// Type, flags, length and the first four bytes of the id.
pub const HEADER: usize = 8;
/// Shortest ping: as long as a pong, so that an answer never amplifies.
pub const PING_MIN: usize = PONG_LENGTH;
/// Every pong.
pub const PONG_LENGTH: usize = 36;
const SEEN_AT: usize = 16;

const PING: u8 = 1;
const PONG: u8 = 2;
const CLOSE: u8 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_the_one_that_is_written_down() {
        let id = ProbeId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let seen = Some("192.0.2.7:4000".parse().unwrap());

        let ping = PathMessage::Ping(Ping { id, length: 36 }).encode();
        let pong = PathMessage::Pong(Pong { id, seen }).encode();

        assert_eq!(ping[..16], [1, 0, 0, 36, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(ping[16..], [0; 20]);
        assert_eq!(pong[..16], [2, 0, 0, 36, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(pong[16..24], [4, 0, 15, 160, 192, 0, 2, 7]);
        assert_eq!(PathMessage::Close.encode(), [3, 0, 0, 8, 0, 0, 0, 0]);
    }

    #[test]
    fn a_ping_shorter_than_its_pong_is_refused() {
        let short = [&[PING, 0, 0, 35][..], &[0; 31]].concat();

        assert_eq!(PathMessage::decode(&short), Err(Discard::Length));
    }

    #[test]
    fn a_length_that_is_not_the_payloads_is_refused() {
        let mut bytes = PathMessage::Ping(Ping { id: ProbeId([0; 12]), length: 100 }).encode();
        bytes.push(0);

        assert_eq!(PathMessage::decode(&bytes), Err(Discard::Length));
    }

    fn message() -> impl Strategy<Value = PathMessage> {
        let id = any::<[u8; 12]>().prop_map(ProbeId);
        let seen = proptest::option::of((any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from));
        prop_oneof![
            Just(PathMessage::Close),
            (id.clone(), 36..=1500_u16).prop_map(|(id, length)| PathMessage::Ping(Ping { id, length })),
            (id, seen).prop_map(|(id, seen)| PathMessage::Pong(Pong { id, seen })),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(message in message()) {
            prop_assert_eq!(PathMessage::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            kind in 0..5_u8,
            length in 0..80_u16,
            rest in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = PathMessage::decode(&rest);
            let bytes = [&[kind, 0][..], &length.to_be_bytes(), &rest].concat();
            if let Ok(message) = PathMessage::decode(&bytes) {
                prop_assert!(message.encode().len() <= bytes.len());
            }
        }
    }
}
