//! What is cut is what the host would have sent one by one, as `reference` says it; what makes no sense is refused.

use proptest::prelude::*;

use super::super::reference::{self, Tcp, ip_header, packet, udp, unfinished};
use super::*;
use crate::tun::virtio::Segmentation;

#[test]
fn a_tcp_super_packet_becomes_the_segments_that_the_host_would_have_sent() {
    for is_v6 in [false, true] {
        for (flags, payload_len, size) in [
            (ACK, 60_000, 1414),
            (ACK | PSH, 4000, 1000),
            (ACK | PSH | FIN, 2801, 1400),
            (ACK | CWR | ECE, 3000, 1400),
            (ACK | URG, 2001, 1000),
            (ACK | PSH, 1400, 1400),
            (ACK | FIN, 1, 1400),
            (ACK, 0, 1400),
        ] {
            for options in [&[][..], &[1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9], &[1; 40]] {
                let tcp = Tcp { flags, options: options.to_vec(), ..Tcp::new(u32::MAX - 1500) };
                let whole = unfinished(packet(&ip_header(is_v6, 1, 2, TCP), &tcp.with(&payload(payload_len))));

                check(&whole, tcp_offload(&whole, size));
            }
        }
    }
}

#[test]
fn a_udp_super_packet_becomes_the_datagrams_that_the_host_would_have_sent() {
    for is_v6 in [false, true] {
        for (payload_len, size) in [(60_000, 1438), (4000, 1000), (2801, 1400), (1400, 1400), (3, 1), (0, 9)] {
            let datagram = udp([4433, 443], &payload(payload_len));
            let whole = unfinished(packet(&ip_header(is_v6, 1, 2, UDP), &datagram));

            check(&whole, udp_offload(&whole, size));
        }
    }
}

#[test]
fn ipv4_options_stay_with_every_segment_and_the_identification_counts_up() {
    let mut header = [&ip_header(false, 1, 2, TCP)[..], &[148, 4, 0, 0, 1, 1, 1, 0]].concat();
    header[0] = 0x47;
    header[4..6].copy_from_slice(&[0xff, 0xfe]);
    let whole = unfinished(packet(&header, &Tcp::new(9).with(&payload(5000))));

    let packets = check(&whole, tcp_offload(&whole, 1000));

    let identifications: Vec<_> = packets.iter().map(|packet| u16::from_be_bytes([packet[4], packet[5]])).collect();
    assert_eq!(identifications, [0xfffe, 0xffff, 0, 1, 2]);
}

#[test]
fn ipv6_extension_headers_stay_with_every_segment() {
    let hop_by_hop = [TCP, 0, 5, 2, 0, 0, 1, 0];
    let mut header = ip_header(true, 1, 2, 0);
    header.extend(hop_by_hop);
    let whole = unfinished(packet(&header, &Tcp::new(9).with(&payload(5000))));

    check(&whole, tcp_offload(&whole, 1400));
}

/// RFC 8200 section 8.1: the pseudo-header has the final destination, which the fixed header lacks on the way.
#[test]
fn segments_behind_a_routing_header_are_summed_with_their_final_destination() {
    let mut header = ip_header(true, 1, 2, 43);
    header.extend([TCP, 2, 4, 1, 0, 0, 0, 0]);
    header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    let tcp = unfinished(packet(&header, &Tcp::new(9).with(&payload(5000))));
    header[40] = UDP;
    let udp = unfinished(packet(&header, &udp([1, 2], &payload(5000))));

    check(&tcp, tcp_offload(&tcp, 1400));
    check(&udp, udp_offload(&udp, 1400));
}

#[test]
fn the_longest_packets_that_there_are_can_be_cut() {
    for (is_v6, payload_len) in [(false, 65_515), (true, 65_535)] {
        for size in [1400, u16::MAX] {
            let tcp = Tcp::new(1).with(&payload(payload_len - 20));
            let whole = unfinished(packet(&ip_header(is_v6, 1, 2, TCP), &tcp));
            check(&whole, tcp_offload(&whole, size));
            let whole = unfinished(packet(&ip_header(is_v6, 1, 2, UDP), &udp([1, 2], &payload(payload_len - 8))));
            check(&whole, udp_offload(&whole, size));
        }
    }
}

