//! A steady stream of numbered datagrams, and what became of each.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sys::socket::{setsockopt, sockopt};

use crate::namespace::Namespace;

/// A stream that runs until it is finished.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Sent>,
    receiver: JoinHandle<Received>,
    ended: Arc<AtomicBool>,
}

/// What became of the datagrams.
#[derive(Clone, Debug)]
pub struct Report {
    /// Handed to the network.
    pub sent: u64,
    /// That the sender's own host would not take (no route, no buffer).
    pub refused: u64,
    /// That never arrived, though taken, after the first one that did.
    pub lost: u64,
    /// That never arrived and were sent before the first one that did: while there was no way yet.
    pub lost_at_first: u64,
    /// That arrived more than once.
    pub duplicates: u64,
    /// Longest time in which nothing arrived, while the stream ran.
    pub longest_silence: Duration,
    /// When the last datagram arrived before the longest silence, since the start of the stream.
    pub silence_began: Duration,
}

struct Sent {
    /// One entry per datagram: whether the host took it.
    taken: Vec<bool>,
}

struct Received {
    counts: Vec<u8>,
    longest_silence: Duration,
    silence_began: Duration,
}

impl Stream {
    /// Sends datagrams of `size` bytes at `rate` per second from one host to the other's address.
    pub fn start(from: &Namespace, to: &Namespace, target: SocketAddr, rate: u32, size: usize) -> Result<Self> {
        // Not bound to the address itself: the receiving host may not have it yet, or lose it for a while.
        let any = SocketAddr::new(if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, target.port());
        let any_port = SocketAddr::new(any.ip(), 0);
        let outgoing = from.inside(|| UdpSocket::bind(any_port))?.context("open the stream's source")?;
        let arriving = to.inside(|| UdpSocket::bind(any))?.context("open the stream's destination")?;
        // The largest a kernel grants without privilege is silently used instead.
        setsockopt(&arriving, sockopt::RcvBuf, &(4 << 20)).context("widen the receive buffer")?;
        arriving.set_read_timeout(Some(Duration::from_millis(50)))?;

        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicBool::new(false));
        let interval = Duration::from_secs(1) / rate;
        let receiver = thread::spawn({
            let ended = Arc::clone(&ended);
            move || receive(&arriving, &ended)
        });
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || send(&outgoing, target, interval, size, &stop)
        });
        Ok(Self { stop, sender, receiver, ended })
    }

    /// Stops sending, waits for stragglers and counts.
    pub fn finish(self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow!("the stream's sender panicked"))?;
        thread::sleep(STRAGGLERS);
        self.ended.store(true, Ordering::Relaxed);
        let received = self.receiver.join().map_err(|_| anyhow!("the stream's receiver panicked"))?;
        Ok(Report::new(&sent, &received))
    }
}

impl Report {
    fn new(sent: &Sent, received: &Received) -> Self {
        let count = |number: usize| received.counts.get(number).copied().unwrap_or(0);
        let taken = sent.taken.iter().filter(|taken| **taken).count() as u64;
        let first = received.counts.iter().position(|count| *count > 0).unwrap_or(sent.taken.len());
        let missing = |numbers: std::ops::Range<usize>| {
            numbers.filter(|number| sent.taken.get(*number) == Some(&true) && count(*number) == 0).count() as u64
        };
        let duplicates = received.counts.iter().filter(|count| **count > 1).count() as u64;
        Self {
            sent: taken,
            refused: sent.taken.len() as u64 - taken,
            lost: missing(first..sent.taken.len()),
            lost_at_first: missing(0..first),
            duplicates,
            longest_silence: received.longest_silence,
            silence_began: received.silence_began,
        }
    }
}

fn send(socket: &UdpSocket, target: SocketAddr, interval: Duration, size: usize, stop: &AtomicBool) -> Sent {
    let start = Instant::now();
    let mut taken = Vec::new();
    let mut datagram = vec![0x5a; size.max(8)];
    while !stop.load(Ordering::Relaxed) {
        let number = taken.len();
        datagram[..8].copy_from_slice(&(number as u64).to_be_bytes());
        taken.push(socket.send_to(&datagram, target).is_ok());
        // By the schedule, not by the last datagram: a late one is followed by quick ones, the rate holds.
        let next = start + interval * u32::try_from(number + 1).unwrap_or(u32::MAX);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Sent { taken }
}

fn receive(socket: &UdpSocket, ended: &AtomicBool) -> Received {
    let start = Instant::now();
    let mut received = Received { counts: Vec::new(), longest_silence: Duration::ZERO, silence_began: Duration::ZERO };
    let mut last: Option<Instant> = None;
    let mut buffer = [0; 2048];
    while !ended.load(Ordering::Relaxed) {
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let Some(number) = buffer[..length].first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) else {
            continue;
        };
        // Whoever sends us a number beyond an hour of stream is not our sender.
        let Some(number) = usize::try_from(number).ok().filter(|number| *number < MAX_NUMBERS) else { continue };
        let at = Instant::now();
        if let Some(last) = last.replace(at).filter(|last| at - *last > received.longest_silence) {
            received.longest_silence = at - last;
            received.silence_began = last - start;
        }
        if received.counts.len() <= number {
            received.counts.resize(number + 1, 0);
        }
        received.counts[number] = received.counts[number].saturating_add(1);
    }
    received
}

/// Longer than any queue on the way holds a datagram.
const STRAGGLERS: Duration = Duration::from_millis(500);
/// An hour at 1,000 per second.
const MAX_NUMBERS: usize = 3_600_000;
