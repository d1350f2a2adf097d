//! Whatever joins, each flow arrives as it was sent: a joined packet is cut again by `reference` and compared byte by byte.

use std::collections::HashMap;

use proptest::prelude::*;
use warren_proto::crypto::Suite;
use warren_proto::keys::{NodeId, Spi};
use warren_proto::session::SaParams;

use super::super::reference::{self, FIN, Tcp, ip_header, packet, udp};
use super::*;
use crate::tun::virtio;

#[test]
fn tcp_segments_that_follow_each_other_become_one_packet_in_both_families() {
    for sa in [V4, V6] {
        let mut host = Host::new();
        let options = vec![1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        let mut tcp = Tcp { options, ..Tcp::new(u32::MAX - 2000) };

        for len in [1400, 1400, 1400, 800] {
            host.tcp(sa, &mut tcp, len);
        }

        let delivered = host.finish();
        assert_eq!(counts(&delivered), [4]);
        let segmentation = delivered[0].offload.segmentation.unwrap();
        let (transport, header_len) = if sa == V4 { (Transport::Tcp4, 52) } else { (Transport::Tcp6, 72) };
        assert_eq!(segmentation, Segmentation { transport, size: 1400, header_len });
    }
}

#[test]
fn udp_datagrams_of_one_length_become_one_packet_in_both_families() {
    for sa in [V4, V6] {
        let mut host = Host::new();

        for len in [1200, 1200, 1200, 1] {
            host.udp(sa, [1, 2], len);
        }

        let delivered = host.finish();
        assert_eq!(counts(&delivered), [4]);
        let header_len = if sa == V4 { 28 } else { 48 };
        let segmentation = Segmentation { transport: Transport::Udp, size: 1200, header_len };
        assert_eq!(delivered[0].offload.segmentation, Some(segmentation));
    }
}

#[test]
fn flows_side_by_side_are_joined_each_for_itself() {
    let mut host = Host::new();
    let (mut one, mut one_v6) = (Tcp::new(1), Tcp::new(1));
    let mut other = Tcp { ports: [40_001, 443], ..Tcp::new(1) };

    for _ in 0..5 {
        host.tcp(V4, &mut one, 1000);
        host.udp(V4, [40_000, 443], 1000);
        host.tcp(V4, &mut other, 1000);
        host.tcp(V6, &mut one_v6, 1000);
    }

    assert_eq!(counts(&host.finish()), [5, 5, 5, 5]);
}

#[test]
fn the_same_ports_at_another_host_are_another_flow() {
    let mut host = Host::new();
    let (mut one, mut other) = (Tcp::new(1), Tcp::new(1001));

    host.tcp(V4, &mut one, 1000);
    host.tcp(OTHER_V4, &mut other, 1000);
    host.udp(V4, [1, 2], 500);
    host.udp(OTHER_V4, [1, 2], 500);

    assert_eq!(counts(&host.finish()), [1, 1, 1, 1]);
}

#[test]
fn the_same_ports_of_tcp_and_udp_are_two_flows() {
    let mut host = Host::new();
    let mut tcp = Tcp { ports: [1, 2], ..Tcp::new(1) };

    for _ in 0..2 {
        host.tcp(V4, &mut tcp, 1000);
        host.udp(V4, [1, 2], 1000);
    }

    assert_eq!(counts(&host.finish()), [2, 2]);
}

#[test]
fn a_push_is_told_of_the_joined_packet_and_nothing_follows_it() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    host.tcp(V4, &mut tcp, 1000);
    tcp.flags = ACK | PSH;
    host.tcp(V4, &mut tcp, 1000);
    host.tcp(V4, &mut tcp, 1000);
    tcp.flags = ACK;
    host.tcp(V4, &mut tcp, 1000);
    host.tcp(V4, &mut tcp, 1000);

    let delivered = host.finish();
    assert_eq!(counts(&delivered), [2, 1, 2]);
    let pushed: Vec<_> = delivered.iter().map(|packet| packet.packet[20 + TCP_FLAGS] & PSH != 0).collect();
    assert_eq!(pushed, [true, true, false]);
}

#[test]
fn nothing_follows_a_shorter_segment_and_a_longer_one_does_not_join() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    [1000, 999, 999, 1000, 1001].into_iter().for_each(|len| host.tcp(V4, &mut tcp, len));
    [500, 499, 499, 500, 501].into_iter().for_each(|len| host.udp(V4, [1, 2], len));

    assert_eq!(counts(&host.finish()), [2, 1, 1, 1, 2, 1, 1, 1]);
}

