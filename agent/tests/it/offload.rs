//! Packets of up to 64 KiB between hosts with offloads: cut for the way, sent and received in runs, joined at the end.
//!
//! What arrives is cut again by `reference` and must be what the sending host would have sent one by one.

use std::sync::atomic::Ordering;

use warren_agent::data_plane::Upcall;
use warren_agent::tun::virtio::{PartialChecksum, Segmentation, Transport};
use warren_agent::tun::{Joins, Offload};
use warren_proto::io::{Discard, Remote};
use warren_proto::keys::Family;

use crate::common::packet::{ICMP, ICMPV6, TCP, UDP};
use crate::common::reference::{self, ACK, PSH, Tcp, ip_header, packet, udp, unfinished};
use crate::common::relay::Relay;
use crate::common::{
    Host, PATIENCE, connect, connect_by, connect_hedged, narrow_pair, outer_families, route, wait_until,
};

#[test]
fn a_super_packet_arrives_joined_as_it_was_sent() {
    for outer in outer_families() {
        let (one, two) = hosts(ALL, true, ALL, true);
        connect(&one, &two, outer);
        for kind in KINDS {
            let (offload, packet) = super_packet(kind, 40_000, 1400);

            one.end.send_unfinished(&offload, &packet).unwrap();

            let (arrived, how) = two.end.receive_joined(PATIENCE).unwrap().expect("a packet within the time");
            assert_eq!(how, offload, "{kind:?}");
            assert!(arrived == packet, "{kind:?}");
        }
        let segments = 4 * 29;
        assert_eq!(one.node.stats.tx_packets.load(Ordering::Relaxed), segments);
        assert_eq!(two.node.stats.rx_packets.load(Ordering::Relaxed), segments);
        let (sent, received) = (&one.node.stats.tx_bytes, &two.node.stats.rx_bytes);
        assert_eq!(sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
        assert_eq!(one.node.stats.tx_whole.load(Ordering::Relaxed), 0);
        assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
    }
}

#[test]
fn with_or_without_offloads_at_either_end_the_same_arrives() {
    let nothing = Joins::default();
    for (sends_runs, takes_runs, joins) in [
        (true, true, nothing),
        (true, false, ALL),
        (false, true, ALL),
        (false, false, ALL),
        (false, false, nothing),
        (true, true, Joins { tcp: true, udp: false }),
    ] {
        let (one, two) = hosts(nothing, sends_runs, joins, takes_runs);
        connect(&one, &two, Family::V4);
        for kind in KINDS {
            for (len, size) in [(60_000, 1400), (64_000, 1000), (1400, 1400), (2000, 60), (0, 1400), (1, 1)] {
                let (offload, packet) = super_packet(kind, len, size);

                one.end.send_unfinished(&offload, &packet).unwrap();

                assert_arrives(&two, &packet, size, joins, kind);
            }
        }
        assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
    }
}

#[test]
fn super_packets_and_single_ones_of_many_flows_arrive_in_order_both_ways_at_once() {
    let (one, two) = hosts(ALL, true, ALL, true);
    connect(&one, &two, Family::V4);
    let exchange = |from: u8, own: &Host| {
        for round in 0..100 {
            let kind = KINDS[round % KINDS.len()];
            let (offload, packet) = super_packet_from(from, kind, 10_000 + round * 7, 1400);
            let single = packet_with(from, kind, &[round as u8; 700]);
            own.end.send_unfinished(&offload, &packet).unwrap();
            own.end.send(&single).unwrap();

            let mut arrived = receive(own, (10_000 + round * 7).div_ceil(1400) + 1);
            let mirrored = 3 - from;
            let (_, expected) = super_packet_from(mirrored, kind, 10_000 + round * 7, 1400);
            assert!(arrived.pop() == Some(packet_with(mirrored, kind, &[round as u8; 700])), "round {round}");
            assert!(arrived == as_rebuilt(&expected, 1400), "round {round}");
        }
    };

    std::thread::scope(|scope| {
        scope.spawn(|| exchange(1, &one));
        scope.spawn(|| exchange(2, &two));
    });

    assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
}

#[test]
fn what_travels_whole_is_cut_and_arrives_one_by_one_with_its_own_headers() {
    let (one, two) = hosts(ALL, true, ALL, true);
    connect(&one, &two, Family::V4);
    let mut with_options = [&ip_header(false, 1, 2, TCP)[..], &[148, 4, 0, 0]].concat();
    (with_options[0], with_options[5]) = (0x46, 9);
    let mut marked = ip_header(true, 1, 2, UDP);
    marked[0] |= 0x0b;
    let mut extended = ip_header(true, 1, 2, 60);
    extended.extend([TCP, 0, 1, 4, 0, 0, 0, 0]);
    let segment = Tcp::new(1).with(&payload(9000));
    for whole in
        [packet(&with_options, &segment), packet(&marked, &udp([1, 2], &payload(9000))), packet(&extended, &segment)]
    {
        let whole = unfinished(whole);

        one.end.send_unfinished(&offload_of(&whole, 1300), &whole).unwrap();

        assert!(receive(&two, 7) == reference::cut(&whole, 1300));
    }
    assert_eq!(one.node.stats.tx_whole.load(Ordering::Relaxed), 21);
}

#[test]
fn runs_go_through_a_relay() {
    let relay = Relay::start();
    let (one, two) = hosts(ALL, true, ALL, true);
    connect_by(&relay, &one, &two);

    for kind in KINDS {
        let (offload, packet) = super_packet(kind, 30_000, 1400);

        one.end.send_unfinished(&offload, &packet).unwrap();

        assert_arrives(&two, &packet, 1400, ALL, kind);
    }
    assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
}

#[test]
fn a_hedged_super_packet_leaves_twice_and_arrives_once() {
    let (one, two) = hosts(ALL, true, ALL, true);
    let detour = Relay::start();
    connect_hedged(&detour, &one, &two);
    let (offload, packet) = super_packet(Kind { is_v6: false, protocol: UDP }, 30_000, 1000);

    one.end.send_unfinished(&offload, &packet).unwrap();

    let mut arrived = receive(&two, 30);
    wait_until(|| two.node.dropped().get(&Discard::ReplayDuplicate) == Some(&30));
    assert!(two.receives_nothing());
    // either way may be the faster one
    let mut expected = as_rebuilt(&packet, 1000);
    arrived.sort();
    expected.sort();
    assert!(arrived == expected);
}

#[test]
fn a_super_packet_without_a_session_goes_to_the_slow_path_as_finished_packets() {
    let (mut one, two) = hosts(ALL, true, ALL, true);
    one.node.publish(route(&one.node, 2, None, Remote::Direct(two.node.address(Family::V4))), Vec::new(), &[]);
    for kind in KINDS {
        let (offload, packet) = super_packet(kind, 5000, 1400);

        one.end.send_unfinished(&offload, &packet).unwrap();

        for packet in reference::cut(&packet, 1400) {
            assert_eq!(one.node.upcall(), Upcall::Packet(packet));
        }
    }
}

#[test]
fn a_super_packet_too_big_for_the_path_is_answered_once_and_none_of_it_goes() {
    let (one, two) = narrow_pair(1300);
    let (offload, whole) = super_packet(Kind { is_v6: false, protocol: TCP }, 14_000, 1400);

    one.end.send_unfinished(&offload, &whole).unwrap();

    let error = one.receive();
    assert_eq!((error[9], error[20], error[21]), (ICMP, 3, 4));
    // the first segment as it would have left
    let first = &reference::cut(&whole, 1400)[0];
    assert_eq!(error[28..], first[..error.len() - 28]);
    wait_until(|| one.node.dropped().get(&Discard::InnerTooBig) == Some(&10));
    assert!(one.receives_nothing() && two.receives_nothing());
}

#[test]
fn a_super_packet_to_nobody_is_answered_once_and_counted_as_the_packets_that_it_stands_for() {
    let (one, two) = hosts(ALL, true, ALL, true);
    connect(&one, &two, Family::V4);
    let whole = unfinished(packet(&ip_header(true, 1, 77, UDP), &udp([1, 2], &payload(4500))));

    one.end.send_unfinished(&offload_of(&whole, 1400), &whole).unwrap();

    let error = one.receive();
    assert_eq!((error[6], error[40], error[41]), (ICMPV6, 1, 3));
    wait_until(|| one.node.dropped().get(&Discard::NoRoute) == Some(&4));
    assert!(one.receives_nothing());
}

/// A path narrower than IPv6 allows: what a host may always send goes in fragments.
#[test]
fn the_fragments_of_different_packets_have_different_identifications() {
    let (one, two) = narrow_pair(1200);
    let whole = unfinished(packet(&ip_header(true, 1, 2, UDP), &udp([1, 2], &payload(3 * 1220))));
    let id = |piece: &[u8]| <[u8; 4]>::try_from(&piece[44..48]).unwrap();

    one.end.send_unfinished(&offload_of(&whole, 1220), &whole).unwrap();

    let pieces: Vec<_> = (0..6).map(|_| two.receive()).collect();
    assert!(pieces.iter().all(|piece| piece[6] == 44));
    let ids: Vec<_> = pieces.iter().map(|piece| id(piece)).collect();
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]));
    assert!(ids[0] != ids[2] && ids[2] != ids[4]);
}

