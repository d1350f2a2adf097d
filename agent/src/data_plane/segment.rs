//! Cuts a packet of the host into the segments that travel, and finishes their checksums.
//!
//! A host with segmentation offload hands over up to 64 KiB of one flow under one header. Each segment is written straight
//! into the place where it is sealed, in the form it travels in; the packet read is not changed. A packet that is
//! nothing to cut is one segment.

use warren_proto::inner::{self, Form, Outline, checksum};
use warren_proto::io::Discard;
use warren_proto::keys::Family;

use crate::tun::Offload;
use crate::tun::virtio::{PartialChecksum, Transport};

/// A packet, and how it is cut.
#[derive(Debug)]
pub struct Cut<'a> {
    packet: &'a [u8],
    /// Bytes of IP header that transport form leaves out.
    ip_len: usize,
    kind: Kind,
    /// Where the payload begins that is shared out.
    payload_start: usize,
    /// Bytes of payload in each segment but the last.
    size: usize,
    count: usize,
}

#[derive(Debug)]
enum Kind {
    /// One packet, with the checksum that it lacks.
    Single(Option<PartialChecksum>),
    /// TCP, and where its header begins.
    Tcp(usize),
    /// UDP, and where its header begins.
    Udp(usize),
}

impl<'a> Cut<'a> {
    /// Understands a packet that `inner::parse` found well-formed. `InnerMalformed` when the host's word about it does
    /// not fit it.
    pub fn new(packet: &'a [u8], outline: &Outline, offload: &Offload) -> Result<Self, Discard> {
        let packet = packet.get(..outline.len).ok_or(Discard::InnerMalformed)?;
        let ip_len = outline.header_len;
        let Some(segmentation) = offload.segmentation else {
            if let Some(partial) = offload.checksum {
                let field = usize::from(partial.start) + usize::from(partial.offset);
                if usize::from(partial.start) < ip_len || field + 2 > packet.len() {
                    return Err(Discard::InnerMalformed);
                }
            }
            let kind = Kind::Single(offload.checksum);
            return Ok(Self { packet, ip_len, kind, payload_start: ip_len, size: packet.len() - ip_len, count: 1 });
        };
        // a packet to be cut always has its checksum to be finished, and so says where its transport begins
        let start = usize::from(offload.checksum.ok_or(Discard::InnerMalformed)?.start);
        let header = packet.get(start..).filter(|_| start >= ip_len).ok_or(Discard::InnerMalformed)?;
        let (protocol, family) = match segmentation.transport {
            Transport::Tcp4 => (TCP, Family::V4),
            Transport::Tcp6 => (TCP, Family::V6),
            Transport::Udp => (UDP, outline.family),
        };
        // behind extension headers the host alone knows
        if family != outline.family || start == ip_len && protocol != outline.protocol {
            return Err(Discard::InnerMalformed);
        }
        let (kind, header_len) = match segmentation.transport {
            Transport::Tcp4 | Transport::Tcp6 => (Kind::Tcp(start), tcp_header_len(header)?),
            Transport::Udp => (Kind::Udp(start), UDP_HEADER_LEN),
        };
        let payload_len = header.len().checked_sub(header_len).ok_or(Discard::InnerMalformed)?;
        let size = usize::from(segmentation.size);
        if size == 0 {
            return Err(Discard::InnerMalformed);
        }
        let count = payload_len.div_ceil(size).max(1);
        Ok(Self { packet, ip_len, kind, payload_start: start + header_len, size, count })
    }

    /// How many segments there are; at least one.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Bytes of all segments as IP packets.
    pub const fn bytes(&self) -> usize {
        self.packet.len() + (self.count - 1) * self.payload_start
    }

    /// Bytes of the longest segment as an IP packet.
    pub fn longest_packet(&self) -> usize {
        self.payload_start + self.payload_len(0)
    }

    /// Bytes of a segment in the form it travels in.
    pub fn len(&self, index: usize, form: Form) -> usize {
        self.payload_start - self.skipped(form) + self.payload_len(index)
    }