#[test]
fn a_segment_that_does_not_begin_where_the_last_one_ended_does_not_join() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    host.tcp(V4, &mut tcp, 1000);
    tcp.sequence += 1000;
    host.tcp(V4, &mut tcp, 1000);
    tcp.sequence -= 2000;
    host.tcp(V4, &mut tcp, 1000);
    tcp.sequence -= 1000;
    host.tcp(V4, &mut tcp, 1000);
    tcp.sequence += 1;
    host.tcp(V4, &mut tcp, 1000);

    assert_eq!(counts(&host.finish()), [1; 5]);
}

#[test]
fn another_acknowledgement_window_option_or_reserved_bit_does_not_join() {
    type Change = fn(&mut Tcp);
    let changes: [(Change, &str); 5] = [
        (|tcp| tcp.acknowledgement += 1, "acknowledgement"),
        (|tcp| tcp.window += 1, "window"),
        (|tcp| tcp.options[7] += 1, "timestamp"),
        (|tcp| tcp.options.truncate(8), "fewer options"),
        (|tcp| tcp.options.extend([1; 4]), "more options"),
    ];
    for (change, what) in changes {
        let mut host = Host::new();
        let mut tcp = Tcp { options: vec![1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9], ..Tcp::new(1) };

        host.tcp(V4, &mut tcp, 1000);
        change(&mut tcp);
        host.tcp(V4, &mut tcp, 1000);
        host.tcp(V4, &mut tcp, 1000);

        assert_eq!(counts(&host.finish()), [1, 2], "{what}");
    }

    let mut host = Host::new();
    let mut tcp = Tcp::new(1);
    host.tcp(V4, &mut tcp, 1000);
    let mut with_reserved_bit = tcp.with(&[1; 1000]);
    with_reserved_bit[12] |= 1;
    host.take(V4, TCP, Ecn::NotEct, &finished(V4, TCP, &with_reserved_bit));
    assert_eq!(counts(&host.finish()), [1, 1]);
}

#[test]
fn a_segment_with_another_flag_goes_by_itself_and_is_not_passed() {
    for flags in [0, FIN | ACK, 0x02, 0x02 | ACK, 0x04, 0x04 | ACK, ACK | URG, ACK | ECE, ACK | CWR, FIN, PSH] {
        let mut host = Host::new();
        let mut tcp = Tcp::new(1);

        host.tcp(V4, &mut tcp, 1000);
        host.tcp(V4, &mut tcp, 1000);
        tcp.flags = flags;
        host.tcp(V4, &mut tcp, 1000);
        tcp.flags = ACK;
        host.tcp(V4, &mut tcp, 1000);
        host.tcp(V4, &mut tcp, 1000);

        assert_eq!(counts(&host.finish()), [2, 1, 2], "flags {flags:#x}");
    }
}

#[test]
fn an_acknowledgement_without_data_goes_by_itself_and_is_not_passed() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    for len in [1000, 1000, 0, 0, 1000, 1000] {
        host.tcp(V4, &mut tcp, len);
    }

    assert_eq!(counts(&host.finish()), [2, 1, 1, 2]);
}

#[test]
fn other_congestion_bits_do_not_join() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    for ecn in [Ecn::Ect0, Ecn::Ect0, Ecn::Ce, Ecn::Ce, Ecn::Ect0] {
        host.tcp_with(V4, &mut tcp, ecn, 1000);
    }
    for ecn in [Ecn::Ect1, Ecn::Ce, Ecn::Ce] {
        let datagram = finished(V6, UDP, &udp([1, 2], &[1; 100]));
        host.take(V6, UDP, ecn, &datagram);
    }

    assert_eq!(counts(&host.finish()), [2, 2, 1, 1, 2]);
}

#[test]
fn a_segment_with_a_wrong_checksum_neither_joins_nor_is_joined() {
    for protocol in [TCP, UDP] {
        for wrong in 0..4 {
            let mut host = Host::new();
            for index in 0..4 {
                let payload = [index as u8; 1000];
                let segment = match protocol {
                    TCP => Tcp::new(1 + index * 1000).with(&payload),
                    _ => udp([1, 2], &payload),
                };
                let mut segment = finished(V4, protocol, &segment);
                segment[999] ^= u8::from(index == wrong);
                host.take(V4, protocol, Ecn::NotEct, &segment);
            }

            let expected: &[usize] = [&[1, 3][..], &[1, 1, 2], &[2, 1, 1], &[3, 1]][wrong as usize];
            assert_eq!(counts(&host.finish()), expected, "protocol {protocol}, the {wrong}th");
        }
    }
}

