//! How fast the relay forwards on this machine, with the kernel's offloads and without: `cargo bench -p warren-rendezvous`.
//!
//! Two devices on the loopback interface, one sending runs of full frames to the other, no more at once than the buffers
//! hold. The relay shares the machine with both, so its own processor time tells more than the rate.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use warren_proto::keys::NodeId;
use warren_rendezvous::config::Offload;
use warren_rendezvous::relay::{Relay, Table};

fn main() {
    for _ in 0..ROUNDS {
        for (offload, name) in [(Offload::Off, "off"), (Offload::On, "on")] {
            let (rate, seconds, lost) = measure(offload);
            println!("offload {name:3}  {rate:5.2} Gb/s  {seconds:.2} CPU s/GB of the relay  {lost:.2} % lost");
        }
    }
}

/// Gigabits a second that arrived, processor seconds a gigabyte, percentage that was lost.
fn measure(offload: Offload) -> (f64, f64, f64) {
    let (anna, bert) = (NodeId::new([1; 16]), NodeId::new([2; 16]));
    let mut table = Table::new([9; 32]);
    for (device, token) in [(anna, 1), (bert, 2)] {
        table.admit(device, [token; 16], Ipv4Addr::LOCALHOST.into());
    }
    table.open([(anna, 1), (bert, 2)]);
    let relay = Relay::start((Ipv4Addr::LOCALHOST, 0).into(), offload, Arc::new(Mutex::new(table))).expect("a relay");
    let [near, far] = [1, 2].map(|token| {
        let device = Device::new();
        let bind = [&[0x0c, 1, 0, 0, 0, 0, 0, 0, 1], &[token; 16][..]].concat();
        device.io.send_to(&bind, relay.addr()).expect("a bind");
        assert_eq!(device.receive(&mut [0; 64]), Some(9), "bound");
        device
    });
    let frame = [&[0x0c, 1, 0, 0, 0, 0, 0, 1][..], &[7; FRAME - 8]].concat();
    let run = frame.repeat(RUN);

    let (arrived, processor, start) = (AtomicU64::new(0), relay_time(), Instant::now());
    let mut sent = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 1 << 16];
            while let Some(len) = far.receive(&mut buffer) {
                arrived.fetch_add(len as u64, Ordering::Relaxed);
            }
        });
        let mut forgotten = 0;
        let mut moved = (0, Instant::now());
        while start.elapsed() < LASTS {
            let there = arrived.load(Ordering::Relaxed);
            if there != moved.0 {
                moved = (there, Instant::now());
            } else if moved.1.elapsed() > STALL {
                // what did not come by then is lost
                forgotten = sent - there;
            }
            if sent - there - forgotten.min(sent - there) > WINDOW {
                std::thread::yield_now();
                continue;
            }
            let transmit = Transmit {
                destination: relay.addr(),
                ecn: None,
                contents: &run,
                segment_size: Some(FRAME),
                src_ip: None,
            };
            if near.state.try_send((&near.io).into(), &transmit).is_ok() {
                sent += run.len() as u64;
            }
        }
    });
    let arrived = arrived.into_inner() as f64;
    let processor = (relay_time() - processor).as_secs_f64();
    (arrived * 8.0 / LASTS.as_secs_f64() / 1e9, processor / arrived * 1e9, 100.0 - arrived / sent as f64 * 100.0)
}

/// A socket with the offloads an agent uses.
struct Device {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Device {
    fn new() -> Self {
        let io = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let state = UdpSocketState::new((&io).into()).expect("its options");
        io.set_nonblocking(false).expect("a socket that waits");
        io.set_read_timeout(Some(Duration::from_millis(300))).expect("a time limit");
        Self { io, state }
    }

    /// How many bytes arrived; `None` when none do any more.
    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut meta = [RecvMeta::default()];
        self.state.recv((&self.io).into(), &mut [IoSliceMut::new(buffer)], &mut meta).ok().map(|_| meta[0].len)
    }
}

/// Processor time of all threads of this process called `relay`, dead ones not counted.
fn relay_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a /proc").flatten();
    let relays =
        tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "relay"));
    let nanos = relays.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

const ROUNDS: usize = 3;
const LASTS: Duration = Duration::from_secs(2);
/// A full frame on a 1500-byte link.
const FRAME: usize = 1472;
/// As many as fit one send.
const RUN: usize = 44;
/// On its way at once: what default socket buffers hold of it.
const WINDOW: u64 = 128 << 10;
/// Longer than anything that still moves stands still.
const STALL: Duration = Duration::from_millis(20);
