//! The kernel's own TUN device and tables, in network namespaces of their own. Needs root; says so and does nothing else.

use std::io::{IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use warren_agent::netcfg::{self, Desired, Exclude, NetConfig, Route};
use warren_agent::tun::{LinuxTun, OpenError};
use warren_proto::keys::Family;

use crate::common::{Node, PATIENCE, connect_nodes, v4, v6};

#[test]
fn settings_are_applied_by_what_differs_and_undone() {
    in_namespace(|| async {
        let tun = LinuxTun::open("warren0", true, 1).unwrap();
        let config = NetConfig::new(tun.index()).unwrap();

        config.apply(&settings(1, &[])).await.unwrap();
        let first = (ip("addr show dev warren0"), ip("route show dev warren0"), ip("-6 route show dev warren0"));
        ip("route add 192.0.2.0/24 dev warren0");
        config.apply(&settings(1, &[(2, 1466)])).await.unwrap();
        let second = (ip("route show dev warren0"), ip("-6 route show dev warren0"));
        config.apply(&settings(3, &[(2, 1280)])).await.unwrap();
        let third = (ip("addr show dev warren0"), ip("route show dev warren0"), ip("-6 route show dev warren0"));
        config.undo().await.unwrap();
        let last = (ip("addr show dev warren0"), ip("route show dev warren0"));

        assert!(first.0.contains("inet 100.64.0.1/32") && first.0.contains("inet6 fd00::1/128"), "{}", first.0);
        assert!(first.0.contains("mtu 1420") && first.0.contains("UP") && !first.0.contains("fe80"), "{}", first.0);
        assert!(first.1.contains("100.64.0.0/10") && first.2.contains("fd00::/48"), "{first:?}");
        assert!(second.0.contains("100.64.0.2") && second.0.contains("mtu 1466"), "{}", second.0);
        assert!(second.1.contains("fd00::2") && second.1.contains("mtu 1466"), "{}", second.1);
        assert!(third.0.contains("100.64.0.3/32") && !third.0.contains("100.64.0.1/32"), "{}", third.0);
        assert!(third.1.contains("mtu 1280") && !third.1.contains("mtu 1466"), "{}", third.1);
        assert!(third.2.contains("mtu 1280") && !third.2.contains("mtu 1466"), "{}", third.2);
        assert!(third.1.contains("192.0.2.0/24"), "an operator's route was touched: {}", third.1);
        assert!(!last.0.contains("inet") && !last.1.contains("100.64"), "{last:?}");
        drop(tun);
        assert!(!ip("link show").contains("warren0"), "the device outlived its owner");
    });
}

#[test]
fn what_a_crash_left_on_a_kept_device_is_cleared_at_the_next_start() {
    in_namespace(|| async {
        ip("tuntap add dev warren0 mode tun");
        ip("addr add 100.64.0.9/32 dev warren0");
        ip("link set warren0 up");
        ip("route add 100.64.0.7/32 dev warren0 proto 87 mtu 1400");

        let tun = LinuxTun::open("warren0", true, 1).unwrap();
        NetConfig::new(tun.index()).unwrap().apply(&settings(1, &[])).await.unwrap();

        let now = (ip("addr show dev warren0"), ip("route show dev warren0"));
        assert!(now.0.contains("100.64.0.1/32") && !now.0.contains("100.64.0.9"), "{}", now.0);
        assert!(!now.1.contains("100.64.0.7"), "{}", now.1);
    });
}

#[test]
fn a_host_whose_ipv6_is_off_gets_the_ipv4_half() {
    in_namespace(|| async {
        for which in ["all", "default"] {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1").unwrap();
        }
        let tun = LinuxTun::open("warren0", true, 1).unwrap();
        let config = NetConfig::new(tun.index()).unwrap();

        config.apply(&settings(1, &[(2, 1400)])).await.unwrap();
        let now = (ip("addr show dev warren0"), ip("route show dev warren0"));
        config.undo().await.unwrap();

        assert!(now.0.contains("100.64.0.1/32") && !now.0.contains("inet6"), "{}", now.0);
        assert!(now.1.contains("100.64.0.0/10") && now.1.contains("mtu 1400"), "{}", now.1);
    });
}

#[test]
fn a_name_that_is_taken_is_told_from_other_troubles() {
    in_namespace(|| async {
        let held = LinuxTun::open("warren0", true, 1).unwrap();
        ip("link add other0 type veth peer name other1");

        let second = LinuxTun::open("warren0", true, 1).err().unwrap();
        let other_kind = LinuxTun::open("other0", true, 1).err().unwrap();
        let unprivileged = thread::spawn(|| {
            capctl::caps::CapState::empty().set_current().unwrap();
            LinuxTun::open("warren1", true, 1).err().unwrap()
        });

        assert!(matches!(second, OpenError::NameTaken(_)), "{second:?}");
        assert!(matches!(other_kind, OpenError::NameTaken(_)), "{other_kind:?}");
        assert!(matches!(unprivileged.join().unwrap(), OpenError::Permission));
        drop(held);
    });
}

#[test]
fn the_hosts_own_addresses_are_listed_and_their_changes_noticed() {
    in_namespace(|| async {
        let tun = LinuxTun::open("warren0", true, 1).unwrap();
        let config = NetConfig::new(tun.index()).unwrap();
        config.apply(&settings(1, &[])).await.unwrap();
        ip("link add docker0 type veth peer name br-0123456789ab");
        ip("link add eth0 type veth peer name eth1");
        for (interface, address) in
            [("docker0", "172.17.0.1"), ("br-0123456789ab", "172.18.0.1"), ("eth0", "192.0.2.1")]
        {
            ip(&format!("addr add {address}/24 dev {interface}"));
            ip(&format!("link set {interface} up"));
        }
        let exclude = Exclude {
            interface: Some(tun.index()),
            prefixes: vec!["100.64.0.0/10".parse().unwrap(), "fd00::/48".parse().unwrap()],
        };

        let listed = netcfg::addresses(&exclude).await.unwrap();
        let mut watch = netcfg::watch(exclude).await.unwrap();
        let before = watch.borrow_and_update().clone();
        config.apply(&settings(1, &[(2, 1400)])).await.unwrap();
        let ours_is_none = tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_err();
        ip("addr add 198.51.100.7/24 dev eth0");
        tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap().unwrap();
        let added = watch.borrow_and_update().clone();
        // the same address again is still another network
        ip("addr del 198.51.100.7/24 dev eth0");
        ip("addr add 198.51.100.7/24 dev eth0");
        tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap().unwrap();
        let again = watch.borrow_and_update().clone();

        assert_eq!(listed, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(before.addresses, listed);
        assert!(ours_is_none, "a change of our own was taken for the host's");
        assert_eq!(added.addresses.len(), 2);
        assert_eq!(again.addresses, added.addresses);
        assert!(added.generation > before.generation && again.generation > added.generation);
    });
}

/// Two kernels' own TCP, UDP and ICMP over two TUN devices, with the data planes in between.
#[test]
fn two_kernels_talk_tcp_udp_and_icmp_over_the_overlay_in_both_families() {
    if !may_make_namespaces() {
        return;
    }
    let (one, two) = (Kernel::start(1), Kernel::start(2));
    connect_nodes(&one.node, &two.node, Family::V4);

    for (from, to) in [(IpAddr::from(v4(1)), IpAddr::from(v4(2))), (v6(1).into(), v6(2).into())] {
        assert_eq!(transfer(&one, &two, SocketAddr::new(to, 7000)), from);

        // larger than the device's MTU, as the peer's route allows: no fragment, no refusal
        let datagram = vec![9; 1466 - if to.is_ipv4() { 28 } else { 48 }];
        let inbox = two.run(move || UdpSocket::bind((to, 7001)).unwrap());
        inbox.set_read_timeout(Some(PATIENCE)).unwrap();
        let expected = datagram.clone();
        one.run(move || UdpSocket::bind((from, 0)).unwrap().send_to(&datagram, (to, 7001)).unwrap());
        let mut buffer = [0; 2000];
        let (len, sender) = inbox.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], sender.ip()), (&expected[..], from));

        let ping = one.run(move || {
            let output = Command::new("ping")
                .args(["-c", "2", "-i", "0.2", "-s", "3000", "-W", "5", &to.to_string()])
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        });
        assert!(ping.0, "{}", ping.1);
    }
    assert_eq!(one.node.dropped(), two.node.dropped());
}

