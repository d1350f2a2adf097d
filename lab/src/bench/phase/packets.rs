//! Small datagrams: how many a second reach the other side.
//!
//! A sender at full speed takes CPU time from the very tunnel it feeds, so the most arrives at some lower rate. The
//! search begins at full speed and then tries rates around what arrived, and keeps the best.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

use super::{Course, Figure};

/// What became of the datagrams of one try, in datagrams a second.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Rates {
    sent: f64,
    delivered: f64,
}

pub(super) fn measure(course: &Course<'_>) -> Result<Vec<(Figure, f64)>> {
    let length = Duration::from_secs(course.seconds.into()) / TRIES;
    let best = search(|pace| attempt(course, length, pace))?;
    Ok(vec![(Figure::SmallPacketsDelivered, best.delivered), (Figure::SmallPacketsSent, best.sent)])
}

/// The try of which most arrived. `attempt` takes a rate to send at, or none for full speed.
fn search(mut attempt: impl FnMut(Option<f64>) -> Result<Rates>) -> Result<Rates> {
    let mut best = attempt(None)?;
    ensure!(best.delivered > 0.0, "no datagram of {:.0} a second arrived", best.sent);
    let mut factor = UP;
    for _ in 1..TRIES {
        let next = attempt(Some(best.delivered * factor))?;
        if next.delivered > best.delivered {
            best = next;
        } else {
            // Too much is lost at this rate: come back, in smaller steps.
            factor = 1.0 + (factor - 1.0) / 2.0;
        }
    }
    Ok(best)
}

fn attempt(course: &Course<'_>, length: Duration, pace: Option<f64>) -> Result<Rates> {
    let arriving = course.pair.receiver.namespace.inside(|| UdpSocket::bind((course.target(), 0)))??;
    // Beyond the kernel's limit for everybody: this process is privileged, and a short queue would be what is measured.
    setsockopt(&arriving, sockopt::RcvBufForce, &(8 << 20)).context("widen the receive buffer")?;
    arriving.set_read_timeout(Some(Duration::from_millis(20)))?;
    // Every try has a port of its own, so no straggler of the one before is counted.
    let target = arriving.local_addr()?;
    let leaving = course.pair.sender.namespace.inside(|| -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind((course.tunnel.addresses[0], 0))?;
        socket.connect(target)?;
        Ok(socket)
    })??;
    let ended = AtomicBool::new(false);
    let (sent, arrived) = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&arriving, &ended));
        let sent = send(&leaving, length, pace);
        thread::sleep(STRAGGLERS);
        ended.store(true, Ordering::Relaxed);
        anyhow::Ok((sent?, receiver.join().map_err(|_| anyhow!("the receiver panicked"))??))
    })?;
    // Whatever was still in a queue when the sender stopped took its time: that counts too.
    let (count, time) = arrived;
    Ok(Rates { sent: sent as f64 / length.as_secs_f64(), delivered: count as f64 / time.max(length).as_secs_f64() })
}

/// How many the kernel took.
fn send(socket: &UdpSocket, length: Duration, pace: Option<f64>) -> Result<u64> {
    let payload = [0x5a; SIZE];
    let slices = [[IoSlice::new(&payload)]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < length {
        let due = pace.map_or(u64::MAX, |rate| (start.elapsed().as_secs_f64() * rate) as u64);
        let batch = usize::try_from(due.saturating_sub(sent)).unwrap_or(BATCH).min(BATCH);
        if batch == 0 {
            thread::sleep(PAUSE);
            continue;
        }
        let to = [None; BATCH];
        match sendmmsg(socket.as_raw_fd(), &mut headers, &slices[..batch], &to[..batch], [], MsgFlags::empty()) {
            Ok(results) => sent += results.count() as u64,
            // A full queue of the tunnel's interface: what a sender at full speed may meet.
            Err(Errno::ENOBUFS) => {}
            Err(error) => return Err(error).context("send datagrams"),
        }
    }
    Ok(sent)
}

/// How many arrived, and the time from the first to the last.
fn receive(socket: &UdpSocket, ended: &AtomicBool) -> Result<(u64, Duration)> {
    let mut buffers = [[0; SIZE + 1]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut count = 0;
    let mut first: Option<Instant> = None;
    let mut last = Duration::ZERO;
    while !ended.load(Ordering::Relaxed) {
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(results) => {
                count += results.filter(|result| result.bytes == SIZE).count() as u64;
                let now = Instant::now();
                last = now - *first.get_or_insert(now);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error).context("receive datagrams"),
        }
    }
    Ok((count, last))
}

/// Payload of a datagram.
const SIZE: usize = 64;
/// What one system call carries: enough that the calls are not what is measured.
const BATCH: usize = 64;
/// Of one phase.
const TRIES: u32 = 8;
/// The first step above what arrived.
const UP: f64 = 1.5;
/// Well under the time that a tunnel's queues hold.
const PAUSE: Duration = Duration::from_micros(50);
/// Longer than any queue on the way holds a datagram.
const STRAGGLERS: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_a_tunnel_that_breaks_down_under_too_much() {
        // Carries 300,000 a second; what is sent beyond that takes twice its share away.
        let tunnel = |pace: Option<f64>| {
            let sent = pace.unwrap_or(400_000.0);
            let excess = (sent - 300_000.0).max(0.0);
            Ok(Rates { sent, delivered: sent.min(300_000.0) - 2.0 * excess })
        };

        let best = search(tunnel).unwrap();

        assert!(best.delivered > 250_000.0, "{best:?}");
    }

    #[test]
    fn a_tunnel_that_delivers_nothing_is_an_error() {
        let error = search(|_| Ok(Rates { sent: 1e6, delivered: 0.0 })).unwrap_err();

        assert!(error.to_string().contains("1000000 a second"), "{error}");
    }
}
