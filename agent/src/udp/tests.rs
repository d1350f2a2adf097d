//! What the sockets promise, over loopback.

use std::future::poll_fn;
use std::net::UdpSocket;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quinn::AsyncUdpSocket;
use warren_proto::io::{Discard, RelayChannel};

use super::*;

#[test]
fn both_families_share_one_port_and_the_same_port_can_be_had_again() {
    let first = Sockets::bind(None, Layout::default()).unwrap();
    let port = first.port();
    let taken = Sockets::bind(Some(port), Layout::default()).unwrap_err();
    drop(first);
    let second = Sockets::bind(Some(port), Layout::default()).unwrap();

    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(second.port(), port);
}

#[test]
fn datagrams_arrive_with_their_congestion_bits_in_both_families() {
    let (here, there) =
        (Sockets::bind(None, Layout::default()).unwrap(), Sockets::bind(None, Layout::default()).unwrap());
    for (index, host) in ["127.0.0.1", "[::1]"].iter().enumerate() {
        if index == 1 && !here.has_ipv6() {
            println!("skipped: this host has no IPv6");
            continue;
        }
        let to = format!("{host}:{}", there.port()).parse().unwrap();

        here.forward(0, to, Ecn::Ect0, b"fast", 4).unwrap();
        here.send(&Datagram { to, ttl: Some(3), bytes: b"with a ttl" }).unwrap();
        here.send(&Datagram { to, ttl: None, bytes: b"slow" }).unwrap();

        let seen = receive(&there, index, 3);
        assert_eq!(seen[0], (Ecn::Ect0, b"fast".to_vec()));
        assert_eq!(seen[1], (Ecn::NotEct, b"with a ttl".to_vec()));
        assert_eq!(seen[2], (Ecn::NotEct, b"slow".to_vec()));
    }
}

#[test]
fn what_goes_through_a_relay_gets_the_frame_of_its_channel() {
    let relay_end = UdpSocket::bind("127.0.0.1:0").unwrap();
    relay_end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let sockets = Sockets::bind(None, Layout::default()).unwrap();
    let channel = RelayChannel { relay: relay_end.local_addr().unwrap(), channel: 0x0102_0304 };

    sockets.transmit(&Transmit { to: Remote::Relay(channel), ttl: None, datagram: b"inner".to_vec() }).unwrap();

    let mut buffer = [0; 64];
    let len = relay_end.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..len], *b"\x0c\x01\0\0\x01\x02\x03\x04inner");
}

#[test]
fn a_send_that_cannot_work_is_an_error_and_no_panic() {
    let sockets = Sockets::bind(None, Layout::default()).unwrap();

    let to_port_zero = sockets.forward(0, "127.0.0.1:0".parse().unwrap(), Ecn::NotEct, b"x", 1);
    let too_long = sockets.forward(0, "127.0.0.1:9".parse().unwrap(), Ecn::NotEct, &[0; 70_000], 70_000);

    assert_eq!(to_port_zero.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(too_long.is_err());
}

#[tokio::test]
async fn quic_is_believed_from_the_rendezvous_alone_and_bounded() {
    let sockets = Sockets::bind(None, Layout::default()).unwrap();
    let (socket, feed) = quic_socket(sockets);
    let server: SocketAddr = "203.0.113.5:443".parse().unwrap();
    socket.set_servers([server]);

    let stranger = feed.offer("203.0.113.6:443".parse().unwrap(), Ecn::NotEct, b"\x40");
    feed.offer(server, Ecn::Ect0, b"\x40quic").unwrap();
    let mut buffer = [0; 64];
    let mut metas = [quinn::udp::RecvMeta::default()];
    let count = poll_fn(|cx| socket.poll_recv(cx, &mut [io::IoSliceMut::new(&mut buffer)], &mut metas)).await.unwrap();
    let flood = (0..10_000).filter(|_| feed.offer(server, Ecn::NotEct, b"\x40") == Err(Discard::QueueFull)).count();

    assert_eq!(stranger, Err(Discard::Unsolicited));
    assert_eq!((count, metas[0].len), (1, 5));
    assert_eq!(metas[0].addr, "[::ffff:203.0.113.5]:443".parse().unwrap());
    assert_eq!(buffer[..5], *b"\x40quic");
    assert!(flood > 9_000);
}

fn receive(sockets: &Sockets, index: usize, wanted: usize) -> Vec<(Ecn, Vec<u8>)> {
    let mut batch = Batch::new(64, 32);
    let mut seen = Vec::new();
    while seen.len() < wanted {
        let (v4, v6) = sockets.descriptors(0);
        let descriptor = [Some(v4), v6][index].unwrap();
        let ready = poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::from(5000_u16)).unwrap();
        assert_eq!(ready, 1, "nothing came in 5 s, after {} datagrams", seen.len());
        sockets.receive(0, index, &mut batch).unwrap();
        seen.extend(batch::tests::datagrams(&mut batch));
    }
    seen
}
