//! What each fuzz target of the agent does with its bytes: the two ways between super-packets and segments, where a host
//! and an authentic peer may say anything.
//!
//! Compiled twice: into the fuzz targets, and into the agent's tests, which replay the corpus through the same functions
//! on a stable compiler. A new function here needs a line in `ALL` and a file in `fuzz_targets/`. Who includes this has
//! `reference` of the agent's tests, too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use warren_agent::data_plane::coalesce::{Coalescer, Delivery};
use warren_agent::data_plane::segment::Cut;
use warren_agent::tun::{Joins, Offload};
use warren_proto::crypto::Suite;
use warren_proto::inner::{self, Form};
use warren_proto::io::Ecn;
use warren_proto::keys::{NodeId, Spi};
use warren_proto::session::{InboundSa, SaParams};

use super::reference::{self, TCP, UDP, ip_header, packet};

/// A target by its name.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// Every entry by the name of its target and its corpus.
pub(crate) const ALL: &[Entry] = &[("coalesce", coalesce), ("cut", cut)];

/// A virtio header and a packet, as it is and with the lengths and the checksum that a fuzzer does not guess: it is refused,
/// or cut into packets that are well-formed and the same in both forms.
pub(crate) fn cut(bytes: &[u8]) {
    let Some((header, bytes)) = bytes.split_first_chunk() else { return };
    let Some(offload) = Offload::decode(*header) else { return };
    // the longest IPv4 header, and the longest packet
    let mended = if (60..65_536).contains(&bytes.len()) { packet(bytes, &[]) } else { Vec::new() };
    for whole in [bytes, &mended] {
        let Ok(outline) = inner::parse(whole) else { continue };
        let Ok(cut) = Cut::new(whole, &outline, &offload) else { continue };
        let mut len = 0;
        for index in 0..cut.count() {
            let packet = cut.packet(index);
            assert_eq!(inner::parse(&packet).map(|outline| outline.len), Ok(packet.len()));
            let mut segment = vec![0; cut.len(index, Form::Transport)];
            cut.write(index, Form::Transport, &mut segment);
            assert_eq!(segment, packet[outline.header_len..]);
            len += packet.len();
        }
        assert_eq!(len, cut.bytes());
    }
}

/// Segments, each behind a byte that says how it comes and one of length, whose highest bit gives it a header of its own, some
/// with a right checksum and followed by others that continue it: what joins is cut again, and each flow is as it was sent.
pub(crate) fn coalesce(mut bytes: &[u8]) {
    let mut host = Host::new();
    while let Some(([how, len], rest)) = bytes.split_first_chunk() {
        let (is_whole, len) = (len & 0x80 != 0, usize::from(len & 0x7f));
        let (segment, rest) = rest.split_at(rest.len().min(len));
        bytes = rest;
        let mut segment = segment.to_vec();
        for _ in 0..=how >> 5 {
            host.take(*how, is_whole, &segment);
            follow(&mut segment);
        }
    }
    host.finish();
}

/// Makes the next segment of a flow: the sequence number moves on by the payload.
fn follow(segment: &mut [u8]) {
    let header_len = segment.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
    let payload_len = segment.len().saturating_sub(header_len) as u32;
    if let Some(field) = segment.get_mut(4..8).and_then(|field| field.first_chunk_mut()) {
        *field = u32::from_be_bytes(*field).wrapping_add(payload_len).to_be_bytes();
    }
}

/// What must stay in order: packets of one family, protocol and pair of ports.
type Flows = BTreeMap<(bool, u8, Vec<u8>), Vec<Vec<u8>>>;

/// The receiving end of two associations, what it took and what it delivered.
struct Host {
    sas: [InboundSa; 2],
    coalescer: Coalescer,
    buffer: Vec<u8>,
    filled: usize,
    taken: Flows,
    delivered: Flows,
}

