//! TCP and UDP over IP by the letter of the RFCs, one byte after the other: what the fast code is held against.
//!
//! Nothing here is shared with the code under test, and nothing is quick. The unit tests of the data plane include this
//! file, too.

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const CWR: u8 = 0x80;

/// A fixed IP header from host `from` to host `to` of the overlay: what `finish` fills in is 0.
pub(crate) fn ip_header(is_v6: bool, from: u8, to: u8, protocol: u8) -> Vec<u8> {
    if is_v6 {
        let address = |host| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
        return [&[0x60, 0, 0, 0, 0, 0, protocol, 64][..], &address(from), &address(to)].concat();
    }
    vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 100, 64, 0, from, 100, 64, 0, to]
}

/// What a test varies of a TCP segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tcp {
    pub(crate) ports: [u16; 2],
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// A multiple of four bytes.
    pub(crate) options: Vec<u8>,
}

impl Tcp {
    pub(crate) fn new(sequence: u32) -> Self {
        let options = Vec::new();
        Self { ports: [40_000, 443], sequence, acknowledgement: 7, flags: ACK, window: 500, options }
    }

    /// The segment with this payload; its checksum is 0.
    pub(crate) fn with(&self, payload: &[u8]) -> Vec<u8> {
        let words = 5 + u8::try_from(self.options.len() / 4).expect("at most ten words of options");
        let mut segment = Vec::new();
        self.ports.iter().for_each(|port| segment.extend(port.to_be_bytes()));
        segment.extend(self.sequence.to_be_bytes());
        segment.extend(self.acknowledgement.to_be_bytes());
        segment.extend([words << 4, self.flags]);
        segment.extend(self.window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(&self.options);
        segment.extend(payload);
        segment
    }
}

/// A UDP datagram; its checksum is 0.
pub(crate) fn udp(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).expect("a UDP datagram");
    let mut datagram: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    datagram.extend(len.to_be_bytes());
    datagram.extend([0; 2]);
    datagram.extend(payload);
    datagram
}

