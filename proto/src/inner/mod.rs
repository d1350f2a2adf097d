//! The overlay IP packet: may its header stay at home, and how the far end writes it anew.
//!
//! A packet is *canonical* when the receiver can rebuild an equivalent header from the security association, the ESP
//! trailer, the payload's length and the ECN bits of the outer header. A canonical packet travels without its header
//! (transport form); any other travels whole, as IP in ESP. The decision is made per packet by [`Template`], which is
//! the header that one association never sends. No keys here, and no decision about where a packet goes.

pub mod checksum;
mod fragment;
mod icmp;
mod v4;
mod v6;

use std::net::IpAddr;
use std::ops::Range;

pub use fragment::{as_fragment, fragments};
pub use icmp::{Unreachable, too_big, unreachable};

use crate::io::{Discard, Ecn};
use crate::keys::Family;

/// How a packet travels inside ESP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// The upper-layer segment alone; the receiver rebuilds the IP header.
    Transport,
    /// IP header and all.
    Whole,
}

/// Source and destination of an inner packet, for the forwarding table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// Who sends.
    pub source: IpAddr,
    /// Who is to receive.
    pub destination: IpAddr,
}

/// What the fixed header of a well-formed packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outline {
    /// IPv4 or IPv6.
    pub family: Family,
    /// Bytes of the packet by its own length field; whatever the buffer holds beyond is no part of it.
    pub len: usize,
    /// Bytes of the fixed header, with IPv4 options and without IPv6 extension headers.
    pub header_len: usize,
    /// IPv4 protocol or IPv6 next header.
    pub protocol: u8,
    /// Congestion bits.
    pub ecn: Ecn,
}

impl Outline {
    /// Where the upper-layer segment lies, when the header is the fixed one.
    pub const fn payload(&self) -> Range<usize> {
        self.header_len..self.len
    }
}

/// Reads the fixed header of `packet` and checks that version, lengths and IPv4 checksum hold.
pub fn parse(packet: &[u8]) -> Result<Outline, Discard> {
    match family(packet)? {
        Family::V4 => v4::parse(packet),
        Family::V6 => v6::parse(packet),
    }
}

/// Source and destination, from a packet whose other fields may still be wrong.
pub fn addresses(packet: &[u8]) -> Result<Addresses, Discard> {
    match family(packet)? {
        Family::V4 => v4::addresses(packet),
        Family::V6 => v6::addresses(packet),
    }
}

/// Sum over source, destination, length and protocol of the packet whose fixed header this is (RFC 9293 section 3.1,
/// RFC 8200 section 8.1). `None` when it is too short for its family.
pub fn pseudo_header_sum(header: &[u8], protocol: u8, segment_len: usize) -> Option<u32> {
    let addresses = match family(header).ok()? {
        Family::V4 => header.get(12..20)?,
        Family::V6 => header.get(8..40)?,
    };
    Some(checksum::add(u32::try_from(segment_len).ok()? + u32::from(protocol), addresses))
}

/// Tells the fixed header of a packet that [`parse`] accepts how long what follows it is, and mends the IPv4 checksum.
pub fn set_payload_len(header: &mut [u8], payload_len: usize) -> Result<(), Discard> {
    match family(header)? {
        Family::V4 => v4::set_payload_len(header, payload_len),
        Family::V6 => v6::set_payload_len(header, payload_len),
    }
}

/// Adds to the identification of an IPv4 header, as cutting a packet does (RFC 6864 wants it unique only for fragments);
/// call [`set_payload_len`] afterwards. IPv6 has none.
pub fn advance_identification(header: &mut [u8], by: u16) {
    if family(header) == Ok(Family::V4)
        && let Some(field) = header.get_mut(4..6)
    {
        let identification = u16::from_be_bytes([field[0], field[1]]).wrapping_add(by);
        field.copy_from_slice(&identification.to_be_bytes());
    }
}

/// Sets the congestion bits of a packet that [`parse`] has accepted, and mends the IPv4 checksum.
pub(crate) fn set_ecn(packet: &mut [u8], ecn: Ecn) {
    match family(packet) {
        Ok(Family::V4) => v4::set_ecn(packet, ecn),
        Ok(Family::V6) => v6::set_ecn(packet, ecn),
        Err(_) => {}
    }
}