#[test]
fn a_datagram_without_a_checksum_or_contents_or_with_another_length_goes_by_itself_and_is_not_passed() {
    let good = finished(V4, UDP, &udp([1, 2], &[1; 100]));
    let without_checksum = udp([1, 2], &[1; 100]);
    let empty = finished(V4, UDP, &udp([1, 2], &[]));
    let mut longer_than_it_says = without_checksum.clone();
    longer_than_it_says[5] -= 1;
    let longer_than_it_says = finished(V4, UDP, &longer_than_it_says);
    for odd in [without_checksum, empty, longer_than_it_says] {
        let mut host = Host::new();

        for datagram in [&good, &good, &odd, &odd, &good, &good] {
            host.take(V4, UDP, Ecn::NotEct, datagram);
        }

        assert_eq!(counts(&host.finish()), [2, 1, 1, 2]);
    }
}

/// RFC 768: no checksum was computed, so nobody may take the sum for one, even where it is right by chance.
#[test]
fn a_datagram_whose_checksum_field_is_zero_and_whose_sum_is_right_does_not_join() {
    for sa in [V4, V6] {
        let mut host = Host::new();
        let mut datagram = udp([1, 2], &[1; 100]);
        let lacking = finished(sa, UDP, &datagram)[6..8].to_vec();
        // what the sum lacks to all ones
        let word = u16::from_be_bytes([1, 1]);
        let word = u32::from(word) + u32::from(u16::from_be_bytes([lacking[0], lacking[1]]));
        let word = ((word & 0xffff) + (word >> 16)) as u16;
        datagram[8..10].copy_from_slice(&word.to_be_bytes());
        let header = ip_header(sa == V6, FROM[sa], 2, UDP);
        let whole = packet(&header, &datagram);
        let pseudo = inner::pseudo_header_sum(&whole[..header.len()], UDP, datagram.len()).unwrap();
        assert_eq!(checksum::finish(checksum::add(pseudo, &datagram)), 0);

        for _ in 0..3 {
            host.take(sa, UDP, Ecn::NotEct, &datagram);
        }

        assert_eq!(counts(&host.finish()), [1, 1, 1]);
    }
}

#[test]
fn packets_that_travel_whole_join_under_a_header_of_their_own() {
    for sa in [V4, V6] {
        for protocol in [TCP, UDP] {
            let mut host = Host::new();
            let mut tcp = Tcp::new(1);
            let mut header = ip_header(sa == V6, 9, 2, protocol);
            // marked, and sent by a neighbour of the peer that it routes for
            (header[0], header[1]) = if sa == V6 { (0x62, 0x02) } else { (0x45, 0x22) };
            header[if sa == V6 { 7 } else { 8 }] = 63;

            for len in [1000, 1000, 1000, 400] {
                host.whole_segment(sa, &header, protocol, &mut tcp, len);
            }

            let delivered = host.finish();
            assert_eq!(counts(&delivered), [4]);
            assert_eq!(delivered[0].offload.segmentation.unwrap().size, 1000);
        }
    }
}

#[test]
fn whole_packets_whose_headers_differ_do_not_join_and_are_not_passed() {
    type Change = fn(&mut [u8]);
    let changes: [(usize, Change, &str); 8] = [
        (V4, |header| header[1] ^= 0x20, "marking"),
        (V4, |header| header[1] ^= 2, "congestion bits"),
        (V4, |header| header[8] = 62, "time to live"),
        (V4, |header| header[15] ^= 1, "sender"),
        (V4, |header| header[19] ^= 1, "receiver"),
        (V6, |header| header[3] ^= 1, "flow label"),
        (V6, |header| header[7] = 62, "hop limit"),
        (V6, |header| header[23] ^= 1, "sender"),
    ];
    for (sa, change, what) in changes {
        let mut host = Host::new();
        let mut tcp = Tcp::new(1);
        let mut header = ip_header(sa == V6, 9, 2, TCP);

        host.whole_segment(sa, &header, TCP, &mut tcp, 1000);
        change(&mut header);
        host.whole_segment(sa, &header, TCP, &mut tcp, 1000);
        host.whole_segment(sa, &header, TCP, &mut tcp, 1000);

        assert_eq!(counts(&host.finish()), [1, 2], "{what}");
    }
}