/// What the kernel counts as packets of the device are super-packets when it was offered offloads.
#[test]
fn a_transfer_crosses_both_devices_in_packets_larger_than_any_path_carries() {
    if !may_make_namespaces() {
        return;
    }
    let (one, two) = (Kernel::start(1), Kernel::start(2));
    connect_nodes(&one.node, &two.node, Family::V4);

    for (from, to) in [(IpAddr::from(v4(1)), IpAddr::from(v4(2))), (v6(1).into(), v6(2).into())] {
        let before = (one.run(device_counters), two.run(device_counters));
        transfer(&one, &two, SocketAddr::new(to, 7000));
        let after = (one.run(device_counters), two.run(device_counters));
        let mean = |now: (u64, u64), then: (u64, u64)| (now.1 - then.1) / (now.0 - then.0);
        let (given, taken) = (mean(after.0.tx, before.0.tx), mean(after.1.rx, before.1.rx));
        assert!(given > 3000 && taken > 3000, "{given} bytes a packet were given, {taken} taken");

        // 40 datagrams of one send: the device gives them as one packet
        let inbox = two.run(move || UdpSocket::bind((to, 7001)).unwrap());
        inbox.set_read_timeout(Some(PATIENCE)).unwrap();
        let datagrams: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 1000]).collect();
        let run = datagrams.concat();
        one.run(move || {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            let (to, control) =
                (SockaddrStorage::from(SocketAddr::new(to, 7001)), [ControlMessage::UdpGsoSegments(&1000)]);
            sendmsg(socket.as_raw_fd(), &[IoSlice::new(&run)], &control, MsgFlags::empty(), Some(&to)).unwrap();
        });
        let mut buffer = [0; 2000];
        for expected in datagrams {
            let len = inbox.recv(&mut buffer).unwrap();
            assert!(buffer[..len] == expected);
        }
    }
    assert_eq!((one.node.plane.counters().tun_refused(), two.node.plane.counters().tun_refused()), (0, 0));
    assert_eq!(one.node.dropped(), two.node.dropped());
}

