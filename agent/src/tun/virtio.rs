//! The virtio-net header (virtio 1.2 section 5.1.6) that goes before each packet of a device with offloads.
//!
//! It says what the host left undone: a checksum to be finished, a packet to be cut. The same header hands joined packets
//! back. Fields are in the machine's own byte order, as a TUN device has them. What to do about it is `data_plane`'s part.

/// What a packet lacks, or what it was joined from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offload {
    /// The checksum that is to be finished; `None` when it is right or there is none.
    pub checksum: Option<PartialChecksum>,
    /// How the packet is to be cut; `None` when it is one packet.
    pub segmentation: Option<Segmentation>,
}

/// A checksum field that holds the sum of the pseudo-header alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartialChecksum {
    /// Where the bytes that it covers begin, from the start of the packet; they go on to its end.
    pub start: u16,
    /// Where the field lies, from `start`.
    pub offset: u16,
}

/// A packet that stands for several with the same headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segmentation {
    /// Of what transport.
    pub transport: Transport,
    /// Bytes of payload in each segment but the last.
    pub size: u16,
    /// Bytes of all headers; a hint for the host's allocation.
    pub header_len: u16,
}

/// What can be cut and joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
}

/// Bytes of the header without the count of merged buffers, which a TUN device does not use.
pub const HEADER_LEN: usize = 10;

impl Offload {
    /// Reads a header; `None` when it asks for something that we never offered to do.
    pub fn decode(header: [u8; HEADER_LEN]) -> Option<Self> {
        let [flags, kind, fields @ ..] = header;
        let field = |index: usize| u16::from_ne_bytes([fields[2 * index], fields[2 * index + 1]]);
        let checksum = (flags & NEEDS_CHECKSUM != 0).then(|| PartialChecksum { start: field(2), offset: field(3) });
        let transport = match kind & !CONGESTION_REDUCED {
            NONE => return Some(Self { checksum, segmentation: None }),
            TCP4 => Transport::Tcp4,
            TCP6 => Transport::Tcp6,
            UDP => Transport::Udp,
            _ => return None,
        };
        let segmentation = Some(Segmentation { transport, size: field(1), header_len: field(0) });
        Some(Self { checksum, segmentation })
    }

    /// The bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let flags = if self.checksum.is_some() { NEEDS_CHECKSUM } else { 0 };
        let kind = match self.segmentation.map(|cut| cut.transport) {
            None => NONE,
            Some(Transport::Tcp4) => TCP4,
            Some(Transport::Tcp6) => TCP6,
            Some(Transport::Udp) => UDP,
        };
        let (header_len, size) = self.segmentation.map_or((0, 0), |cut| (cut.header_len, cut.size));
        let (start, offset) = self.checksum.map_or((0, 0), |partial| (partial.start, partial.offset));
        let mut header = [flags, kind, 0, 0, 0, 0, 0, 0, 0, 0];
        for (place, field) in header[2..].chunks_exact_mut(2).zip([header_len, size, start, offset]) {
            place.copy_from_slice(&field.to_ne_bytes());
        }
        header
    }
}

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CHECKSUM: u8 = 1;

/// `VIRTIO_NET_HDR_GSO_ECN`: a flag beside the kind, for segments whose first may carry CWR. The cut handles CWR anyway.
const CONGESTION_REDUCED: u8 = 0x80;

/// `VIRTIO_NET_HDR_GSO_NONE`, `_TCPV4`, `_TCPV6`, `_UDP_L4`.
const NONE: u8 = 0;
const TCP4: u8 = 1;
const TCP6: u8 = 4;
const UDP: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let checksum = Some(PartialChecksum { start: 20, offset: 16 });
        for transport in [Transport::Tcp4, Transport::Tcp6, Transport::Udp] {
            let segmentation = Some(Segmentation { transport, size: 1414, header_len: 52 });

            let offload = Offload { checksum, segmentation };

            assert_eq!(Offload::decode(offload.encode()), Some(offload));
        }
        assert_eq!(Offload::decode(Offload::default().encode()), Some(Offload::default()));
    }

    #[test]
    fn a_kind_that_was_not_offered_is_refused_and_the_congestion_flag_is_not_a_kind() {
        // VIRTIO_NET_HDR_GSO_UDP: fragmentation of one datagram
        assert_eq!(Offload::decode([0, 3, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        let with_flag = Offload::decode([1, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(with_flag.segmentation.unwrap().transport, Transport::Tcp4);
    }
}