#[test]
fn each_datagram_of_a_super_packet_too_big_for_the_path_goes_in_pieces_if_it_may() {
    let (one, two) = narrow_pair(1300);
    let mut header = ip_header(false, 1, 2, UDP);
    (header[5], header[6]) = (77, 0);
    let whole = unfinished(packet(&header, &udp([1, 2], &payload(4500))));

    one.end.send_unfinished(&offload_of(&whole, 1400), &whole).unwrap();

    let expected: Vec<_> = reference::cut(&whole, 1400).iter().map(|packet| packet[20..].to_vec()).collect();
    let pieces: Vec<_> = (0..7).map(|_| two.receive()).collect();
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    for piece in &pieces {
        let offset = usize::from(u16::from_be_bytes([piece[6] & 0x1f, piece[7]])) * 8;
        if offset == 0 {
            datagrams.push(Vec::new());
        }
        let datagram = datagrams.last_mut().expect("the first piece begins one");
        assert_eq!(datagram.len(), offset);
        datagram.extend(&piece[20..]);
    }
    assert!(datagrams == expected);
    assert!(one.node.dropped().is_empty() && two.receives_nothing());
}

#[test]
fn a_word_of_the_host_that_does_not_fit_its_packet_is_counted_and_nothing_else() {
    let (one, two) = hosts(ALL, true, ALL, true);
    connect(&one, &two, Family::V4);
    let (offload, packet) = super_packet(KINDS[0], 3000, 1000);
    let beyond = PartialChecksum { start: 60_000, offset: 16 };

    one.end.send_unfinished(&Offload { checksum: None, ..offload }, &packet).unwrap();
    one.end.send_unfinished(&Offload { checksum: Some(beyond), ..offload }, &packet).unwrap();
    one.end.send_unfinished(&Offload { checksum: Some(beyond), segmentation: None }, &packet).unwrap();
    one.end.send_unfinished(&offload, &packet).unwrap();

    assert!(receive(&two, 3) == as_rebuilt(&packet, 1000));
    assert_eq!(one.node.dropped().into_iter().collect::<Vec<_>>(), [(Discard::InnerMalformed, 3)]);
}

