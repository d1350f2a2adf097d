//! Two data planes exchange packets: every kind, every path, through changes of the table.

use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use quinn::AsyncUdpSocket;
use warren_agent::data_plane::Upcall;
use warren_proto::inner;
use warren_proto::io::{Discard, Ecn, RelayChannel, Remote};
use warren_proto::keys::Family;
use warren_proto::session::NextHeader;

use crate::common::packet::{ICMP, ICMPV6, Packet, TCP, UDP};
use crate::common::relay::Relay;
use crate::common::{
    Host, PATIENCE, connect_by, connect_hedged, narrow_pair, node_id, outer_families, pair, route, seal, session, v4,
    v6, wait_until,
};

#[test]
fn every_kind_of_packet_arrives_as_it_was_sent_both_ways() {
    for outer in outer_families() {
        let (one, two) = pair(outer);
        let mut sent = 0;
        for (from, to) in [(&one, &two), (&two, &one)] {
            let kinds = [TCP, UDP, ICMP].map(|protocol| Packet::v4(from.number, to.number, protocol));
            let kinds_v6 = [TCP, UDP, ICMPV6].map(|protocol| Packet::v6(from.number, to.number, protocol));
            for kind in kinds.into_iter().chain(kinds_v6) {
                for len in [41, 64, 577, 1280, 1400, 1419, 1420] {
                    let packet = kind.filled(len, sent);
                    from.end.send(&packet).unwrap();
                    assert_eq!(to.receive(), packet);
                    sent += 1;
                }
            }
        }
        assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
        assert_eq!(one.node.stats.tx_packets.load(Ordering::Relaxed), u64::from(sent / 2));
        assert_eq!(two.node.stats.rx_packets.load(Ordering::Relaxed), u64::from(sent / 2));
        assert_eq!(one.node.stats.tx_whole.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn what_cannot_be_rebuilt_travels_whole_and_arrives_as_it_was_sent() {
    let (one, two) = pair(Family::V4);
    let expiring = Packet { ttl: 1, ..Packet::v4(1, 2, UDP) }.filled(100, 1);
    let last_fragment = Packet { flags: 185, ..Packet::v4(1, 2, UDP) }.filled(900, 2);
    let neighbour = Packet { ttl: 255, ..Packet::v6(1, 2, ICMPV6) }.filled(80, 3);

    for packet in [expiring, last_fragment, neighbour] {
        one.end.send(&packet).unwrap();
        assert_eq!(two.receive(), packet);
    }

    assert_eq!(one.node.stats.tx_whole.load(Ordering::Relaxed), 3);
}

#[test]
fn congestion_bits_cross_the_underlay() {
    for outer in outer_families() {
        let (one, two) = pair(outer);
        for ecn in [Ecn::Ect0, Ecn::Ect1, Ecn::Ce, Ecn::NotEct] {
            let packet = Packet { ecn, ..Packet::v4(1, 2, TCP) }.filled(100, 7);

            one.end.send(&packet).unwrap();

            assert_eq!(two.receive(), packet);
        }
    }
}

/// The rebuilt header of one lies over the end of the one before.
#[test]
fn a_run_of_datagrams_that_the_kernel_joined_is_opened_one_by_one() {
    let (_one, two) = pair(Family::V4);
    let (of_one, of_two) = session(1, 2, 1);
    let back = route(&two.node, 1, None, Remote::Direct(two.node.address(Family::V4)));
    two.node.publish(back, of_two.inbound, &[]);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packets: Vec<Vec<u8>> = (0..20).map(|number| Packet::v6(1, 2, UDP).filled(1000, number)).collect();
    let datagrams: Vec<Vec<u8>> = packets.iter().map(|packet| seal(&of_one.outbound[1], packet)).collect();
    let segment = u16::try_from(datagrams[0].len()).unwrap();

    let (run, control) = (datagrams.concat(), [ControlMessage::UdpGsoSegments(&segment)]);
    let to = SockaddrStorage::from(two.node.address(Family::V4));
    sendmsg(sender.as_raw_fd(), &[IoSlice::new(&run)], &control, MsgFlags::empty(), Some(&to)).unwrap();

    for packet in packets {
        assert_eq!(two.receive(), packet);
    }
    assert!(two.node.dropped().is_empty());
}

#[test]
fn a_pair_behind_a_relay_exchanges_packets_by_channels() {
    let relay = Relay::start();
    let (one, two) = (Host::start(1), Host::start(2));
    connect_by(&relay, &one, &two);

    for (number, len) in [41, 600, 1400].into_iter().enumerate() {
        let there = Packet::v4(1, 2, UDP).filled(len, number as u32);
        let back = Packet::v6(2, 1, UDP).filled(len, number as u32);
        one.end.send(&there).unwrap();
        assert_eq!(two.receive(), there);
        two.end.send(&back).unwrap();
        assert_eq!(one.receive(), back);
    }

    assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
}

#[test]
fn a_hedged_packet_leaves_twice_and_arrives_once() {
    let (one, two) = pair(Family::V4);
    let detour = Relay::start();
    connect_hedged(&detour, &one, &two);

    for number in 0..20 {
        let packet = Packet::v4(1, 2, UDP).filled(500, number);
        one.end.send(&packet).unwrap();
        assert_eq!(two.receive(), packet);
    }

    wait_until(|| two.node.dropped().get(&Discard::ReplayDuplicate) == Some(&20));
    assert!(two.receives_nothing());
}

#[test]
fn a_change_of_keys_and_path_in_mid_stream_loses_and_repeats_nothing() {
    let (one, two) = (Host::start(1), Host::start(2));
    let relay = Relay::start();
    relay.pair((one.node.address(Family::V4), 5), (two.node.address(Family::V4), 6));
    let (direct, relayed) = (
        Remote::Direct(two.node.address(Family::V4)),
        Remote::Relay(RelayChannel { relay: relay.address, channel: 5 }),
    );
    let mut known = Vec::new();
    let mut next_table = |seed: u8| {
        let (of_one, of_two) = session(1, 2, seed);
        known.extend(of_two.inbound.clone());
        // the receiver knows the new keys before the sender uses them, and forgets none in this test
        let back = route(&two.node, 1, None, Remote::Direct(one.node.address(Family::V4)));
        two.node.publish(back, known.clone(), &[relay.address]);
        let path = if seed.is_multiple_of(2) { direct } else { relayed };
        one.node.publish(route(&one.node, 2, Some(&of_one), path), of_one.inbound, &[relay.address]);
    };
    next_table(1);

    let mut arrived = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for number in 0..STREAM_LEN {
                one.end.send(&Packet::v4(1, 2, UDP).filled(200, number)).unwrap();
                if number.is_multiple_of(8) {
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        let receiver = scope.spawn(|| (0..STREAM_LEN).map(|_| mark_of(&two.receive())).collect::<Vec<u32>>());
        for seed in 2..60 {
            next_table(seed);
            thread::sleep(Duration::from_millis(2));
        }
        sender.join().unwrap();
        receiver.join().unwrap()
    });

    // a packet on the direct path may overtake one that the relay still holds
    arrived.sort_unstable();
    assert_eq!(arrived, (0..STREAM_LEN).collect::<Vec<_>>());
    assert!(one.node.dropped().is_empty() && two.node.dropped().is_empty());
}

#[test]
fn a_packet_too_big_for_the_path_is_answered_in_the_peers_name() {
    let (one, two) = narrow_pair(1300);

    one.end.send(&Packet::v4(1, 2, TCP).filled(1400, 1)).unwrap();
    let error = one.receive();
    one.end.send(&Packet::v6(1, 2, TCP).filled(1400, 1)).unwrap();
    let error_v6 = one.receive();

    let outline = inner::parse(&error).unwrap();
    assert_eq!(inner::addresses(&error).unwrap().source, std::net::IpAddr::from(v4(2)));
    assert_eq!((outline.protocol, error[20], error[21]), (ICMP, 3, 4));
    // 1300 bytes of datagram less 26 of ESP, without the 20 of the header that stays at home
    assert_eq!(u16::from_be_bytes([error[26], error[27]]), 1294);
    assert_eq!(inner::addresses(&error_v6).unwrap().source, std::net::IpAddr::from(v6(2)));
    assert_eq!((error_v6[6], error_v6[40]), (ICMPV6, 2));
    assert_eq!(u32::from_be_bytes(error_v6[44..48].try_into().unwrap()), 1314);
    wait_until(|| one.node.dropped().get(&Discard::InnerTooBig) == Some(&2));
    assert!(two.receives_nothing());
}

#[test]
fn a_packet_that_just_fits_goes_and_one_that_may_be_cut_goes_in_pieces() {
    let (one, two) = narrow_pair(1300);
    let fitting = Packet::v4(1, 2, TCP).filled(1294, 1);
    let cuttable = Packet { flags: 0, ..Packet::v4(1, 2, UDP) }.filled(3000, 2);

    one.end.send(&fitting).unwrap();
    assert_eq!(two.receive(), fitting);
    one.end.send(&cuttable).unwrap();
    let pieces = [two.receive(), two.receive(), two.receive()];

    let payload: Vec<u8> = pieces.iter().flat_map(|piece| piece[20..].to_vec()).collect();
    assert_eq!(payload, cuttable[20..]);
    assert!(one.node.dropped().is_empty());
}

#[test]
fn a_packet_to_nobody_is_refused_but_a_flood_of_them_is_not_answered_in_full() {
    let (one, _two) = pair(Family::V4);

    for number in 0..1000 {
        one.end.send(&Packet::v4(1, 77, UDP).filled(100, number)).unwrap();
    }
    one.end.send(&Packet { to: "224.0.0.251".parse().unwrap(), ..Packet::v4(1, 2, UDP) }.filled(100, 0)).unwrap();

    let first = one.receive();
    assert_eq!((first[20], first[21]), (3, 1));
    assert_eq!(inner::addresses(&first).unwrap().source, std::net::IpAddr::from(v4(77)));
    wait_until(|| one.node.dropped().get(&Discard::NoRoute) == Some(&1001));
    let mut answers = 1;
    while one.end.receive(Duration::from_millis(20)).unwrap().is_some() {
        answers += 1;
    }
    assert!((64..200).contains(&answers), "{answers}");
}

#[test]
fn a_packet_without_a_session_or_with_a_closed_one_goes_to_the_slow_path() {
    let (mut one, two) = pair(Family::V4);
    let packet = Packet::v4(1, 2, UDP).filled(100, 1);
    let (of_one, _) = session(1, 2, 1);
    let to_two = Remote::Direct(two.node.address(Family::V4));

    one.node.publish(route(&one.node, 2, None, to_two), Vec::new(), &[]);
    one.end.send(&packet).unwrap();
    assert_eq!(one.node.upcall(), Upcall::Packet(packet.clone()));

    of_one.outbound.iter().for_each(|sa| sa.close());
    one.node.publish(route(&one.node, 2, Some(&of_one), to_two), Vec::new(), &[]);
    one.end.send(&packet).unwrap();
    assert_eq!(one.node.upcall(), Upcall::Packet(packet));
    assert!(two.receives_nothing());
}

#[test]
fn control_handshake_stun_and_relay_messages_go_to_the_slow_path_with_where_they_came_from() {
    let (one, mut two) = pair(Family::V4);
    let (of_one, _) = session(1, 2, 1);
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay_at = relay.local_addr().unwrap();
    let (_, of_two) = session(1, 2, 1);
    let spi = of_two.inbound[0].spi();
    let back = route(&two.node, 1, None, Remote::Direct(one.node.address(Family::V4)));
    two.node.publish(back, of_two.inbound, &[relay_at]);
    let to = two.node.address(Family::V4);
    let from = Remote::Relay(RelayChannel { relay: relay_at, channel: 3 });
    let control = |payload: &[u8]| of_one.outbound[0].seal_control(NextHeader::Control, payload).unwrap();
    let frame = |channel: u8, inside: &[u8]| [&[0x0c, 1, 0, 0, 0, 0, 0, channel], inside].concat();
    let stun = [&[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();

    relay.send_to(&control(b"a ping"), to).unwrap();
    let direct = Remote::Direct(relay_at);
    assert_eq!(two.node.upcall(), Upcall::Control { spi, from: direct, payload: b"a ping".to_vec() });
    relay.send_to(&frame(3, &control(b"another")), to).unwrap();
    assert_eq!(two.node.upcall(), Upcall::Control { spi, from, payload: b"another".to_vec() });
    relay.send_to(&frame(3, b"\x08 an INIT"), to).unwrap();
    assert_eq!(two.node.upcall(), Upcall::Datagram { from, bytes: b"\x08 an INIT".to_vec() });
    relay.send_to(&frame(0, &[2]), to).unwrap();
    let itself = Remote::Relay(RelayChannel { relay: relay_at, channel: 0 });
    assert_eq!(two.node.upcall(), Upcall::Datagram { from: itself, bytes: vec![2] });
    relay.send_to(&stun, to).unwrap();
    assert_eq!(two.node.upcall(), Upcall::Stun { from: relay_at, bytes: stun });
}

#[test]
fn an_armed_association_wakes_the_slow_path_once() {
    let (mut one, mut two) = pair(Family::V4);
    let (of_one, of_two) = session(1, 2, 1);
    let spi = of_two.inbound[0].spi();
    let to_two = Remote::Direct(two.node.address(Family::V4));
    one.node.publish(route(&one.node, 2, Some(&of_one), to_two), Vec::new(), &[]);
    two.node.publish(route(&two.node, 1, None, to_two), of_two.inbound.clone(), &[]);
    of_one.outbound[0].arm_wake();
    of_two.inbound[0].arm_wake();

    for number in 0..3 {
        one.end.send(&Packet::v4(1, 2, UDP).filled(100, number)).unwrap();
        two.receive();
    }

    assert_eq!(one.node.upcall(), Upcall::WakeOutbound(node_id(2)));
    assert_eq!(two.node.upcall(), Upcall::WakeInbound(spi));
    assert!(one.node.upcalls.try_recv().is_err() && two.node.upcalls.try_recv().is_err());
}

#[tokio::test]
async fn quic_from_the_rendezvous_reaches_quinn() {
    let host = Host::start(1);
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    host.node.quic.set_servers([server.local_addr().unwrap()]);

    server.send_to(b"\x40 a short header", host.node.address(Family::V4)).unwrap();

    let (mut buffer, mut metas) = ([0; 100], [quinn::udp::RecvMeta::default()]);
    let received = poll_fn(|cx| host.node.quic.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut metas));
    let count = tokio::time::timeout(PATIENCE, received).await.unwrap().unwrap();
    assert_eq!((count, metas[0].addr.ip().to_canonical()), (1, server.local_addr().unwrap().ip()));
    assert_eq!(buffer[..metas[0].len], *b"\x40 a short header");
}

#[test]
fn the_loss_of_the_device_is_reported_and_the_threads_can_still_be_stopped() {
    let Host { end, mut node, .. } = Host::start(1);

    drop(end);

    assert_eq!(node.upcall(), Upcall::DeviceLost);
    node.plane.stop();
}

fn mark_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[20..24].try_into().expect("four bytes"))
}

const STREAM_LEN: u32 = 5000;