/// Sends 4 MiB by TCP from one kernel to the other, sees that the same arrive, and tells from which address.
#[track_caller]
fn transfer(from: &Kernel, to: &Kernel, at: SocketAddr) -> IpAddr {
    let sent: Vec<u8> = (0..TRANSFER_LEN).map(|index| (index * 7 + index / 251) as u8).collect();
    let listener = to.run(move || TcpListener::bind(at).unwrap());
    let received = thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        (received, peer.ip())
    });
    let payload = sent.clone();
    from.run(move || {
        let mut stream = TcpStream::connect_timeout(&at, PATIENCE).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&payload).unwrap();
    });
    let (received, peer) = received.join().unwrap();
    assert!(received == sent, "{} of {} bytes arrived, or not the same", received.len(), sent.len());
    peer
}

/// Packets and bytes of this namespace's device, as its kernel counts them.
struct DeviceCounters {
    tx: (u64, u64),
    rx: (u64, u64),
}

fn device_counters() -> DeviceCounters {
    let shown: serde_json::Value = serde_json::from_str(&ip("-j -s link show dev warren0")).unwrap();
    let count = |way: &str, what: &str| shown[0]["stats64"][way][what].as_u64().unwrap();
    let both = |way| (count(way, "packets"), count(way, "bytes"));
    DeviceCounters { tx: both("tx"), rx: both("rx") }
}

/// A network namespace with a TUN device of an overlay host in it; its data plane's sockets are outside.
struct Kernel {
    node: Node,
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Kernel {
    fn start(number: u8) -> Self {
        let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (send_tun, tun) = mpsc::channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            let tun = Arc::new(LinuxTun::open("warren0", true, 1).unwrap());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let peer = 3 - number;
            // more than whole packets may have, as transport form carries it over IPv4: fragments must cope
            runtime.block_on(async {
                NetConfig::new(tun.index()).unwrap().apply(&settings(number, &[(peer, 1466)])).await.unwrap();
            });
            send_tun.send(tun).unwrap();
            queue.into_iter().for_each(|job| job());
        });
        Self { node: Node::start(tun.recv().unwrap()), jobs }
    }

    /// Runs something inside the namespace and waits for it.
    fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (send, result) = mpsc::channel();
        self.jobs.send(Box::new(move || send.send(job()).unwrap())).unwrap();
        result.recv().expect("the job in the namespace failed")
    }
}

/// Overlay host `number` with the overlay's prefixes and a route of its own for some peers.
fn settings(number: u8, peers: &[(u8, u32)]) -> Desired {
    let overlay = ["100.64.0.0/10", "fd00::/48"].map(|prefix| Route { prefix: prefix.parse().unwrap(), mtu: None });
    let mut routes = overlay.to_vec();
    for (peer, mtu) in peers {
        routes.push(Route { prefix: IpAddr::from(v4(*peer)).into(), mtu: Some(*mtu) });
        routes.push(Route { prefix: IpAddr::from(v6(*peer)).into(), mtu: Some(*mtu) });
    }
    Desired { addresses: vec![v4(number).into(), v6(number).into()], routes }
}

/// Runs a test in a network namespace and a runtime of its own.
fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    if !may_make_namespaces() {
        return;
    }
    let outcome = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    if let Err(panic) = outcome.join() {
        std::panic::resume_unwind(panic);
    }
}

fn may_make_namespaces() -> bool {
    let root = nix::unistd::geteuid().is_root() && std::path::Path::new("/dev/net/tun").exists();
    if !root {
        println!("skipped: needs root and /dev/net/tun");
    }
    root
}

/// Runs `ip` in this thread's namespace.
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TRANSFER_LEN: usize = 4 << 20;