#[test]
fn whole_packets_that_show_more_than_a_fixed_header_go_by_themselves() {
    let may_be_cut = {
        let mut header = ip_header(false, 9, 2, UDP);
        header[6] = 0;
        header
    };
    let with_options = {
        let mut header = [&ip_header(false, 9, 2, UDP)[..], &[1; 4]].concat();
        header[0] = 0x46;
        header
    };
    let extended = [&ip_header(true, 9, 2, 60)[..], &[UDP, 0, 1, 4, 0, 0, 0, 0]].concat();
    for (sa, header) in [(V4, may_be_cut), (V4, with_options), (V6, extended)] {
        let mut host = Host::new();

        for _ in 0..3 {
            host.whole_segment(sa, &header, UDP, &mut Tcp::new(1), 500);
        }

        assert_eq!(counts(&host.finish()), [1, 1, 1]);
    }
}

/// A host that sends a datagram larger than the path between smaller ones: its fragments travel whole.
#[test]
fn a_packet_of_a_flow_that_travels_whole_is_not_passed() {
    for sa in [V4, V6] {
        let mut host = Host::new();
        let segment = finished(sa, UDP, &udp([1, 2], &[3; 600]));
        let flow = flow_of(sa, UDP, &segment);
        let mut hops = ip_header(sa == V6, 1, 2, UDP);
        hops[if sa == V6 { 7 } else { 8 }] = 63;
        let mut fragment = ip_header(sa == V6, 1, 2, UDP);
        if sa == V6 {
            fragment[6] = 44;
            fragment.extend([UDP, 0, 0, 128, 0, 0, 0, 9]);
        } else {
            fragment[6..8].copy_from_slice(&[0, 100]);
        }

        host.udp(sa, [1, 2], 600);
        host.udp(sa, [1, 2], 600);
        host.whole(flow, sa, &packet(&hops, &segment));
        host.udp(sa, [1, 2], 600);
        host.udp(sa, [1, 2], 600);
        host.whole(flow, sa, &packet(&fragment, &[7; 900]));
        host.udp(sa, [1, 2], 600);

        assert_eq!(counts(&host.finish()), [2, 1, 2, 1, 1]);
    }
}

#[test]
fn what_is_neither_tcp_nor_udp_goes_as_it_came() {
    let mut host = Host::new();

    for protocol in [1, 58, 132, 136, 255] {
        for len in [0, 1, 3, 4, 8, 100] {
            host.take(V4, protocol, Ecn::NotEct, &vec![5; len]);
        }
    }

    assert!(host.finish().iter().all(|packet| packet.count == 1));
}

#[test]
fn a_tcp_header_that_makes_no_sense_goes_as_it_came() {
    for (words, len) in [(4, 100), (0, 100), (15, 59), (6, 23), (5, 19), (5, 12), (5, 3)] {
        let mut host = Host::new();
        let mut tcp = Tcp::new(1);
        let mut segment = Tcp::new(1001).with(&[0; 100]);
        segment[12] = words << 4;
        segment.truncate(len);

        host.tcp(V6, &mut tcp, 1000);
        host.take(V6, TCP, Ecn::NotEct, &segment);

        assert_eq!(counts(&host.finish()), [1, 1], "{words} words in {len} bytes");
    }
}

#[test]
fn a_device_that_takes_nothing_joined_gets_nothing_joined() {
    for (joins, expected) in [
        (Joins { tcp: false, udp: false }, &[1, 1, 1, 1][..]),
        (Joins { tcp: true, udp: false }, &[2, 1, 1]),
        (Joins { tcp: false, udp: true }, &[1, 1, 2]),
    ] {
        let mut host = Host::taking(joins);
        let mut tcp = Tcp::new(1);

        (0..2).for_each(|_| host.tcp(V4, &mut tcp, 1000));
        (0..2).for_each(|_| host.udp(V4, [1, 2], 1000));

        assert_eq!(counts(&host.finish()), expected);
    }
}

#[test]
fn a_packet_is_joined_from_at_most_64_segments() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    (0..130).for_each(|_| host.tcp(V4, &mut tcp, 100));
    (0..65).for_each(|_| host.udp(V4, [1, 2], 100));

    assert_eq!(counts(&host.finish()), [64, 64, 2, 64, 1]);
}