/// What a whole packet's congestion bits become when it leaves the tunnel (RFC 6040 section 4.2, figure 4).
pub(crate) fn decapsulate_ecn(inner: Ecn, outer: Ecn) -> Result<Ecn, Discard> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => Err(Discard::EcnNotCapable),
        (Ecn::NotEct, _) => Ok(Ecn::NotEct),
        (Ecn::Ce, _) | (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Ok(Ecn::Ce),
        (Ecn::Ect0, Ecn::Ect1) => Ok(Ecn::Ect1),
        (Ecn::Ect0 | Ecn::Ect1, _) => Ok(inner),
    }
}

/// The inner IP header that one direction of an association does not send: its addresses and canonical time to live.
#[derive(Clone, Debug)]
pub struct Template(PerFamily);

#[derive(Clone, Debug)]
enum PerFamily {
    V4(v4::Template),
    V6(v6::Template),
}

impl Template {
    /// For packets from `source` to `destination`; `None` when those are of different families.
    pub fn new(source: IpAddr, destination: IpAddr, ttl: u8) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Some(Self(PerFamily::V4(v4::Template::new(source, destination, ttl))))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Some(Self(PerFamily::V6(v6::Template::new(source, destination, ttl))))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    /// The family of every packet of the association.
    pub const fn family(&self) -> Family {
        match &self.0 {
            PerFamily::V4(_) => Family::V4,
            PerFamily::V6(_) => Family::V6,
        }
    }

    /// Bytes of the header that stays at home.
    pub const fn header_len(&self) -> usize {
        match &self.0 {
            PerFamily::V4(_) => v4::HEADER_LEN,
            PerFamily::V6(_) => v6::HEADER_LEN,
        }
    }

    /// Where the packets come from.
    pub fn source(&self) -> IpAddr {
        match &self.0 {
            PerFamily::V4(template) => template.source().into(),
            PerFamily::V6(template) => template.source().into(),
        }
    }

    /// Where they go.
    pub fn destination(&self) -> IpAddr {
        match &self.0 {
            PerFamily::V4(template) => template.destination().into(),
            PerFamily::V6(template) => template.destination().into(),
        }
    }

    /// Reads `packet` and decides how it travels. A packet of the other family has no business here.
    pub fn classify(&self, packet: &[u8]) -> Result<(Outline, Form), Discard> {
        let outline = parse(packet)?;
        let canonical = match (&self.0, outline.family) {
            (PerFamily::V4(template), Family::V4) => template.is_canonical(packet),
            (PerFamily::V6(template), Family::V6) => template.is_canonical(packet),
            (PerFamily::V4(_), Family::V6) | (PerFamily::V6(_), Family::V4) => return Err(Discard::InnerAddress),
        };
        Ok((outline, if canonical { Form::Transport } else { Form::Whole }))
    }

    /// Writes the header for `payload_len` bytes of `protocol` into `header`, which has [`Self::header_len`] bytes.
    ///
    /// # Panics
    /// When `header` has another length.
    pub fn rebuild(&self, header: &mut [u8], protocol: u8, ecn: Ecn, payload_len: usize) -> Result<(), Discard> {
        match &self.0 {
            PerFamily::V4(template) => template.rebuild(header, protocol, ecn, payload_len),
            PerFamily::V6(template) => template.rebuild(header, protocol, ecn, payload_len),
        }
    }
}

/// Whether a packet of this protocol may travel without its IP header. The others mean something else in an ESP trailer
/// (4, 41, 59, 253 ..) or are headers of IP itself (extension headers): their packets travel whole, or the receiver
/// would misread them.
pub const fn is_upper_layer(protocol: u8) -> bool {
    !matches!(protocol, 0 | 4 | 41 | 43 | 44 | 50 | 51 | 59 | 60 | 94 | 135 | 139 | 140 | 143 | 144 | 253 | 254)
}

/// No IPv4 link may carry less (RFC 791).
const MIN_MTU_V4: usize = 68;

/// No IPv6 link may carry less, and no ICMPv6 error may be longer (RFC 8200 section 5, RFC 4443 section 2.4 (c)).
const MIN_MTU_V6: usize = 1280;

/// The family that the version nibble tells.
fn family(packet: &[u8]) -> Result<Family, Discard> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => Ok(Family::V4),
        Some(6) => Ok(Family::V6),
        Some(_) | None => Err(Discard::InnerMalformed),
    }
}

#[cfg(test)]
mod tests;