/// In IPv4 that says that there is none (RFC 768); in IPv6 some tunnels send so (RFC 6935).
#[test]
fn a_finished_datagram_whose_checksum_field_is_zero_keeps_it() {
    for is_v6 in [false, true] {
        let whole = packet(&ip_header(is_v6, 1, 2, UDP), &udp([5, 6], &payload(77)));
        let outline = inner::parse(&whole).unwrap();

        let cut = Cut::new(&whole, &outline, &Offload::default()).unwrap();

        assert_eq!(cut.packet(0), whole);
        assert_eq!(written(&cut, 0, Form::Transport), whole[outline.header_len..]);
    }
}

#[test]
fn bytes_behind_the_packets_own_length_are_no_part_of_it() {
    let whole = unfinished(packet(&ip_header(false, 1, 2, TCP), &Tcp::new(9).with(&payload(2500))));
    let offload = tcp_offload(&whole, 1000);
    let longer = [&whole[..], &[7; 100]].concat();
    let outline = inner::parse(&longer).unwrap();

    let cut = Cut::new(&longer, &outline, &offload).unwrap();

    assert_eq!(packets(&cut), reference::cut(&whole, 1000));
}

#[test]
fn a_packet_without_offload_stays_as_it_is() {
    for is_v6 in [false, true] {
        let whole = packet(&ip_header(is_v6, 1, 2, 1), &payload(999));
        let outline = inner::parse(&whole).unwrap();

        let cut = Cut::new(&whole, &outline, &Offload::default()).unwrap();

        assert_eq!((cut.count(), cut.bytes(), cut.longest_packet()), (1, whole.len(), whole.len()));
        assert_eq!(cut.packet(0), whole);
        assert_eq!(written(&cut, 0, Form::Transport), whole[outline.header_len..]);
    }
}

#[test]
fn a_checksum_left_to_the_device_is_finished() {
    for is_v6 in [false, true] {
        for protocol in [TCP, UDP] {
            let segment = if protocol == TCP { Tcp::new(1).with(&payload(77)) } else { udp([5, 6], &payload(77)) };
            let whole = unfinished(packet(&ip_header(is_v6, 1, 2, protocol), &segment));
            let outline = inner::parse(&whole).unwrap();
            let offload = Offload { segmentation: None, ..tcp_offload(&whole, 1) };

            let cut = Cut::new(&whole, &outline, &offload).unwrap();

            let finished = reference::finished(whole.clone());
            assert_eq!(cut.packet(0), finished);
            assert_eq!(written(&cut, 0, Form::Transport), finished[outline.header_len..]);
        }
    }
}

#[test]
fn a_udp_checksum_that_comes_out_as_zero_is_sent_as_ones() {
    let mut datagram = udp([4433, 443], &[0; 4]);
    // what the sum lacks to all ones
    let lacking = reference::finished(packet(&ip_header(true, 1, 2, UDP), &datagram))[46..48].to_vec();
    datagram[8..10].copy_from_slice(&lacking);
    let single = unfinished(packet(&ip_header(true, 1, 2, UDP), &datagram));
    let several = unfinished(packet(&ip_header(true, 1, 2, UDP), &[&datagram[..], &[1; 4]].concat()));
    let outline = inner::parse(&single).unwrap();
    let offload = Offload { segmentation: None, ..udp_offload(&single, 1) };

    let of_single = Cut::new(&single, &outline, &offload).unwrap().packet(0);
    let of_several = check(&several, udp_offload(&several, 4));

    assert_eq!(of_single[46..48], [0xff, 0xff]);
    assert_eq!(of_several[0][46..48], [0xff, 0xff]);
}

