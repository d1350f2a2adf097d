//! Messages by which a common peer brings two others together, inside an SA like path messages (ESP Next Header 253).
//!
//! ```text
//!  0      1       2        4          8                24         26         28
//!  +------+-------+--------+----------+----------------+----------+----------+---------------------+
//!  | type | flags | length | attempt  | peer           | delay ms | reserved | candidates, to end  |
//!  +------+-------+--------+----------+----------------+----------+----------+---------------------+
//! ```
//!
//! `length` counts the whole payload. What a kind does not use is sent as 0 and ignored; only `Introduce` and `Meet` carry
//! candidates, a set in the encoding of the control connection, so that both grow together. Who may ask whom for what,
//! and what the candidates say, is decided in `node`.

use crate::io::Discard;
use crate::keys::NodeId;

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Introduction {
    /// "I cannot bring you together with this peer."
    Decline(NodeId),
    /// "I want to meet this peer, and here is where I may be." To a common peer, unasked or in answer to `Wanted`.
    Introduce {
        /// Whom.
        peer: NodeId,
        /// An encoded candidate set.
        candidates: Vec<u8>,
    },
    /// "Start looking for this peer there, together with it." From the common peer, to both.
    Meet {
        /// Whom.
        peer: NodeId,
        /// Names the attempt in both ends' logs.
        attempt: u32,
        /// Milliseconds to wait, so that both start at once.
        delay_ms: u16,
        /// Its candidate set, encoded.
        candidates: Vec<u8>,
    },
    /// "This peer wants to meet you."
    Wanted(NodeId),
}

impl Introduction {
    /// Whether a payload of Next Header 253 is one of these, and no path message.
    pub fn is_introduction(payload: &[u8]) -> bool {
        payload.first().is_some_and(|kind| (INTRODUCE..=DECLINE).contains(kind))
    }

    /// The ESP payload.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Decline(peer) => encode(DECLINE, 0, peer, 0, &[]),
            Self::Introduce { peer, candidates } => encode(INTRODUCE, 0, peer, 0, candidates),
            Self::Meet { peer, attempt, delay_ms, candidates } => encode(MEET, *attempt, peer, *delay_ms, candidates),
            Self::Wanted(peer) => encode(WANTED, 0, peer, 0, &[]),
        }
    }

    /// Reads an ESP payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, Discard> {
        let Some((header, candidates)) = bytes.split_first_chunk::<HEADER>() else { return Err(Discard::Length) };
        let [kind, _flags, high, low, a, b, c, d, peer @ .., delay_high, delay_low, _, _] = header;
        if usize::from(u16::from_be_bytes([*high, *low])) != bytes.len() || bytes.len() > INTRODUCTION_MAX {
            return Err(Discard::Length);
        }
        let peer = NodeId::new(*peer.first_chunk().ok_or(Discard::Length)?);
        match *kind {
            DECLINE if candidates.is_empty() => Ok(Self::Decline(peer)),
            INTRODUCE => Ok(Self::Introduce { peer, candidates: candidates.to_vec() }),
            MEET => Ok(Self::Meet {
                peer,
                attempt: u32::from_be_bytes([*a, *b, *c, *d]),
                delay_ms: u16::from_be_bytes([*delay_high, *delay_low]),
                candidates: candidates.to_vec(),
            }),
            WANTED if candidates.is_empty() => Ok(Self::Wanted(peer)),
            DECLINE | WANTED => Err(Discard::Length),
            _ => Err(Discard::Malformed),
        }
    }
}

fn encode(kind: u8, attempt: u32, peer: &NodeId, delay_ms: u16, candidates: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + candidates.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(HEADER + candidates.len());
    bytes.extend([kind, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(attempt.to_be_bytes());
    bytes.extend(peer.as_bytes());
    bytes.extend(delay_ms.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(candidates);
    bytes
}

/// What comes before the candidates.
pub const HEADER: usize = 28;
/// Longest message: fits every path that carries full-size probes, and twelve candidates of either family.
pub const INTRODUCTION_MAX: usize = 1_000;

const INTRODUCE: u8 = 4;
const WANTED: u8 = 5;
const MEET: u8 = 6;
const DECLINE: u8 = 7;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_the_one_that_is_written_down() {
        let peer = NodeId::new([0xab; 16]);

        let meet = Introduction::Meet { peer, attempt: 0x0102_0304, delay_ms: 258, candidates: vec![9, 9] }.encode();

        assert_eq!(meet[..8], [6, 0, 0, 30, 1, 2, 3, 4]);
        assert_eq!(meet[8..24], [0xab; 16]);
        assert_eq!(meet[24..], [1, 2, 0, 0, 9, 9]);
        assert_eq!(Introduction::Wanted(peer).encode()[..4], [5, 0, 0, 28]);
    }

    #[test]
    fn a_refusal_or_a_wish_with_something_behind_it_is_refused() {
        let mut bytes = Introduction::Wanted(NodeId::new([1; 16])).encode();
        bytes.push(0);
        bytes[3] += 1;

        assert_eq!(Introduction::decode(&bytes), Err(Discard::Length));
    }

    fn message() -> impl Strategy<Value = Introduction> {
        let peer = any::<[u8; 16]>().prop_map(NodeId::new);
        let candidates = proptest::collection::vec(any::<u8>(), 0..INTRODUCTION_MAX - HEADER);
        prop_oneof![
            peer.clone().prop_map(Introduction::Decline),
            peer.clone().prop_map(Introduction::Wanted),
            (peer.clone(), candidates.clone())
                .prop_map(|(peer, candidates)| Introduction::Introduce { peer, candidates }),
            (peer, any::<u32>(), any::<u16>(), candidates).prop_map(|(peer, attempt, delay_ms, candidates)| {
                Introduction::Meet { peer, attempt, delay_ms, candidates }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(message in message()) {
            let bytes = message.encode();
            prop_assert!(Introduction::is_introduction(&bytes));
            prop_assert_eq!(Introduction::decode(&bytes), Ok(message));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Introduction::decode(&bytes);
        }
    }
}
