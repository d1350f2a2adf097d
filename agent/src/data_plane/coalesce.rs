//! Joins the segments of one flow, opened one by one, into packets that the host takes at once.
//!
//! A receive brings up to 64 KiB of a flow in a row. Handing each segment over by itself costs the host a walk through its
//! stack for each; joined under one header it is one. Segments stay where they were opened: a joined packet is a list of
//! places, written with one gathering call, and its checksum is left to be finished by whoever needs it.
//!
//! Only what a host could itself have sent as one is joined, as Linux's own receive offload has it: the same flow and
//! congestion bits, TCP segments that follow each other with the same acknowledgement, window and options and no flag but
//! ACK and a last PSH; UDP datagrams of one length, of which the last may be shorter. All but the last are of one size, and
//! every checksum has been found right first, because a joined packet's is no longer looked at. What travelled whole (a
//! marked or routed flow) joins by the same rules if its IP headers differ in nothing but length and identification.
//! Whatever cannot join goes by itself, in the order in which its flow sent it.

use std::io::IoSlice;
use std::ops::Range;

use warren_proto::inner::{self, checksum};
use warren_proto::io::{Discard, Ecn};
use warren_proto::session::InboundSa;

use super::segment::{ACK, PSH, TCP, TCP_CHECKSUM, TCP_FLAGS, TCP_HEADER_LEN, UDP, UDP_CHECKSUM, UDP_HEADER_LEN};
use crate::tun::virtio::{PartialChecksum, Segmentation, Transport};
use crate::tun::{Joins, MAX_PACKET, Offload};

/// The packets of one batch on their way to the host.
pub struct Coalescer {
    packets: Box<[Joined]>,
    used: usize,
    joins: Joins,
}

/// A packet for the host.
pub struct Delivery<'a> {
    /// How many packets it was joined from.
    pub count: usize,
    /// The same for all packets of a flow, and spread over flows and senders.
    pub hash: u32,
    /// Its parts in a row, the first of them the virtio header.
    pub parts: &'a [IoSlice<'a>],
}

/// A packet that may still grow.
struct Joined {
    /// `None` for a packet that is no part of a flow.
    flow: Option<Flow>,
    /// Whether more may join.
    is_open: bool,
    /// Whether its last segment asked for it to be delivered.
    is_pushed: bool,
    /// Whether its segments brought their own headers.
    is_whole: bool,
    /// The IP header, without the length that it will have.
    header: [u8; MAX_HEADER_LEN],
    header_len: usize,
    /// Where in the buffer its parts lie: a segment with its transport header, then payloads.
    parts: [Range<usize>; MAX_PARTS],
    count: usize,
    /// Bytes of all parts.
    len: usize,
}

/// What segments that join have in common, and how they follow each other.
#[derive(Clone, Copy)]
struct Flow {
    spi: u32,
    /// Those of the outer header, which the rebuilt one has.
    ecn: Ecn,
    protocol: u8,
    ports: [u8; 4],
    /// The sequence number that the next TCP segment must have.
    next: u32,
    transport_header_len: usize,
    /// Bytes of payload of all but the last.
    size: usize,
}

/// The IP header of a packet that travelled with it.
struct OwnHeader {
    bytes: [u8; MAX_HEADER_LEN],
    len: usize,
}

/// A segment's place in its flow.
struct Segment {
    flow: Flow,
    /// The sequence number of its first byte; for UDP it is not looked at.
    sequence: u32,
    payload_len: usize,
    /// The sender asked for it to be delivered, so nothing may follow it (RFC 9293 section 3.9.1.2).
    is_pushed: bool,
}

impl Coalescer {
    /// For a device that takes these.
    pub fn new(joins: Joins) -> Self {
        Self { packets: (0..MAX_PACKETS).map(|_| Joined::new()).collect(), used: 0, joins }
    }

