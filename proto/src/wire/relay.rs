//! Relay frames: eight bytes in front of a peer's datagram, and the few messages to the relay itself on channel 0.
//!
//! ```text
//!  0      1         2    4              8
//!  | 0x0C | version | 0 0 | channel u32 | the datagram, or on channel 0: kind u8, token[16], nonce[16] |
//! ```
//! Which address a token binds and where a frame goes is the relay's business.

use crate::io::Discard;

use super::Cursor;

/// First byte of every relay frame; 4 to 15 are unassigned in RFC 7983 and RFC 9443.
pub const FRAME_TYPE: u8 = 0x0c;

/// Bytes in front of the datagram.
pub const HEADER_LEN: usize = 8;

/// The channel that talks to the relay itself.
pub const RELAY_ITSELF: u32 = 0;

/// Secret of `Welcome.relays` that ties our UDP address to our control connection.
pub type Token = [u8; 16];

/// Proves that its holder receives at the address it claims.
pub type Nonce = [u8; 16];

/// The eight bytes to put in front of a datagram for `channel`.
pub fn encode_header(channel: u32) -> [u8; HEADER_LEN] {
    let word = u64::from_be_bytes([FRAME_TYPE, VERSION, 0, 0, 0, 0, 0, 0]) | u64::from(channel);
    word.to_be_bytes()
}

/// Splits a frame into its channel and the datagram inside, which is everything after [`HEADER_LEN`] bytes.
pub fn decode(frame: &[u8]) -> Result<(u32, &[u8]), Discard> {
    let mut cursor = Cursor::new(frame);
    if cursor.array()? != [FRAME_TYPE, VERSION, 0, 0] {
        return Err(Discard::Malformed);
    }
    let channel = cursor.u32()?;
    Ok((channel, cursor.rest()))
}

/// What an agent and its relay say to each other on channel 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Agent to relay, repeated with every keepalive: this address is the token's.
    Bind(Token),
    /// Relay to agent: the address is bound.
    Bound,
    /// Relay to agent: the source is not the address of the control connection, so show that you receive there.
    Challenge(Nonce),
    /// Agent to relay: the challenge, echoed.
    BindProof(Token, Nonce),
}

impl Message {
    /// The whole frame, header included.
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = encode_header(RELAY_ITSELF).to_vec();
        match self {
            Self::Bind(token) => {
                frame.push(BIND);
                frame.extend(token);
            }
            Self::Bound => frame.push(BOUND),
            Self::Challenge(nonce) => {
                frame.push(CHALLENGE);
                frame.extend(nonce);
            }
            Self::BindProof(token, nonce) => {
                frame.push(BIND_PROOF);
                frame.extend(token);
                frame.extend(nonce);
            }
        }
        frame
    }

    /// Reads what followed the header of a frame on channel 0.
    pub fn decode(payload: &[u8]) -> Result<Self, Discard> {
        let mut cursor = Cursor::new(payload);
        let message = match cursor.u8()? {
            BIND => Self::Bind(cursor.array()?),
            BOUND => Self::Bound,
            CHALLENGE => Self::Challenge(cursor.array()?),
            BIND_PROOF => Self::BindProof(cursor.array()?, cursor.array()?),
            _ => return Err(Discard::Malformed),
        };
        cursor.finish()?;
        Ok(message)
    }
}

/// Shows the kind alone: a token is a secret.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bind(_) => "Bind",
            Self::Bound => "Bound",
            Self::Challenge(_) => "Challenge",
            Self::BindProof(..) => "BindProof",
        })
    }
}

const VERSION: u8 = 1;

const BIND: u8 = 1;
const BOUND: u8 = 2;
const CHALLENGE: u8 = 3;
const BIND_PROOF: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_splits_into_the_channel_and_the_datagram_it_was_made_of() {
        let frame = [&encode_header(0xdead_beef)[..], b"datagram"].concat();

        assert_eq!(frame[..8], [0x0c, 1, 0, 0, 0xde, 0xad, 0xbe, 0xef]);
        assert_eq!(decode(&frame), Ok((0xdead_beef, &b"datagram"[..])));
    }

    #[test]
    fn another_version_reserved_bits_and_a_cut_header_are_refused() {
        assert_eq!(decode(&[0x0c, 2, 0, 0, 0, 0, 0, 1]), Err(Discard::Malformed));
        assert_eq!(decode(&[0x0c, 1, 0, 1, 0, 0, 0, 1]), Err(Discard::Malformed));
        assert_eq!(decode(&[0x0c, 1, 0, 0, 0, 0, 1]), Err(Discard::Length));
    }

    #[test]
    fn every_message_reads_back_and_nothing_longer_or_shorter_does() {
        let messages =
            [Message::Bind([7; 16]), Message::Bound, Message::Challenge([8; 16]), Message::BindProof([7; 16], [8; 16])];
        for message in messages {
            let frame = message.encode();
            let (channel, payload) = decode(&frame).unwrap();

            assert_eq!(channel, RELAY_ITSELF);
            assert_eq!(Message::decode(payload), Ok(message));
            assert_eq!(Message::decode(&payload[..payload.len() - 1]).unwrap_err(), Discard::Length);
            assert_eq!(Message::decode(&[payload, &[0]].concat()), Err(Discard::Length));
        }
        assert_eq!(Message::decode(&[9]), Err(Discard::Malformed));
    }
}