#[test]
fn a_joined_packet_is_no_longer_than_an_ip_packet() {
    let mut host = Host::new();
    let (mut tcp, mut tcp_v6) = (Tcp::new(1), Tcp::new(1));

    // five of them and the headers are 65,535 bytes over IPv4, and too many over IPv6
    (0..7).for_each(|_| host.tcp(V4, &mut tcp, 13_099));
    (0..7).for_each(|_| host.tcp(V6, &mut tcp_v6, 13_099));
    [60_000, 5507, 60_000, 5508].into_iter().for_each(|len| host.udp(V4, [1, 2], len));

    let delivered = host.finish();
    assert_eq!(counts(&delivered), [5, 2, 4, 3, 2, 1, 1]);
    assert_eq!((delivered[0].packet.len(), delivered[4].packet.len()), (65_535, 65_535));
}

#[test]
fn more_flows_than_there_is_room_for_send_the_first_and_none_is_passed() {
    let mut host = Host::new();
    let mut flows: Vec<_> = (0..40).map(|port| Tcp { ports: [port, 80], ..Tcp::new(1) }).collect();

    for _ in 0..3 {
        flows.iter_mut().for_each(|tcp| host.tcp(V4, tcp, 100));
    }

    let delivered = host.finish();
    assert_eq!(counts(&delivered).iter().sum::<usize>(), 120);
}

#[test]
fn a_segment_longer_than_a_packet_is_refused_and_nothing_else_is_lost() {
    let mut host = Host::new();
    let too_long = vec![1; 65_516];

    host.udp(V4, [1, 2], 100);
    let outcome = host.offer(V4, UDP, Ecn::NotEct, &too_long);
    host.udp(V4, [1, 2], 100);

    assert_eq!(outcome, Err(Discard::Length));
    assert_eq!(counts(&host.finish()).iter().sum::<usize>(), 2);
}

#[test]
fn the_next_batch_begins_with_nothing() {
    let mut host = Host::new();
    let mut tcp = Tcp::new(1);

    host.tcp(V4, &mut tcp, 1000);
    host.send_all();
    host.tcp(V4, &mut tcp, 1000);
    host.send_all();
    host.send_all();

    assert_eq!(counts(&host.finish()), [1, 1]);
}

proptest! {
    #[test]
    fn every_flow_arrives_as_it_was_sent(
        joins in prop_oneof![
            6 => Just(Joins { tcp: true, udp: true }),
            1 => any::<(bool, bool)>().prop_map(|(tcp, udp)| Joins { tcp, udp }),
        ],
        flow_count in prop_oneof![2_usize..6, 2_usize..60],
        steps in prop::collection::vec((any::<prop::sample::Index>(), step()), 1..500),
    ) {
        let mut host = Host::taking(joins);
        let mut flows: Vec<_> = (0..flow_count).map(Flow::new).collect();

        for (flow, step) in steps {
            flows[flow.index(flow_count)].send(&mut host, step);
        }

        host.finish();
    }

    /// A peer may seal whatever it likes.
    #[test]
    fn no_bytes_make_a_panic_and_none_are_lost(
        segments in prop::collection::vec(
            (
                prop_oneof![Just(TCP), Just(UDP), any::<u8>()],
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..80),
                    // of one flow, with flags that join
                    prop::collection::vec(any::<u8>(), 0..80).prop_map(|rest| {
                        [&[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10][..], &rest].concat()
                    }),
                ],
            ),
            0..100,
        ),
    ) {
        let mut host = Host::new();

        for (protocol, segment) in segments {
            host.take(V6, protocol, Ecn::NotEct, &segment);
            host.take(V6, protocol, Ecn::NotEct, &mended(V6, protocol, segment));
        }

        host.finish();
    }
}

/// What a flow does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Data {
        len: usize,
        is_pushed: bool,
    },
    /// As the others, but a bit of it is turned.
    Flipped {
        at: prop::sample::Index,
        bit: u8,
    },
    Flags(u8),
    Acknowledgement,
    Change(u8),
    Congestion(Ecn),
    Fragment,
    OtherHops,
    WithoutChecksum,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop::sample::select(&[100_usize, 100, 100, 100, 1400, 1400, 99, 1][..]);
    prop_oneof![
        60 => (len, prop::bool::weighted(0.05)).prop_map(|(len, is_pushed)| Step::Data { len, is_pushed }),
        2 => (any::<prop::sample::Index>(), 0_u8..8).prop_map(|(at, bit)| Step::Flipped { at, bit }),
        2 => any::<u8>().prop_map(Step::Flags),
        2 => Just(Step::Acknowledgement),
        4 => (0_u8..5).prop_map(Step::Change),
        1 => prop::sample::select(&[Ecn::NotEct, Ecn::Ect0, Ecn::Ce][..]).prop_map(Step::Congestion),
        1 => Just(Step::Fragment),
        10 => Just(Step::OtherHops),
        1 => Just(Step::WithoutChecksum),
    ]
}