    /// Writes segment `index`, finished, to the start of `out`, which has room for [`Self::len`] bytes.
    pub fn write(&self, index: usize, form: Form, out: &mut [u8]) {
        let skipped = self.skipped(form);
        let headers = &self.packet[skipped..self.payload_start];
        let payload_start = self.payload_start + index * self.size;
        let payload = &self.packet[payload_start..payload_start + self.payload_len(index)];
        let out = &mut out[..headers.len() + payload.len()];
        out[..headers.len()].copy_from_slice(headers);
        out[headers.len()..].copy_from_slice(payload);
        match self.kind {
            Kind::Single(None) => {}
            Kind::Single(Some(partial)) => {
                let start = usize::from(partial.start) - skipped;
                finish_checksum(&mut out[start..], usize::from(partial.offset), 0);
            }
            Kind::Tcp(start) => {
                self.mend_ip(index, form, out);
                let segment = &mut out[start - skipped..];
                self.mend_tcp(index, segment);
                finish_checksum(segment, TCP_CHECKSUM, self.length_change(start, segment.len()));
            }
            Kind::Udp(start) => {
                self.mend_ip(index, form, out);
                let datagram = &mut out[start - skipped..];
                // what follows a fixed header is at most 65,535 bytes
                let len = datagram.len() as u16;
                datagram[4..6].copy_from_slice(&len.to_be_bytes());
                finish_checksum(datagram, UDP_CHECKSUM, self.length_change(start, datagram.len()));
            }
        }
    }

    /// A segment as a packet of its own.
    pub fn packet(&self, index: usize) -> Vec<u8> {
        let mut packet = vec![0; self.len(index, Form::Whole)];
        self.write(index, Form::Whole, &mut packet);
        packet
    }

    fn payload_len(&self, index: usize) -> usize {
        let before = self.payload_start + index * self.size;
        self.packet.len().saturating_sub(before).min(self.size)
    }

    const fn skipped(&self, form: Form) -> usize {
        match form {
            Form::Transport => self.ip_len,
            Form::Whole => 0,
        }
    }

    /// Each segment that travels whole has its own length, and its own identification as the host would have counted.
    fn mend_ip(&self, index: usize, form: Form, out: &mut [u8]) {
        match form {
            Form::Transport => {}
            Form::Whole => {
                let payload_len = out.len() - self.ip_len;
                // at most 65,535 segments
                inner::advance_identification(out, index as u16);
                inner::set_payload_len(out, payload_len)
                    .expect("parse accepted this header for a packet no shorter than a segment of it");
            }
        }
    }

    /// RFC 9293 section 3.1: the sequence number of its first byte; FIN and PSH are of the last segment, and CWR of the
    /// first (RFC 3168 section 6.1.2).
    fn mend_tcp(&self, index: usize, segment: &mut [u8]) {
        let sequence = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
        let sequence = sequence.wrapping_add((index * self.size) as u32);
        segment[4..8].copy_from_slice(&sequence.to_be_bytes());
        if index + 1 < self.count {
            segment[TCP_FLAGS] &= !(FIN | PSH);
        }
        if index > 0 {
            segment[TCP_FLAGS] &= !CWR;
        }
    }

    /// What to add to the sum of the pseudo-header, which the checksum field of the whole holds, for a segment of this
    /// length. The host's sum is kept because it alone has the final destination behind a routing header (RFC 8200
    /// section 8.1).
    const fn length_change(&self, start: usize, segment_len: usize) -> u32 {
        // one's complement: the complement is what to add to subtract; a packet is shorter than 64 KiB
        let whole_len = (self.packet.len() - start) as u16;
        !whole_len as u32 + segment_len as u32
    }
}

/// Sums `segment` with the field as it is and `sum`, and writes the field.
fn finish_checksum(segment: &mut [u8], offset: usize, sum: u32) {
    let sum = checksum::finish(checksum::add(sum, segment));
    // RFC 768: a computed zero is sent as all ones; in TCP and ICMP the two mean the same (RFC 1624 section 3)
    let sum = if sum == 0 && offset == UDP_CHECKSUM { u16::MAX } else { sum };
    segment[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
}

fn tcp_header_len(header: &[u8]) -> Result<usize, Discard> {
    let len = header.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
    if (TCP_HEADER_LEN..=header.len()).contains(&len) { Ok(len) } else { Err(Discard::InnerMalformed) }
}

/// Protocol numbers.
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Where a TCP header has its flags and its checksum, and how long it is without options (RFC 9293 section 3.1).
pub(super) const TCP_FLAGS: usize = 13;
pub(super) const TCP_CHECKSUM: usize = 16;
pub(super) const TCP_HEADER_LEN: usize = 20;

/// Flags of a TCP header.
pub(super) const FIN: u8 = 0x01;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const CWR: u8 = 0x80;

/// Where a UDP header has its checksum, and how long it is (RFC 768).
pub(super) const UDP_CHECKSUM: usize = 6;
pub(super) const UDP_HEADER_LEN: usize = 8;

#[cfg(test)]
mod tests;