/// TCP or UDP, over IPv4 or IPv6.
#[derive(Clone, Copy, Debug)]
struct Kind {
    is_v6: bool,
    protocol: u8,
}

const KINDS: [Kind; 4] = [
    Kind { is_v6: false, protocol: TCP },
    Kind { is_v6: true, protocol: TCP },
    Kind { is_v6: false, protocol: UDP },
    Kind { is_v6: true, protocol: UDP },
];

const ALL: Joins = Joins { tcp: true, udp: true };

/// Hosts 1 and 2: what the device of each takes joined, and whether its sockets take runs.
fn hosts(of_one: Joins, one_runs: bool, of_two: Joins, two_runs: bool) -> (Host, Host) {
    (Host::with_offloads(1, of_one, one_runs), Host::with_offloads(2, of_two, two_runs))
}

fn super_packet(kind: Kind, len: usize, size: u16) -> (Offload, Vec<u8>) {
    super_packet_from(1, kind, len, size)
}

/// A packet of `len` bytes of payload that is to be cut into pieces of `size`.
fn super_packet_from(from: u8, kind: Kind, len: usize, size: u16) -> (Offload, Vec<u8>) {
    let header = ip_header(kind.is_v6, from, 3 - from, kind.protocol);
    let whole = unfinished(packet(&header, &segment(kind, &payload(len))));
    (offload_of(&whole, size), whole)
}

