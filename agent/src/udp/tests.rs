//! What the sockets promise, over loopback.

use std::future::poll_fn;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{setsockopt, sockopt};
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

        assert_eq!(here.forward(0, to, Ecn::Ect0, b"fast", 4), ALL_SENT);
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
fn what_cannot_be_sent_is_told_by_the_number_of_datagrams() {
    let sockets = Sockets::bind(None, Layout::default()).unwrap();

    let to_port_zero = sockets.forward(0, "127.0.0.1:0".parse().unwrap(), Ecn::NotEct, b"aabbc", 2);
    let too_long = sockets.forward(0, "127.0.0.1:9".parse().unwrap(), Ecn::NotEct, &[0; 70_000], 70_000);

    assert_eq!(to_port_zero, Forwarded { refused: 3, waiting: 0 });
    assert_eq!(too_long, Forwarded { refused: 1, waiting: 0 });
}

#[test]
fn a_run_arrives_as_its_datagrams_whoever_cuts_it() {
    for (sends_runs, takes_runs) in [(true, true), (true, false), (false, true), (false, false)] {
        let [here, there] = [sends_runs, takes_runs].map(sockets);
        let to = loopback(&there);
        let run = run(64, 1000, 300);

        assert_eq!(here.forward(0, to, Ecn::Ect1, &run, 1000), ALL_SENT);

        let expected: Vec<_> = run.chunks(1000).map(|datagram| (Ecn::Ect1, datagram.to_vec())).collect();
        assert!(receive(&there, 0, 64) == expected);
    }
}

#[test]
fn a_kernel_that_refuses_runs_is_given_their_datagrams_one_by_one() {
    let [here, there] = [true; 2].map(sockets);
    let to = loopback(&there);
    refuse_runs(&here);

    for _ in 0..3 {
        let run = run(20, 1000, 300);
        assert_eq!(here.forward(0, to, Ecn::NotEct, &run, 1000), ALL_SENT);
        let expected: Vec<_> = run.chunks(1000).map(|datagram| (Ecn::NotEct, datagram.to_vec())).collect();
        assert!(receive(&there, 0, 20) == expected);
    }
}

/// The neighbour does not answer for its address, so that what is sent stays in the socket's account until it may go.
#[test]
fn when_the_buffer_is_full_each_datagram_of_a_run_is_sent_once_all_the_same() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    for (offload, is_refused) in [(true, false), (true, true), (false, false)] {
        let outcome = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let there = Neighbour::start();
            let here = sockets(offload);
            setsockopt(&here.descriptors(0).0, sockopt::SndBuf, &SMALL_BUFFER).unwrap();
            if is_refused {
                refuse_runs(&here);
            }
            let (sent, to) = (run(64, 1000, 300), SocketAddr::from((NEIGHBOUR, there.port)));
            let send = |bytes: &[u8]| here.forward(0, to, Ecn::NotEct, bytes, 1000);

            let mut runs = 0;
            let mut outcome = ALL_SENT;
            while outcome.waiting == 0 && runs < 50 {
                outcome = send(&sent);
                runs += 1;
            }
            assert!(outcome.refused == 0 && outcome.waiting > 0, "{outcome:?} after {runs} runs");
            there.answer();
            let mut left = &sent[sent.len() - outcome.waiting..];
            while !left.is_empty() {
                let (socket, _) = here.descriptors(0);
                poll(&mut [PollFd::new(socket, PollFlags::POLLOUT)], PollTimeout::from(5000_u16)).unwrap();
                outcome = send(left);
                assert_eq!(outcome.refused, 0);
                left = &left[left.len() - outcome.waiting..];
            }

            let expected: Vec<_> = (0..runs).flat_map(|_| sent.chunks(1000)).collect();
            assert!(there.receive(expected.len()) == expected, "offload {offload}, refused {is_refused}");
        });
        outcome.join().unwrap();
    }
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

/// A host at the other end of a cable, in a namespace of its own.
struct Neighbour {
    port: u16,
    inbox: UdpSocket,
    link_address: String,
}