#[test]
fn a_word_of_the_host_that_does_not_fit_the_packet_is_refused() {
    let whole = unfinished(packet(&ip_header(false, 1, 2, TCP), &Tcp::new(9).with(&payload(2500))));
    let good = tcp_offload(&whole, 1000);
    let (partial, segmentation) = (good.checksum.unwrap(), good.segmentation.unwrap());
    let at = |start, offset| Offload { checksum: Some(PartialChecksum { start, offset }), ..good };
    let single_at = |start, offset| Offload { segmentation: None, ..at(start, offset) };
    let cut_as = |segmentation| Offload { segmentation: Some(segmentation), ..good };
    let end = u16::try_from(whole.len()).unwrap();

    for (words, why) in [
        (Offload { checksum: None, ..good }, "a cut without a checksum to finish"),
        (cut_as(Segmentation { size: 0, ..segmentation }), "pieces of nothing"),
        (cut_as(Segmentation { transport: Transport::Tcp6, ..segmentation }), "TCP over the other IP"),
        (cut_as(Segmentation { transport: Transport::Udp, ..segmentation }), "a UDP cut of TCP"),
        (at(19, 16), "a segment that begins within the IP header"),
        (at(end, 16), "a segment that begins at the end"),
        (at(u16::MAX, 16), "a segment that begins beyond the end"),
        (at(end - 19, 16), "less than a TCP header"),
        (single_at(19, 16), "a checksum over part of the IP header"),
        (single_at(20, end - 21), "a field that reaches beyond the end"),
        (single_at(u16::MAX, u16::MAX), "a field far beyond the end"),
    ] {
        let refused = Cut::new(&whole, &inner::parse(&whole).unwrap(), &words).err();

        assert_eq!(refused, Some(Discard::InnerMalformed), "{why}");
    }
    assert!(Cut::new(&whole, &inner::parse(&whole).unwrap(), &at(partial.start, partial.offset)).is_ok());
}

#[test]
fn a_tcp_header_that_is_too_short_or_reaches_beyond_the_packet_is_refused() {
    for (words, payload_len) in [(4, 100), (0, 100), (15, 39), (6, 3)] {
        let mut segment = Tcp::new(9).with(&payload(payload_len));
        segment[12] = words << 4;
        let whole = packet(&ip_header(true, 1, 2, TCP), &segment);
        let offload = Offload {
            checksum: Some(PartialChecksum { start: 40, offset: 16 }),
            segmentation: Some(Segmentation { transport: Transport::Tcp6, size: 10, header_len: 60 }),
        };

        let refused = Cut::new(&whole, &inner::parse(&whole).unwrap(), &offload).err();

        assert_eq!(refused, Some(Discard::InnerMalformed), "{words} words");
    }
}