/// The packet of these headers and this segment, with lengths and the IPv4 checksum right.
pub(crate) fn packet(headers: &[u8], segment: &[u8]) -> Vec<u8> {
    let mut packet = [headers, segment].concat();
    let is_v6 = packet[0] >> 4 == 6;
    let len = if is_v6 { packet.len() - 40 } else { packet.len() };
    let at = if is_v6 { 4 } else { 2 };
    packet[at..at + 2].copy_from_slice(&u16::try_from(len).expect("an IP packet").to_be_bytes());
    if !is_v6 {
        let header_len = usize::from(packet[0] & 15) * 4;
        packet[10..12].fill(0);
        let sum = checksum(&packet[..header_len]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// The packet with the checksum of its TCP segment or UDP datagram right.
pub(crate) fn finished(mut packet: Vec<u8>) -> Vec<u8> {
    let at = transport(&packet);
    let field = at.start + at.checksum;
    packet[field..field + 2].fill(0);
    let sum = checksum(&[&pseudo_header(&packet, &at), &packet[at.start..]].concat());
    // RFC 768: zero means that there is none, so it is sent as its other form
    let sum = if sum == 0 && at.protocol == UDP { 0xffff } else { sum };
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The packet with its checksum left to the device: the field holds the sum of the pseudo-header.
pub(crate) fn unfinished(mut packet: Vec<u8>) -> Vec<u8> {
    let at = transport(&packet);
    let field = at.start + at.checksum;
    let sum = !checksum(&pseudo_header(&packet, &at));
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Whether lengths and checksums of a packet are right, whoever made it.
pub(crate) fn is_right(bytes: &[u8]) -> bool {
    let at = transport(bytes);
    let (headers, segment) = bytes.split_at(at.start);
    let has_checksum = at.protocol == TCP || segment[6..8] != [0, 0];
    packet(headers, segment) == bytes
        && (at.protocol == TCP || segment[4..6] == (segment.len() as u16).to_be_bytes())
        && (!has_checksum || checksum(&[&pseudo_header(bytes, &at), segment].concat()) == 0)
}

/// The packets that a super-packet stands for, with `size` bytes of payload in each but the last.
pub(crate) fn cut(super_packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let at = transport(super_packet);
    let (headers, segment) = super_packet.split_at(at.start);
    let (transport_header, payload) = segment.split_at(at.header_len);
    let pieces: Vec<&[u8]> = if payload.is_empty() { vec![payload] } else { payload.chunks(size).collect() };
    let mut sent = 0;
    let mut packets = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let (mut headers, mut transport_header) = (headers.to_vec(), transport_header.to_vec());
        if headers[0] >> 4 == 4 {
            let identification = u16::from_be_bytes([headers[4], headers[5]]).wrapping_add(index as u16);
            headers[4..6].copy_from_slice(&identification.to_be_bytes());
        }
        if at.protocol == TCP {
            let first = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
            transport_header[4..8].copy_from_slice(&first.wrapping_add(sent).to_be_bytes());
            let not_in_the_first = if index == 0 { 0 } else { CWR };
            let only_in_the_last = if index + 1 == pieces.len() { 0 } else { FIN | PSH };
            transport_header[13] &= !(not_in_the_first | only_in_the_last);
        } else {
            let len = u16::try_from(8 + piece.len()).expect("a UDP datagram");
            transport_header[4..6].copy_from_slice(&len.to_be_bytes());
        }
        packets.push(finished(packet(&headers, &[&transport_header, *piece].concat())));
        sent += piece.len() as u32;
    }
    packets
}

/// The packet as one that travels without its header arrives: the identification of IPv4 is 0.
pub(crate) fn without_identification(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes[0] >> 4 == 4 {
        bytes[4..6].fill(0);
    }
    packet(&bytes, &[])
}

/// RFC 1071.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for (index, byte) in bytes.iter().enumerate() {
        sum += u32::from(*byte) << if index % 2 == 0 { 8 } else { 0 };
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Where a packet has its TCP segment or UDP datagram.
pub(crate) struct Transport {
    pub(crate) protocol: u8,
    pub(crate) start: usize,
    pub(crate) header_len: usize,
    /// Where the checksum lies, from the start.
    pub(crate) checksum: usize,
    /// Source and final destination.
    addresses: Vec<u8>,
}

/// Walks over IPv4 options, or IPv6 hop-by-hop, routing and destination options.
pub(crate) fn transport(packet: &[u8]) -> Transport {
    let (mut protocol, mut start, mut addresses) = match packet[0] >> 4 {
        4 => (packet[9], usize::from(packet[0] & 15) * 4, packet[12..20].to_vec()),
        _ => (packet[6], 40, packet[8..40].to_vec()),
    };
    while packet[0] >> 4 == 6 && matches!(protocol, 0 | 43 | 60) {
        // RFC 8200 section 8.1: while segments are left, the final destination counts; tests have one address
        if protocol == 43 && packet[start + 3] > 0 {
            addresses[16..].copy_from_slice(&packet[start + 8..start + 24]);
        }
        (protocol, start) = (packet[start], start + 8 + usize::from(packet[start + 1]) * 8);
    }
    let (header_len, checksum) = match protocol {
        TCP => (usize::from(packet[start + 12] >> 4) * 4, 16),
        UDP => (8, 6),
        other => panic!("protocol {other} is neither TCP nor UDP"),
    };
    Transport { protocol, start, header_len, checksum, addresses }
}

/// RFC 9293 section 3.1 and RFC 8200 section 8.1: in either family the same sum.
fn pseudo_header(packet: &[u8], at: &Transport) -> Vec<u8> {
    let len = u32::try_from(packet.len() - at.start).expect("a packet");
    [&at.addresses[..], &len.to_be_bytes(), &[0, 0, 0, at.protocol]].concat()
}