    /// Takes the segment at `at`, which came by `sa` without its IP header. When there is no room for another packet, all
    /// are sent first.
    ///
    /// # Errors
    /// `Length` when it is longer than an IP packet can be.
    pub fn add_segment(
        &mut self,
        buffer: &mut [u8],
        at: Range<usize>,
        (sa, protocol, ecn): (&InboundSa, u8, Ecn),
        send: impl FnMut(Delivery<'_>),
    ) -> Result<(), Discard> {
        let segment = self.read(&buffer[at.clone()], sa.spi().get(), protocol, ecn);
        match &segment {
            Some(segment) if self.join(buffer, &at, segment, None) => return Ok(()),
            Some(_) => {}
            None => self.close(sa, |flow| buffer[at.clone()].starts_with(&flow.ports)),
        }
        let packet = self.next_packet(buffer, send);
        packet.header_len = sa.header_len();
        sa.rebuild(&mut packet.header[..packet.header_len], protocol, ecn, at.len())?;
        packet.begin(at, segment.as_ref());
        self.used += 1;
        Ok(())
    }

    /// Takes the packet at `at`, which came by `sa` with its own header.
    pub fn add_packet(&mut self, buffer: &mut [u8], at: Range<usize>, sa: &InboundSa, send: impl FnMut(Delivery<'_>)) {
        let Some((header, protocol)) = OwnHeader::of(&buffer[at.clone()]) else {
            return self.add_alone(buffer, at, sa, send);
        };
        let segment_at = at.start + header.len..at.end;
        // the congestion bits are in the header
        let segment = self.read(&buffer[segment_at.clone()], sa.spi().get(), protocol, Ecn::NotEct);
        let Some(segment) = segment else { return self.add_alone(buffer, at, sa, send) };
        if self.join(buffer, &segment_at, &segment, Some(&header)) {
            return;
        }
        let packet = self.next_packet(buffer, send);
        (packet.header, packet.header_len) = (header.bytes, header.len);
        packet.begin(segment_at, Some(&segment));
        packet.is_whole = true;
        self.used += 1;
    }

    fn add_alone(&mut self, buffer: &mut [u8], at: Range<usize>, sa: &InboundSa, send: impl FnMut(Delivery<'_>)) {
        // it may be of any flow: a fragment does not even show its ports
        self.close(sa, |_| true);
        let packet = self.next_packet(buffer, send);
        packet.header_len = 0;
        packet.begin(at, None);
        self.used += 1;
    }

    /// Gives every packet to `send`, in order.
    pub fn send_all(&mut self, buffer: &mut [u8], mut send: impl FnMut(Delivery<'_>)) {
        for packet in &mut self.packets[..self.used] {
            packet.send(buffer, &mut send);
        }
        self.used = 0;
    }

    /// What a segment is to its flow; `None` when it must go by itself.
    fn read(&self, bytes: &[u8], spi: u32, protocol: u8, ecn: Ecn) -> Option<Segment> {
        let ports = *bytes.first_chunk()?;
        let flow =
            |transport_header_len, size, next| Flow { spi, ecn, protocol, ports, next, transport_header_len, size };
        match protocol {
            TCP if self.joins.tcp => {
                let header_len = usize::from(bytes.get(12)? >> 4) * 4;
                let flags = *bytes.get(TCP_FLAGS)?;
                let payload_len = bytes.len().checked_sub(header_len).filter(|len| *len > 0)?;
                if header_len < TCP_HEADER_LEN || flags & !PSH != ACK {
                    return None;
                }
                let sequence = u32::from_be_bytes(*bytes[4..].first_chunk()?);
                // at most 64 KiB
                let next = sequence.wrapping_add(payload_len as u32);
                Some(Segment {
                    flow: flow(header_len, payload_len, next),
                    sequence,
                    payload_len,
                    is_pushed: flags & PSH != 0,
                })
            }
            UDP if self.joins.udp => {
                let payload_len = bytes.len().checked_sub(UDP_HEADER_LEN).filter(|len| *len > 0)?;
                let len = u16::from_be_bytes(*bytes[4..].first_chunk()?);
                // a datagram without a checksum must arrive without one
                if usize::from(len) != bytes.len() || bytes[UDP_CHECKSUM..UDP_HEADER_LEN] == [0, 0] {
                    return None;
                }
                Some(Segment { flow: flow(UDP_HEADER_LEN, payload_len, 0), sequence: 0, payload_len, is_pushed: false })
            }
            _ => None,
        }
    }

    /// Adds the segment to the packet of its flow; false when there is none that it follows.
    fn join(&mut self, buffer: &[u8], at: &Range<usize>, segment: &Segment, own: Option<&OwnHeader>) -> bool {
        let Some(packet) = self.recent().find(|packet| packet.is_open_to(&segment.flow)) else { return false };
        // when it does not join, what comes later of this flow must not pass it
        packet.is_open = packet.has_header(own) && packet.join(buffer, at, segment);
        packet.is_open && packet.settle(segment)
    }

    /// Lets nothing more join those flows of an association that something which goes by itself may be of.
    fn close(&mut self, sa: &InboundSa, is_meant: impl Fn(&Flow) -> bool) {
        let is_of_flow = |flow: &Flow| flow.spi == sa.spi().get() && is_meant(flow);
        for packet in self.recent().filter(|packet| packet.flow.as_ref().is_some_and(is_of_flow)) {
            packet.is_open = false;
        }
    }

    /// The packets that are looked at for a flow, newest first.
    fn recent(&mut self) -> impl Iterator<Item = &mut Joined> {
        self.packets[..self.used].iter_mut().rev()
    }

    fn next_packet(&mut self, buffer: &mut [u8], send: impl FnMut(Delivery<'_>)) -> &mut Joined {
        if self.used == self.packets.len() {
            self.send_all(buffer, send);
        }
        &mut self.packets[self.used]
    }
}

impl OwnHeader {
    /// The fixed header right before TCP or UDP, and which of the two. `None` with options, extension headers or fragments,
    /// and where IPv4 may be fragmented: then its identification means something.
    fn of(packet: &[u8]) -> Option<(Self, u8)> {
        let (len, protocol) = match packet.first()? >> 4 {
            4 if packet[0] == V4_PLAIN && *packet.get(6)? == V4_DONT_FRAGMENT && *packet.get(7)? == 0 => {
                (V4_HEADER_LEN, *packet.get(9)?)
            }
            6 => (MAX_HEADER_LEN, *packet.get(6)?),
            _ => return None,
        };
        let mut bytes = [0; MAX_HEADER_LEN];
        bytes[..len].copy_from_slice(packet.get(..len)?);
        matches!(protocol, TCP | UDP).then_some((Self { bytes, len }, protocol))
    }

    /// Whether nothing but length, identification and checksum differs.
    fn is_alike(&self, other: &[u8]) -> bool {
        let own = &self.bytes[..self.len];
        own.len() == other.len()
            && match self.len {
                V4_HEADER_LEN => own[..2] == other[..2] && own[6..10] == other[6..10] && own[12..] == other[12..],
                _ => own[..4] == other[..4] && own[6..] == other[6..],
            }
    }
}

impl Flow {
    /// Or may be: what travels whole may have other addresses. Then it does not join, and nothing passes it.
    fn is_same(&self, other: &Self) -> bool {
        (self.spi, self.ports, self.protocol) == (other.spi, other.ports, other.protocol)
    }
}

impl Joined {
    fn new() -> Self {
        let parts = std::array::from_fn(|_| 0..0);
        let header = [0; MAX_HEADER_LEN];
        let (is_open, is_pushed, is_whole) = (false, false, false);
        Self { flow: None, is_open, is_pushed, is_whole, header, header_len: 0, parts, count: 0, len: 0 }
    }

    fn begin(&mut self, at: Range<usize>, segment: Option<&Segment>) {
        self.flow = segment.map(|segment| segment.flow);
        self.is_open = segment.is_some_and(|segment| !segment.is_pushed);
        (self.is_pushed, self.is_whole) = (false, false);
        self.len = at.len();
        self.parts[0] = at;
        self.count = 1;
    }

    fn is_open_to(&self, flow: &Flow) -> bool {
        self.is_open && self.flow.is_some_and(|own| own.is_same(flow))
    }

    /// Whether a segment with this header of its own, or with one that was rebuilt, may lie under this packet's.
    fn has_header(&self, own: Option<&OwnHeader>) -> bool {
        match own {
            Some(own) => self.is_whole && own.is_alike(&self.header[..self.header_len]),
            None => !self.is_whole,
        }
    }

    /// Whether the segment was added.
    fn join(&mut self, buffer: &[u8], at: &Range<usize>, segment: &Segment) -> bool {
        let Some(flow) = &mut self.flow else { return false };
        let (first, added) = (&buffer[self.parts[0].clone()], &buffer[at.clone()]);
        let transport_header_len = flow.transport_header_len;
        let fits = self.count < MAX_PARTS && self.header_len + self.len + segment.payload_len <= MAX_PACKET;
        let follows = segment.flow.ecn == flow.ecn
            && segment.flow.transport_header_len == transport_header_len
            && segment.payload_len <= flow.size
            && (flow.protocol == UDP
                || segment.sequence == flow.next
                    && is_alike(&first[..transport_header_len], &added[..transport_header_len]));
        let header = &self.header[..self.header_len];
        // nobody has looked at the first one's checksum while it was alone
        let is_right = |segment| is_right(header, flow.protocol, segment);
        if !fits || !follows || !is_right(added) || self.count == 1 && !is_right(first) {
            return false;
        }
        flow.next = segment.flow.next;
        self.parts[self.count] = at.start + transport_header_len..at.end;
        self.count += 1;
        self.len += segment.payload_len;
        true
    }

    /// Decides whether more may join after a segment that did. Always true, for it did.
    fn settle(&mut self, segment: &Segment) -> bool {
        self.is_pushed = segment.is_pushed;
        let is_short = self.flow.is_some_and(|flow| segment.payload_len < flow.size);
        self.is_open = !segment.is_pushed && !is_short;
        true
    }

    fn send(&mut self, buffer: &mut [u8], send: &mut impl FnMut(Delivery<'_>)) {
        let offload =
            self.flow.filter(|_| self.count > 1).and_then(|flow| self.mend(&flow, buffer)).unwrap_or_default();
        let virtio = offload.encode();
        let mut parts = [IoSlice::new(&[]); MAX_PARTS + 2];
        parts[0] = IoSlice::new(&virtio);
        parts[1] = IoSlice::new(&self.header[..self.header_len]);
        for (part, at) in parts[2..].iter_mut().zip(&self.parts[..self.count]) {
            *part = IoSlice::new(&buffer[at.clone()]);
        }
        let hash = match self.header_len {
            0 => flow_hash(&parts[2], parts[2].get(V4_HEADER_LEN..).unwrap_or_default()),
            len => flow_hash(&self.header[..len], &parts[2]),
        };
        send(Delivery { count: self.count, hash, parts: &parts[..self.count + 2] });
    }

    /// Makes the first segment's headers those of the whole, and says what it was joined from.
    fn mend(&mut self, flow: &Flow, buffer: &mut [u8]) -> Option<Offload> {
        let header = &mut self.header[..self.header_len];
        let first = &mut buffer[self.parts[0].clone()];
        inner::set_payload_len(header, self.len).ok()?;
        let sum = checksum::unfinished(inner::pseudo_header_sum(header, flow.protocol, self.len)?);
        let (transport, offset) = match (flow.protocol, self.header_len) {
            (UDP, _) => (Transport::Udp, UDP_CHECKSUM),
            (_, V4_HEADER_LEN) => (Transport::Tcp4, TCP_CHECKSUM),
            _ => (Transport::Tcp6, TCP_CHECKSUM),
        };
        match transport {
            Transport::Udp => first[4..6].copy_from_slice(&u16::try_from(self.len).ok()?.to_be_bytes()),
            Transport::Tcp4 | Transport::Tcp6 if self.is_pushed => first[TCP_FLAGS] |= PSH,
            Transport::Tcp4 | Transport::Tcp6 => {}
        }
        first[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
        let field = |value: usize| u16::try_from(value).ok();
        Some(Offload {
            checksum: Some(PartialChecksum { start: field(self.header_len)?, offset: field(offset)? }),
            segmentation: Some(Segmentation {
                transport,
                size: field(flow.size)?,
                header_len: field(self.header_len + flow.transport_header_len)?,
            }),
        })
    }
}

/// Whether two TCP headers differ in nothing but sequence number, checksum and PSH: the same acknowledgement, window and
/// options, timestamps among them.
fn is_alike(first: &[u8], other: &[u8]) -> bool {
    // flags were found to be ACK alone; the urgent pointer means nothing without URG
    first[8..TCP_FLAGS] == other[8..TCP_FLAGS]
        && first[14..TCP_CHECKSUM] == other[14..TCP_CHECKSUM]
        && first[TCP_HEADER_LEN..] == other[TCP_HEADER_LEN..]
}

/// Whether the checksum over a segment and its pseudo-header is right.
fn is_right(header: &[u8], protocol: u8, segment: &[u8]) -> bool {
    let pseudo = inner::pseudo_header_sum(header, protocol, segment.len());
    pseudo.is_some_and(|sum| checksum::finish(checksum::add(sum, segment)) == 0)
}

/// Spreads flows; the same before and after a change of keys. Only TCP and UDP over a header without options are told apart by
/// their ports: what else there is of a sender stays together, as fragments must.
fn flow_hash(header: &[u8], segment: &[u8]) -> u32 {
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_ne_bytes(*word))
    };
    let is_fragment = |header: &[u8]| header[6] & 0x3f != 0 || header[7] != 0;
    let (sender, has_ports) = match header.first() {
        Some(0x45) if header.len() >= V4_HEADER_LEN => {
            (word(header, 12), matches!(header[9], TCP | UDP) && !is_fragment(header))
        }
        // a whole IPv6 packet is told apart by its sender alone
        Some(_) | None => (word(header, 20), header.len() == MAX_HEADER_LEN && matches!(header[6], TCP | UDP)),
    };
    let ports = if has_ports { word(segment, 0) } else { 0 };
    // Knuth's multiplicative hash; the upper bits are the good ones
    (sender ^ ports.rotate_left(5)).wrapping_mul(0x9e37_79b1) >> 16
}

/// The longest fixed header, of IPv6, and that of IPv4.
const MAX_HEADER_LEN: usize = 40;
const V4_HEADER_LEN: usize = 20;

/// Version 4 without options; the only flag of byte 6 that may be set.
const V4_PLAIN: u8 = 0x45;
const V4_DONT_FRAGMENT: u8 = 0x40;

/// Segments in a packet: as many as a receive brings of one sender (`UDP_GRO_CNT_MAX` of Linux).
const MAX_PARTS: usize = 64;

/// Packets in a batch before they are sent: flows that are joined side by side.
const MAX_PACKETS: usize = 32;

#[cfg(test)]
mod tests;