/// A sender of one flow.
struct Flow {
    number: usize,
    sa: usize,
    protocol: u8,
    tcp: Tcp,
    ecn: Ecn,
    sent: u32,
}

impl Flow {
    fn new(number: usize) -> Self {
        // neighbours have the same ports
        let ports = [(number / 6) as u16, 443];
        let tcp = Tcp { ports, options: vec![1; 4], ..Tcp::new(u32::MAX - 20_000) };
        let protocol = if number.is_multiple_of(2) { TCP } else { UDP };
        Self { number, sa: number / 2 % 3, protocol, tcp, ecn: Ecn::NotEct, sent: 0 }
    }

    fn send(&mut self, host: &mut Host, step: Step) {
        match step {
            Step::Data { len, is_pushed } => {
                self.tcp.flags = if is_pushed { ACK | PSH } else { ACK };
                let segment = self.segment(len);
                self.advance(len);
                host.take(self.sa, self.protocol, self.ecn, &finished(self.sa, self.protocol, &segment));
            }
            Step::Flipped { at, bit } => {
                let mut segment = finished(self.sa, self.protocol, &self.segment(100));
                let at = at.index(segment.len());
                segment[at] ^= 1 << bit;
                host.take(self.sa, self.protocol, self.ecn, &segment);
            }
            Step::Flags(flags) => {
                self.tcp.flags = flags;
                let segment = self.segment(100);
                self.tcp.flags = ACK;
                self.advance(100);
                host.take(self.sa, self.protocol, self.ecn, &finished(self.sa, self.protocol, &segment));
            }
            Step::Acknowledgement => {
                let segment = self.segment(0);
                host.take(self.sa, self.protocol, self.ecn, &finished(self.sa, self.protocol, &segment));
            }
            Step::Change(0) => self.tcp.acknowledgement += 1,
            Step::Change(1) => self.tcp.window ^= 1,
            Step::Change(2) => self.tcp.options[1] ^= 1,
            // lost, and sent again
            Step::Change(3) => self.tcp.sequence = self.tcp.sequence.wrapping_add(100),
            Step::Change(_) => self.tcp.sequence = self.tcp.sequence.wrapping_sub(100),
            Step::Congestion(ecn) => self.ecn = ecn,
            Step::Fragment | Step::OtherHops => {
                let mut header = self.header();
                if matches!(step, Step::OtherHops) {
                    header[if self.sa == V6 { 7 } else { 8 }] = 63;
                } else if self.sa == V6 {
                    let is_first = [self.protocol, 0, 0, 1, 0, 0, 0, self.number as u8];
                    header[6] = 44;
                    header.extend(is_first);
                } else {
                    header[6] = 0x20;
                }
                let segment = self.segment(100);
                self.advance(100);
                let flow = flow_of(self.sa, self.protocol, &segment);
                host.whole(flow, self.sa, &packet(&header, &finished(self.sa, self.protocol, &segment)));
            }
            Step::WithoutChecksum => {
                let segment = self.segment(100);
                self.advance(100);
                host.take(self.sa, self.protocol, self.ecn, &segment);
            }
        }
    }

    fn advance(&mut self, len: usize) {
        self.tcp.sequence = self.tcp.sequence.wrapping_add(len as u32);
        self.sent += 1;
    }

    fn header(&self) -> Vec<u8> {
        ip_header(self.sa == V6, FROM[self.sa], 2, self.protocol)
    }

    /// The next segment, without its checksum; no two are alike by chance.
    fn segment(&self, len: usize) -> Vec<u8> {
        let payload: Vec<u8> = (0..len as u32).map(|index| (index / 3 + self.sent * 5) as u8).collect();
        if self.protocol == TCP { self.tcp.with(&payload) } else { udp(self.tcp.ports, &payload) }
    }
}

/// A coalescer, all that it was given and all that it delivered.
struct Host {
    sas: [InboundSa; 3],
    coalescer: Coalescer,
    buffer: Vec<u8>,
    filled: usize,
    /// Packets as they would go one by one, with the number of their flow.
    taken: Vec<(usize, Vec<u8>)>,
    delivered: Vec<Delivered>,
}

