//! What strangers and broken peers may send to the port: counted by reason, never believed, never in the way.

use std::net::UdpSocket;

use warren_agent::data_plane::Upcall;
use warren_proto::io::{Discard, Remote};
use warren_proto::keys::Family;
use warren_proto::session::NextHeader;

use crate::common::packet::{Packet, UDP};
use crate::common::{pair, route, seal, session};

#[test]
fn each_way_to_be_wrong_is_counted_under_its_name() {
    let (one, two) = pair(Family::V4);
    let (of_one, of_two) = session(1, 2, 1);
    let to_one = Remote::Direct(one.node.address(Family::V4));
    two.node.publish(route(&two.node, 1, Some(&of_two), to_one), of_two.inbound, &[]);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = two.node.address(Family::V4);
    let send = |bytes: &[u8]| assert_eq!(stranger.send_to(bytes, to).unwrap(), bytes.len());
    let dummy = || of_one.outbound[0].seal_control(NextHeader::Dummy, &[]).unwrap();
    let (genuine, mut forged) = (dummy(), dummy());
    *forged.last_mut().unwrap() ^= 1;

    let wrongs: [(&[u8], Discard); 10] = [
        (&[], Discard::Length),
        (&[0; 40], Discard::Unclassified),
        (&[0x10; 40], Discard::Unclassified),
        (&[0x80, 0, 0, 9], Discard::Length),
        (&[0x80; 60], Discard::UnknownSpi),
        (&genuine[..12], Discard::Length),
        (&forged, Discard::Authentication),
        (&[0x0c, 2, 0, 0, 0, 0, 0, 1, 9], Discard::Malformed),
        (&[0x0c, 1, 0, 0, 0, 0, 0, 1, 9], Discard::RelayChannel),
        (&[0x40; 40], Discard::Unsolicited),
    ];
    send(&genuine);
    send(&genuine);
    wrongs.iter().for_each(|(bytes, _)| send(bytes));
    send(&[0xff]);
    let legitimate = Packet::v4(1, 2, UDP).filled(300, 1);
    send(&seal(&of_one.outbound[0], &legitimate));
    assert_eq!(two.receive(), legitimate);

    let dropped = two.node.dropped();
    for (_, reason) in &wrongs {
        let expected = wrongs.iter().filter(|(_, other)| other == reason).count();
        assert_eq!(dropped.get(reason), Some(&(expected as u64)), "{}", reason.name());
    }
    assert_eq!(dropped[&Discard::ReplayDuplicate], 1);
    assert_eq!(dropped.values().sum::<u64>(), wrongs.len() as u64 + 1);
}

#[test]
fn a_flood_of_noise_neither_stops_nor_fills_anything() {
    let (one, mut two) = pair(Family::V4);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = two.node.address(Family::V4);
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);

    for round in 0..200_u32 {
        for _ in 0..100 {
            let len = noise.below(1500);
            let bytes: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
            stranger.send_to(&bytes, to).unwrap();
        }
        let packet = Packet::v4(1, 2, UDP).filled(300, round);
        one.end.send(&packet).unwrap();
        assert_eq!(two.receive(), packet);
    }

    let mut queued = 0;
    while let Ok(upcall) = two.node.upcalls.try_recv() {
        assert!(matches!(upcall, Upcall::Datagram { .. } | Upcall::Stun { .. }));
        queued += 1;
    }
    assert!(queued <= 512, "{queued}");
    let dropped = two.node.dropped();
    assert!(
        dropped[&Discard::Unclassified] > 0 && dropped[&Discard::UnknownSpi] > 0 && dropped[&Discard::Unsolicited] > 0
    );
}

#[test]
fn packets_from_the_host_that_are_no_ip_are_counted_and_nothing_else() {
    let (one, two) = pair(Family::V4);
    let mut noise = Noise(42);

    for len in 0..100 {
        let bytes: Vec<u8> = (0..=len).map(|_| noise.next() as u8 & 0x3f).collect();
        one.end.send(&bytes).unwrap();
    }
    let mut lying = Packet::v4(1, 2, UDP).filled(100, 1);
    lying[3] = 200;
    one.end.send(&lying).unwrap();
    let packet = Packet::v4(1, 2, UDP).filled(300, 1);
    one.end.send(&packet).unwrap();

    assert_eq!(two.receive(), packet);
    assert_eq!(one.node.dropped()[&Discard::InnerMalformed], 101);
}

/// Bytes without a pattern, the same in every run (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