/// A packet that nothing is to be done about.
fn packet_with(from: u8, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let header = ip_header(kind.is_v6, from, 3 - from, kind.protocol);
    reference::finished(packet(&header, &segment(kind, payload)))
}

fn segment(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let options = vec![1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
    let tcp = Tcp { flags: ACK | PSH, options, ..Tcp::new(u32::MAX - 9000) };
    if kind.protocol == TCP { tcp.with(payload) } else { udp([4433, 443], payload) }
}

fn offload_of(whole: &[u8], size: u16) -> Offload {
    let at = reference::transport(whole);
    let transport = match (at.protocol, whole[0] >> 4) {
        (UDP, _) => Transport::Udp,
        (_, 4) => Transport::Tcp4,
        _ => Transport::Tcp6,
    };
    let field = |value: usize| u16::try_from(value).expect("within a packet");
    let header_len = field(at.start + at.header_len);
    Offload {
        checksum: Some(PartialChecksum { start: field(at.start), offset: field(at.checksum) }),
        segmentation: Some(Segmentation { transport, size, header_len }),
    }
}

#[track_caller]
fn assert_arrives(host: &Host, whole: &[u8], size: u16, joins: Joins, kind: Kind) {
    let expected = as_rebuilt(whole, size);

    let mut arrived = Vec::new();
    while arrived.len() < expected.len() {
        let (packet, offload) = host.end.receive_joined(PATIENCE).unwrap().expect("a packet within the time");
        let may_be_joined = if kind.protocol == TCP { joins.tcp } else { joins.udp };
        assert!(offload.segmentation.is_none() || may_be_joined);
        arrived.extend(cut_again(packet, &offload));
    }

    assert!(arrived == expected, "{kind:?}: {} packets, {} were expected", arrived.len(), expected.len());
}

/// The next packets that come to a host, joined ones cut again.
fn receive(host: &Host, count: usize) -> Vec<Vec<u8>> {
    let mut arrived = Vec::new();
    while arrived.len() < count {
        let (packet, offload) = host.end.receive_joined(PATIENCE).unwrap().expect("a packet within the time");
        arrived.extend(cut_again(packet, &offload));
    }
    arrived
}

fn cut_again(packet: Vec<u8>, offload: &Offload) -> Vec<Vec<u8>> {
    let Some(segmentation) = offload.segmentation else {
        assert!(reference::is_right(&packet) && offload.checksum.is_none());
        return vec![packet];
    };
    assert_eq!(*offload, offload_of(&packet, segmentation.size));
    assert!(unfinished(packet.clone()) == packet, "the pseudo-header's sum is wrong");
    let packets = reference::cut(&packet, usize::from(segmentation.size));
    packets.into_iter().map(reference::without_identification).collect()
}

/// What the host would have sent one by one, as it arrives under a header that was not sent.
fn as_rebuilt(whole: &[u8], size: u16) -> Vec<Vec<u8>> {
    reference::cut(whole, usize::from(size)).into_iter().map(reference::without_identification).collect()
}

/// Bytes that differ from their neighbours and from those of the next segment.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 251) as u8).collect()
}