impl Neighbour {
    fn start() -> Self {
        let (send_thread, thread_id) = mpsc::channel();
        let (send_socket, socket) = mpsc::channel();
        let (plug, is_plugged) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            send_thread.send(nix::unistd::gettid()).unwrap();
            is_plugged.recv().unwrap();
            ip(&format!("addr add {NEIGHBOUR}/24 dev down0"));
            ip("link set down0 arp off up");
            let inbox = UdpSocket::bind((NEIGHBOUR, 0)).unwrap();
            setsockopt(&inbox, sockopt::RcvBufForce, &LARGE_BUFFER).unwrap();
            let link = ip("-o link show dev down0");
            let link_address = link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
            send_socket.send((inbox, link_address)).unwrap();
        });
        let thread_id = thread_id.recv().unwrap();
        ip(&format!("link add up0 type veth peer name down0 netns {thread_id}"));
        ip("addr add 192.0.2.1/24 dev up0");
        ip("link set up0 up");
        plug.send(()).unwrap();
        let (inbox, link_address) = socket.recv().unwrap();
        inbox.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { port: inbox.local_addr().unwrap().port(), inbox, link_address }
    }

    /// Lets what waits for its address go.
    fn answer(&self) {
        ip(&format!("neigh replace {NEIGHBOUR} lladdr {} dev up0 nud permanent", self.link_address));
    }

    fn receive(&self, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2000];
        let mut next = || {
            let len = self.inbox.recv(&mut buffer).expect("a datagram within the time");
            buffer[..len].to_vec()
        };
        (0..count).map(|_| next()).collect()
    }
}

/// Runs `ip` in this thread's namespace.
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Datagrams of 1000 bytes in a row that differ from each other, and a last one.
fn run(count: usize, stride: usize, last: usize) -> Vec<u8> {
    (0..(count - 1) * stride + last).map(|index| (index / 7 + index / stride) as u8).collect()
}

/// Makes the kernel say what it says where runs cannot be cut: without checksums it does not.
fn refuse_runs(sockets: &Sockets) {
    let (on, (socket, _)) = (1_i32, sockets.descriptors(0));
    let on_len = u32::try_from(size_of_val(&on)).unwrap();
    // SAFETY: the kernel reads an integer of this size, and the descriptor is open.
    let outcome = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast(), on_len)
    };
    assert_eq!(outcome, 0);
}

fn sockets(offload: bool) -> Arc<Sockets> {
    Sockets::bind(None, Layout { offload, ..Layout::default() }).unwrap()
}

fn loopback(sockets: &Sockets) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, sockets.port()).into()
}

#[test]
fn an_auxiliary_socket_is_opened_by_its_first_datagram_and_closed_when_nobody_names_it() {
    let far_end = UdpSocket::bind("127.0.0.1:0").unwrap();
    far_end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let to = far_end.local_addr().unwrap();
    let sockets = Sockets::bind(None, Layout::default()).unwrap();
    let id = SocketId(7);
    let mut buffer = [0; 16];

    assert!(sockets.way(0, to, Some(id)).is_none());
    sockets.transmit(&transmit_by(id, to)).unwrap();
    let (_, first) = far_end.recv_from(&mut buffer).unwrap();
    let way = sockets.way(0, to, Some(id)).unwrap();
    assert_eq!(way.forward(to, Ecn::NotEct, b"fast", 4), ALL_SENT);
    let (_, second) = far_end.recv_from(&mut buffer).unwrap();
    far_end.send_to(b"answer", first).unwrap();

    assert_eq!(first, second);
    assert_ne!(first.port(), sockets.port());
    let waiting = &mut [PollFd::new(sockets.auxiliary_descriptor(), PollFlags::POLLIN)];
    assert_eq!(poll(waiting, PollTimeout::from(5000_u16)).unwrap(), 1);
    assert_eq!(sockets.ready_auxiliaries().collect::<Vec<_>>(), [id]);
    let mut batch = Batch::new(64, 32);
    sockets.receive_by(id, &mut batch).unwrap();
    assert_eq!(batch::tests::datagrams(&mut batch), [(Ecn::NotEct, b"answer".to_vec())]);

    drop(way);
    sockets.retain_auxiliaries(|_| false);
    assert!(sockets.way(0, to, Some(id)).is_none());
    far_end.send_to(b"too late", first).unwrap();
    assert_eq!(sockets.ready_auxiliaries().count(), 0);
}