/// A packet as the device got it.
struct Delivered {
    count: usize,
    offload: Offload,
    packet: Vec<u8>,
}

impl Host {
    fn new() -> Self {
        Self::taking(Joins { tcp: true, udp: true })
    }

    fn taking(joins: Joins) -> Self {
        let sas = [V4, V6, OTHER_V4].map(|index| InboundSa::new(params(index)));
        let coalescer = Coalescer::new(joins);
        Self { sas, coalescer, buffer: vec![0xbb; 1 << 20], filled: 0, taken: Vec::new(), delivered: Vec::new() }
    }

    /// The next segment of a flow, whose sequence number moves on.
    fn tcp(&mut self, sa: usize, tcp: &mut Tcp, len: usize) {
        self.tcp_with(sa, tcp, Ecn::NotEct, len);
    }

    fn tcp_with(&mut self, sa: usize, tcp: &mut Tcp, ecn: Ecn, len: usize) {
        let segment = finished(sa, TCP, &tcp.with(&self.payload(len)));
        tcp.sequence = tcp.sequence.wrapping_add(len as u32);
        self.take(sa, TCP, ecn, &segment);
    }

    fn udp(&mut self, sa: usize, ports: [u16; 2], len: usize) {
        let datagram = finished(sa, UDP, &udp(ports, &self.payload(len)));
        self.take(sa, UDP, Ecn::NotEct, &datagram);
    }

    fn take(&mut self, sa: usize, protocol: u8, ecn: Ecn, segment: &[u8]) {
        let mut header = ip_header(sa == V6, FROM[sa], 2, protocol);
        if sa == V6 {
            header[1] |= ecn.bits() << 4;
        } else {
            header[1] |= ecn.bits();
        }
        self.taken.push((flow_of(sa, protocol, segment), packet(&header, segment)));
        self.offer(sa, protocol, ecn, segment).unwrap();
    }

    fn offer(&mut self, sa: usize, protocol: u8, ecn: Ecn, segment: &[u8]) -> Result<(), Discard> {
        let at = self.fill(segment);
        let origin = (&self.sas[sa], protocol, ecn);
        self.coalescer.add_segment(&mut self.buffer, at, origin, deliver(&mut self.delivered))
    }

    /// A packet that came with its own header; which flow it is of, a fragment does not show.
    fn whole(&mut self, flow: usize, sa: usize, packet: &[u8]) {
        let at = self.fill(packet);
        self.taken.push((flow, packet.to_vec()));
        self.coalescer.add_packet(&mut self.buffer, at, &self.sas[sa], deliver(&mut self.delivered));
    }

    /// The next segment of a flow under a header of its own.
    fn whole_segment(&mut self, sa: usize, header: &[u8], protocol: u8, tcp: &mut Tcp, len: usize) {
        let payload = self.payload(len);
        let segment = if protocol == TCP { tcp.with(&payload) } else { udp(tcp.ports, &payload) };
        tcp.sequence = tcp.sequence.wrapping_add(len as u32);
        let flow = flow_of(sa, protocol, &segment);
        self.whole(flow, sa, &reference::finished(packet(header, &segment)));
    }

    fn fill(&mut self, bytes: &[u8]) -> Range<usize> {
        if self.filled + bytes.len() > self.buffer.len() {
            self.send_all();
        }
        let at = self.filled..self.filled + bytes.len();
        self.buffer[at.clone()].copy_from_slice(bytes);
        self.filled = at.end;
        at
    }

    /// The end of a batch: the buffer is used anew.
    fn send_all(&mut self) {
        self.coalescer.send_all(&mut self.buffer, deliver(&mut self.delivered));
        self.buffer.fill(0xbb);
        self.filled = 0;
    }

    /// Holds what was delivered against what was taken, flow by flow.
    #[track_caller]
    fn finish(mut self) -> Vec<Delivered> {
        self.send_all();
        let flows: HashMap<&[u8], usize> = self.taken.iter().map(|(flow, packet)| (&packet[..], *flow)).collect();
        let mut arrived: HashMap<usize, Vec<Vec<u8>>> = HashMap::new();
        for packet in self.delivered.iter().flat_map(Delivered::packets) {
            let flow = flows.get(&packet[..]).expect("nobody sent this packet");
            arrived.entry(*flow).or_default().push(packet);
        }
        let mut sent: HashMap<usize, Vec<Vec<u8>>> = HashMap::new();
        for (flow, packet) in &self.taken {
            sent.entry(*flow).or_default().push(packet.clone());
        }
        assert!(arrived == sent, "a flow did not arrive as it was sent");
        self.delivered
    }

