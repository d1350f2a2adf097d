//! One pair of security associations: what seals and opens the packets of a session, for one inner family.
//!
//! The two are the only objects that the packet threads share with the rest, so they work by `&self`: outbound an
//! atomic sequence counter, inbound a replay window behind a lock that is taken only after the ICV has verified.
//! Sealing and opening happen in the caller's buffer and allocate nothing:
//!
//! ```text
//! seal   | head room          | IP header | segment                  | tail room   |
//!                        | ESP header [IV] | ciphertext ..................... | ICV |
//!                                    overwrites the IP header's end; in whole form it lies in the head room
//! open   | head room   | ESP header [IV] | ciphertext .......................... | ICV |
//!                  | IP header, rebuilt  | segment                  |
//! ```
//!
//! No addresses of the underlay and no clock: when to rotate is `rotation`'s question, where to send `path`'s.

mod cipher;
mod inbound;
mod outbound;
mod replay;
mod rotation;
mod signal;

use std::net::IpAddr;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::crypto::Suite;
use crate::inner::{Form, Template};
use crate::io::Ecn;
use crate::keys::{NodeId, Spi};
use crate::wire::{esp, relay};

pub use crate::wire::esp::NextHeader;
pub use inbound::{Content, InboundSa};
pub use outbound::{MAX_CONTROL_LEN, Number, Numbers, OutboundSa};
pub use rotation::{Rotation, Session, SessionParams};

/// Room the caller leaves before an inner packet to be sealed and before a datagram to be opened.
///
/// A rebuilt IPv6 header begins 32 bytes before the datagram, and a driver may put a 12-byte virtio header before that;
/// a sealed whole packet needs 16 bytes before itself and a relay frame 8 more.
pub const HEADROOM: usize = 64;

/// Room the caller leaves after an inner packet to be sealed: trailer and ICV take at most 21 bytes.
pub const TAILROOM: usize = 32;

const _: () = assert!(TAILROOM >= esp::MAX_TRAILER_LEN + esp::ICV_LEN);
const _: () = assert!(HEADROOM >= esp::Header::LEN + 8 + relay::HEADER_LEN);

/// What makes one security association, in either direction.
pub struct SaParams {
    /// The transform.
    pub suite: Suite,
    /// The receiver's name for the association.
    pub spi: Spi,
    /// Key of 32 bytes, then salt of 4 (RFC 4106 section 8.1).
    pub key_material: Zeroizing<[u8; KEY_MATERIAL_LEN]>,
    /// Whose traffic this is.
    pub peer: NodeId,
    /// Our overlay address.
    pub local: IpAddr,
    /// The peer's, of the same family.
    pub remote: IpAddr,
    /// The sender's canonical TTL or hop limit, as it told in the handshake.
    pub ttl: u8,
    /// Further sources the peer's certificate lets it use, as prefixes.
    pub routes: Vec<(IpAddr, u8)>,
}

/// Bytes of key and salt.
pub const KEY_MATERIAL_LEN: usize = 36;

/// A packet sealed in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// Where in the buffer the ESP datagram lies.
    pub datagram: Range<usize>,
    /// What the outer IP header must say.
    pub ecn: Ecn,
    /// How the packet travels.
    pub form: Form,
}

/// What an authentic datagram held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// Where in the buffer a control message lies.
    Control(Range<usize>),
    /// Nothing: a keepalive or a confirmation.
    Dummy,
    /// Where in the buffer the inner IP packet lies.
    Packet(Range<usize>),
}

/// The header that packets from `source` to `destination` do not carry.
fn template(source: IpAddr, destination: IpAddr, ttl: u8) -> Template {
    Template::new(source, destination, ttl).expect("the two overlay addresses of an association are of one family")
}

#[cfg(test)]
mod tests;