#[test]
fn auxiliary_sockets_never_take_up_all_descriptors() {
    let sockets = Sockets::bind(None, Layout::default()).unwrap();
    let to = "127.0.0.1:9".parse().unwrap();

    let opened = (0..400).filter(|id| sockets.transmit(&transmit_by(SocketId(*id), to)).is_ok()).count();

    assert_eq!(opened, 320);
}

fn transmit_by(socket: SocketId, peer: SocketAddr) -> Transmit {
    Transmit { to: Remote::Auxiliary(Auxiliary { socket, peer }), ttl: None, datagram: b"slow".to_vec() }
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

const ALL_SENT: Forwarded = Forwarded { refused: 0, waiting: 0 };

const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

/// Less than the 200 KiB that wait for a neighbour's address at most.
const SMALL_BUFFER: usize = 8 << 10;
const LARGE_BUFFER: usize = 4 << 20;

#[test]
fn what_a_router_says_is_heard_and_spoils_no_send() {
    let Ok(router) = icmp_from("127.0.0.3") else {
        println!("skipped: needs CAP_NET_RAW");
        return;
    };
    let (here, there) =
        (Sockets::bind(None, Layout::default()).unwrap(), Sockets::bind(None, Layout::default()).unwrap());
    let to = format!("127.0.0.1:{}", there.port()).parse().unwrap();
    let far_end = icmp_from("127.0.0.9").unwrap();
    let say = |by: &socket2::Socket, kind, code| {
        let message = icmp_about(kind, code, here.port(), [127, 0, 0, 9], 4000);
        by.send_to(&message, &"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    };

    say(&router, 3, 13);
    assert_eq!(here.forward(0, to, Ecn::NotEct, b"fast", 4), ALL_SENT);
    say(&router, 3, 1);
    here.send(&Datagram { to, ttl: None, bytes: b"slow" }).unwrap();
    // the answer to an opener, and what the far end itself says, mean nothing
    say(&router, 11, 0);
    here.send(&Datagram { to, ttl: Some(3), bytes: b"with a ttl" }).unwrap();
    say(&far_end, 3, 3);
    assert_eq!(here.forward(0, to, Ecn::NotEct, b"aabb", 2), ALL_SENT);

    let about = "127.0.0.9:4000".parse().unwrap();
    assert_eq!(here.take_obstacles(0, 0), [(about, Obstacle::Forbidden), (about, Obstacle::NoRoute)]);
    assert!(here.take_obstacles(0, 0).is_empty());
    let seen: Vec<Vec<u8>> = receive(&there, 0, 5).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(seen, [&b"fast"[..], b"slow", b"with a ttl", b"aa", b"bb"]);
}

#[test]
fn a_send_that_this_host_forbids_says_so_every_time() {
    let sockets = Sockets::bind(None, Layout::default()).unwrap();
    // no socket may send to everybody unless it asked for the right
    let everybody = Datagram { to: "255.255.255.255:4000".parse().unwrap(), ttl: None, bytes: b"x" };

    for _ in 0..3 {
        let error = sockets.send(&everybody).unwrap_err();

        assert_eq!(obstacle_of(&error), Some(Obstacle::Forbidden), "{error}");
    }
}

fn icmp_from(address: &str) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(socket2::Protocol::ICMPV4))?;
    socket.bind(&format!("{address}:0").parse::<SocketAddr>().unwrap().into())?;
    Ok(socket)
}

/// An ICMP message about a datagram of ours: its IPv4 header and the ports are all that is needed (RFC 792).
fn icmp_about(kind: u8, code: u8, from: u16, to: [u8; 4], to_port: u16) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1]);
    message.extend(to);
    message.extend([from.to_be_bytes(), to_port.to_be_bytes(), 12u16.to_be_bytes(), [0; 2]].concat());
    let sum: u32 = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    message[2..4].copy_from_slice(&(!(folded as u16 + (folded >> 16) as u16)).to_be_bytes());
    message
}