impl Host {
    fn new() -> Self {
        let coalescer = Coalescer::new(Joins { tcp: true, udp: true });
        let (taken, delivered) = (Flows::new(), Flows::new());
        Self { sas: [false, true].map(association), coalescer, buffer: vec![0; 1 << 16], filled: 0, taken, delivered }
    }

    fn take(&mut self, how: u8, is_whole: bool, segment: &[u8]) {
        let (is_v6, protocol, ecn) = (how & 1 != 0, if how & 2 == 0 { TCP } else { UDP }, Ecn::from_bits(how >> 2));
        let mut header = ip_header(is_v6, 1, 2, protocol);
        header[1] |= if is_v6 { ecn.bits() << 4 } else { ecn.bits() };
        if is_whole {
            // as after a router
            header[if is_v6 { 7 } else { 8 }] -= 1;
        }
        let mut whole = packet(&header, segment);
        let min_len = if protocol == TCP { 20 } else { 8 };
        if how & 16 == 0 && segment.len() >= min_len {
            whole = reference::finished(whole);
        }
        let travels = if is_whole { &whole[..] } else { &whole[header.len()..] };
        if self.filled + travels.len() > self.buffer.len() {
            self.send_all();
        }
        let at = self.filled..self.filled + travels.len();
        self.buffer[at.clone()].copy_from_slice(travels);
        self.filled = at.end;
        let (delivered, sa) = (&mut self.delivered, &self.sas[usize::from(is_v6)]);
        let send = |delivery: Delivery<'_>| note(delivered, &delivery);
        if is_whole {
            self.coalescer.add_packet(&mut self.buffer, at, sa, send);
        } else {
            let added = self.coalescer.add_segment(&mut self.buffer, at, (sa, protocol, ecn), send);
            added.expect("no longer than a packet");
        }
        push(&mut self.taken, whole);
    }

    fn send_all(&mut self) {
        let delivered = &mut self.delivered;
        self.coalescer.send_all(&mut self.buffer, |delivery| note(delivered, &delivery));
        self.filled = 0;
    }

    fn finish(mut self) {
        self.send_all();
        assert!(self.delivered == self.taken, "a flow did not arrive as it was sent");
    }
}

/// Notes what the device got, cut again by the reference.
fn note(flows: &mut Flows, delivery: &Delivery<'_>) {
    let header = delivery.parts[0][..].try_into().expect("the virtio header first");
    let offload = Offload::decode(header).expect("a header that the kernel knows");
    let whole: Vec<u8> = delivery.parts[1..].iter().flat_map(|part| part.to_vec()).collect();
    match offload.segmentation {
        None => push(flows, whole),
        Some(segmentation) => {
            assert!(reference::unfinished(whole.clone()) == whole, "the pseudo-header's sum is wrong");
            let packets = reference::cut(&whole, usize::from(segmentation.size));
            assert_eq!(packets.len(), delivery.count);
            packets.into_iter().map(reference::without_identification).for_each(|packet| push(flows, packet));
        }
    }
}

fn push(flows: &mut Flows, packet: Vec<u8>) {
    let is_v6 = packet[0] >> 4 == 6;
    let (protocol, segment) = if is_v6 { (packet[6], &packet[40..]) } else { (packet[9], &packet[20..]) };
    let ports = segment[..segment.len().min(4)].to_vec();
    flows.entry((is_v6, protocol, ports)).or_default().push(packet);
}

fn association(is_v6: bool) -> InboundSa {
    let ip = |host: u8| -> IpAddr {
        if is_v6 {
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into()
        } else {
            Ipv4Addr::new(100, 64, 0, host).into()
        }
    };
    InboundSa::new(SaParams {
        suite: Suite::default(),
        spi: Spi::new(0x8000_0010 + u32::from(is_v6)).expect("a tagged word"),
        key_material: [7; 36].into(),
        peer: NodeId::new([1; 16]),
        local: ip(2),
        remote: ip(1),
        ttl: 64,
        routes: Vec::new(),
    })
}