proptest! {
    #[test]
    fn any_super_packet_is_cut_as_the_reference_cuts_it(
        (is_v6, is_tcp) in any::<(bool, bool)>(),
        sequence in any::<u32>(),
        flags in any::<u8>(),
        options in (0_usize..11).prop_flat_map(|words| prop::collection::vec(any::<u8>(), words * 4)),
        identification in any::<[u8; 2]>(),
        payload in prop::collection::vec(any::<u8>(), 0..6000),
        size in prop_oneof![1_u16..20, 500_u16..1500, any::<u16>().prop_map(|size| size.max(1))],
    ) {
        let protocol = if is_tcp { TCP } else { UDP };
        let mut header = ip_header(is_v6, 1, 2, protocol);
        if !is_v6 {
            header[4..6].copy_from_slice(&identification);
        }
        let tcp = Tcp { flags, options, ..Tcp::new(sequence) };
        let segment = if is_tcp { tcp.with(&payload) } else { udp([1, 2], &payload) };
        let whole = unfinished(packet(&header, &segment));

        check(&whole, if is_tcp { tcp_offload(&whole, size) } else { udp_offload(&whole, size) });
    }

    #[test]
    fn a_checksum_at_any_place_is_the_sum_from_its_start_to_the_end(
        is_v6 in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 2..300),
        (start, offset) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let whole = packet(&ip_header(is_v6, 1, 2, 99), &bytes);
        let outline = inner::parse(&whole).unwrap();
        let start = outline.header_len + start.index(bytes.len() - 1);
        let offset = offset.index(whole.len() - start - 1);
        let partial = PartialChecksum { start: start as u16, offset: offset as u16 };
        let offload = Offload { checksum: Some(partial), segmentation: None };

        let cut = Cut::new(&whole, &outline, &offload).unwrap();

        let mut expected = whole.clone();
        let sum = reference::checksum(&whole[start..]);
        let sum = if sum == 0 && offset == 6 { 0xffff } else { sum };
        expected[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
        prop_assert_eq!(cut.packet(0), &expected[..]);
        prop_assert_eq!(written(&cut, 0, Form::Transport), &expected[outline.header_len..]);
    }

    /// Whatever the device says about whatever packet: it is refused, or cut into packets that are well-formed.
    #[test]
    fn no_word_about_no_packet_makes_a_panic(
        (is_v6, protocol) in (any::<bool>(), prop_oneof![Just(TCP), Just(UDP), any::<u8>()]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        has_checksum in prop::bool::weighted(0.9),
        (start, offset) in prop_oneof![(0_u16..300, 0_u16..300), any::<(u16, u16)>()],
        transport in prop::option::weighted(0.8, prop::sample::select(TRANSPORTS)),
        size in prop_oneof![0_u16..50, any::<u16>()],
    ) {
        let whole = packet(&ip_header(is_v6, 1, 2, protocol), &bytes);
        let outline = inner::parse(&whole).unwrap();
        let offload = Offload {
            checksum: has_checksum.then_some(PartialChecksum { start, offset }),
            segmentation: transport.map(|transport| Segmentation { transport, size, header_len: 0 }),
        };

        if let Ok(cut) = Cut::new(&whole, &outline, &offload) {
            let packets = packets(&cut);
            for packet in &packets {
                prop_assert_eq!(inner::parse(packet).map(|outline| outline.len), Ok(packet.len()));
            }
            prop_assert_eq!(packets.iter().map(Vec::len).sum::<usize>(), cut.bytes());
        }
    }
}

/// Holds a cut against the reference, in both forms, and gives its packets.
#[track_caller]
fn check(whole: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let outline = inner::parse(whole).unwrap();
    let cut = Cut::new(whole, &outline, &offload).unwrap();
    let expected = reference::cut(whole, usize::from(offload.segmentation.unwrap().size));

    let packets = packets(&cut);

    assert!(expected.iter().all(|packet| reference::is_right(packet)));
    assert!(packets == expected, "{} packets, the reference has {}", packets.len(), expected.len());
    assert_eq!(cut.bytes(), expected.iter().map(Vec::len).sum::<usize>());
    assert_eq!(cut.longest_packet(), expected[0].len());
    for (index, packet) in expected.iter().enumerate() {
        assert_eq!(written(&cut, index, Form::Transport), packet[outline.header_len..], "segment {index}");
    }
    packets
}

fn packets(cut: &Cut<'_>) -> Vec<Vec<u8>> {
    (0..cut.count()).map(|index| cut.packet(index)).collect()
}

/// A segment written over what lay there before, into more room than it takes.
fn written(cut: &Cut<'_>, index: usize, form: Form) -> Vec<u8> {
    let len = cut.len(index, form);
    let mut out = vec![0xa5; len + 32];
    cut.write(index, form, &mut out);
    assert_eq!(out[len..], [0xa5; 32]);
    out.truncate(len);
    out
}

fn tcp_offload(whole: &[u8], size: u16) -> Offload {
    let transport = if whole[0] >> 4 == 4 { Transport::Tcp4 } else { Transport::Tcp6 };
    offload(whole, transport, size)
}

fn udp_offload(whole: &[u8], size: u16) -> Offload {
    offload(whole, Transport::Udp, size)
}

fn offload(whole: &[u8], transport: Transport, size: u16) -> Offload {
    let at = reference::transport(whole);
    let (start, offset) = (at.start as u16, at.checksum as u16);
    let header_len = (at.start + at.header_len) as u16;
    Offload {
        checksum: Some(PartialChecksum { start, offset }),
        segmentation: Some(Segmentation { transport, size, header_len }),
    }
}

/// Bytes that differ from their neighbours and from those of the next segment.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 251) as u8).collect()
}

const TRANSPORTS: &[Transport] = &[Transport::Tcp4, Transport::Tcp6, Transport::Udp];

/// Flags that the code under test has no name for.
const URG: u8 = 0x20;
const ECE: u8 = 0x40;