    fn payload(&self, len: usize) -> Vec<u8> {
        (0..len).map(|index| (index / 3 + self.taken.len() * 5) as u8).collect()
    }
}

impl Delivered {
    fn of(Delivery { count, parts, .. }: &Delivery<'_>) -> Self {
        let header = parts[0][..].try_into().expect("the virtio header first");
        let offload = virtio::Offload::decode(header).expect("a header that the kernel knows");
        Self { count: *count, offload, packet: parts[1..].iter().flat_map(|part| part.to_vec()).collect() }
    }

    /// What it stands for, as the kernel would cut it. The rebuilt identification is always 0.
    fn packets(&self) -> Vec<Vec<u8>> {
        let Some(segmentation) = self.offload.segmentation else {
            assert_eq!((self.count, self.offload), (1, Offload::default()));
            return vec![self.packet.clone()];
        };
        let at = reference::transport(&self.packet);
        let (headers, segment) = self.packet.split_at(at.start);
        let partial = self.offload.checksum.expect("a checksum to be finished");
        assert_eq!((usize::from(partial.start), usize::from(partial.offset)), (at.start, at.checksum));
        assert_eq!(usize::from(segmentation.header_len), at.start + at.header_len);
        assert_eq!(segmentation.transport == Transport::Udp, at.protocol == UDP);
        assert_eq!(segmentation.transport == Transport::Tcp6, at.protocol == TCP && headers.len() == 40);
        assert!(packet(headers, segment) == self.packet, "a length or the IP checksum is wrong");
        assert!(reference::unfinished(self.packet.clone()) == self.packet, "the pseudo-header's sum is wrong");
        assert!(at.protocol == TCP || segment[4..6] == (segment.len() as u16).to_be_bytes());

        let packets = reference::cut(&self.packet, usize::from(segmentation.size));

        assert_eq!(packets.len(), self.count);
        assert!(self.count > 1);
        packets.into_iter().map(reference::without_identification).collect()
    }
}

fn deliver(delivered: &mut Vec<Delivered>) -> impl FnMut(Delivery<'_>) {
    |delivery| delivered.push(Delivered::of(&delivery))
}

fn counts(delivered: &[Delivered]) -> Vec<usize> {
    delivered.iter().map(|packet| packet.count).collect()
}

/// A number for what must stay in order.
fn flow_of(sa: usize, protocol: u8, segment: &[u8]) -> usize {
    let ports = segment.first_chunk::<4>().map_or(0, |ports| u32::from_be_bytes(*ports) as usize);
    sa << 40 | usize::from(protocol) << 32 | ports
}

/// The segment with its checksum right.
fn finished(sa: usize, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let header = ip_header(sa == V6, FROM[sa], 2, protocol);
    reference::finished(packet(&header, segment))[header.len()..].to_vec()
}

/// The bytes with a checksum that is right, where there is room for one.
fn mended(sa: usize, protocol: u8, mut segment: Vec<u8>) -> Vec<u8> {
    if protocol == UDP && segment.len() >= UDP_HEADER_LEN {
        let len = segment.len() as u16;
        segment[4..6].copy_from_slice(&len.to_be_bytes());
    }
    match protocol {
        TCP if segment.len() >= TCP_HEADER_LEN => finished(sa, protocol, &segment),
        UDP if segment.len() >= UDP_HEADER_LEN => finished(sa, protocol, &segment),
        _ => segment,
    }
}

fn params(index: usize) -> SaParams {
    let ip = |host: u8| -> std::net::IpAddr {
        if index == V6 {
            std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into()
        } else {
            std::net::Ipv4Addr::new(100, 64, 0, host).into()
        }
    };
    SaParams {
        suite: Suite::default(),
        spi: Spi::new(0x8000_0010 + index as u32).expect("a tagged word"),
        key_material: [7; 36].into(),
        peer: NodeId::new([FROM[index]; 16]),
        local: ip(2),
        remote: ip(FROM[index]),
        ttl: 64,
        routes: Vec::new(),
    }
}

/// The associations of the tests: a peer's two families, and another peer.
const V4: usize = 0;
const V6: usize = 1;
const OTHER_V4: usize = 2;

/// Who sends by them.
const FROM: [u8; 3] = [1, 1, 3];

/// Flags that the code under test has no name for.
const URG: u8 = 0x20;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;
