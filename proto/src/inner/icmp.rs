//! ICMP errors about an inner packet that cannot go on, for the caller to write back to the sender's own TUN.
//!
//! Their source is the peer's overlay address, so that reverse-path filters and host firewalls take them as they would
//! take the peer's own answer. How often to send one is the caller's decision; to whom never to send one is made here.

use std::net::IpAddr;

use crate::io::Ecn;

use super::{Addresses, Family, MIN_MTU_V4, MIN_MTU_V6, Template, addresses, checksum, parse, pseudo_header_sum, v4};

/// Why a packet cannot be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreachable {
    /// There is no way to the destination at the moment.
    Address,
    /// A policy forbids it.
    Prohibited,
}

/// "Packet too big": ICMPv4 type 3 code 4 (RFC 1191) or ICMPv6 type 2 (RFC 8200).
///
/// `None` when `packet` must not be answered: it is malformed, an ICMP error or a later fragment, its sender is no
/// single host, or it is IPv4 that may be fragmented.
pub fn too_big(packet: &[u8], mtu: usize, peer: IpAddr) -> Option<Vec<u8>> {
    let header = match super::family(packet).ok()? {
        Family::V4 => {
            if !v4::dont_fragment(packet.first_chunk()?) {
                return None;
            }
            // RFC 1191 section 4: 16 unused bits, 16 bits of next-hop MTU
            let mtu = u16::try_from(mtu.max(MIN_MTU_V4)).unwrap_or(u16::MAX);
            IcmpHeader { kind: 3, code: 4, rest: u32::from(mtu) }
        }
        Family::V6 => IcmpHeader { kind: 2, code: 0, rest: u32::try_from(mtu.max(MIN_MTU_V6)).unwrap_or(u32::MAX) },
    };
    error(packet, header, peer)
}

/// "Destination unreachable": ICMPv4 type 3 (RFC 792, RFC 1812) or ICMPv6 type 1 (RFC 4443). `None` as in [`too_big`].
pub fn unreachable(packet: &[u8], why: Unreachable, peer: IpAddr) -> Option<Vec<u8>> {
    let (kind, code) = match (super::family(packet).ok()?, why) {
        (Family::V4, Unreachable::Address) => (3, 1),
        (Family::V4, Unreachable::Prohibited) => (3, 13),
        (Family::V6, Unreachable::Address) => (1, 3),
        (Family::V6, Unreachable::Prohibited) => (1, 1),
    };
    error(packet, IcmpHeader { kind, code, rest: 0 }, peer)
}

/// First eight bytes of an ICMP error, without its checksum.
struct IcmpHeader {
    kind: u8,
    code: u8,
    rest: u32,
}

/// The whole error packet: IP header, ICMP header, and as much of the offender as may be quoted.
fn error(packet: &[u8], icmp: IcmpHeader, peer: IpAddr) -> Option<Vec<u8>> {
    let Addresses { source: sender, .. } = addresses(packet).ok()?;
    let outline = parse(packet).ok()?;
    if !may_be_answered(packet, sender) {
        return None;
    }
    let template = Template::new(peer, sender, TTL)?;
    let (protocol, limit) = match outline.family {
        Family::V4 => (ICMPV4, MAX_ERROR_V4),
        Family::V6 => (ICMPV6, MIN_MTU_V6),
    };
    let quoted = &packet[..outline.len.min(limit - template.header_len() - ICMP_HEADER_LEN)];

    let mut answer = vec![0; template.header_len()];
    template.rebuild(&mut answer, protocol, Ecn::NotEct, ICMP_HEADER_LEN + quoted.len()).ok()?;
    let sum = match outline.family {
        Family::V4 => 0,
        Family::V6 => pseudo_header_sum(&answer, protocol, ICMP_HEADER_LEN + quoted.len())?,
    };
    answer.extend([icmp.kind, icmp.code, 0, 0]);
    answer.extend(icmp.rest.to_be_bytes());
    answer.extend(quoted);
    let message = &mut answer[template.header_len()..];
    let sum = checksum::finish(checksum::add(sum, message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(answer)
}

/// RFC 1122 section 3.2.2 and RFC 4443 section 2.4 (e): no error about an error, a later fragment, or to a crowd.
fn may_be_answered(packet: &[u8], sender: IpAddr) -> bool {
    let Ok(outline) = parse(packet) else { return false };
    if sender.is_unspecified() || sender.is_multicast() || sender.is_loopback() {
        return false;
    }
    let icmp_type = packet[..outline.len].get(outline.header_len).copied();
    match outline.family {
        Family::V4 => {
            let later_fragment = packet.first_chunk().is_some_and(v4::is_later_fragment);
            let is_error = outline.protocol == ICMPV4 && icmp_type.is_none_or(|kind| ICMPV4_ERRORS.contains(&kind));
            let to_all = IpAddr::from([255; 4]) == sender;
            !(later_fragment || is_error || to_all)
        }
        // 0 to 127 are error messages (RFC 4443 section 2.1)
        Family::V6 => !(outline.protocol == ICMPV6 && icmp_type.is_none_or(|kind| kind < 128)),
    }
}

const ICMPV4: u8 = 1;
const ICMPV6: u8 = 58;

/// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
const ICMPV4_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

/// Type, code, checksum and the four bytes that differ by type.
const ICMP_HEADER_LEN: usize = 8;

/// What hosts send with; nothing on the way decrements it.
const TTL: u8 = 64;

/// An ICMPv4 error quotes as much as fits into this (RFC 1812 section 4.3.2.3).
const MAX_ERROR_V4: usize = 576;
