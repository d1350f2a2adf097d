//! The fast path: inner packets out, datagrams in, by a table that the slow path publishes.
//!
//! ```text
//!              outbound thread                                  inbound thread
//! TUN -> look up destination -> cut -> seal -> UDP   UDP -> classify -> look up SPI -> open -> join -> TUN
//!              | no SA, no path                                 | handshake, control, STUN
//!              +--------------------> bounded queue <-----------+
//!                                       slow path
//! ```
//! Everything is done for as many packets at a time as there are: a read of the device is up to 64 KiB of one flow, which is
//! cut straight into the buffer of one send; a receive is a run of datagrams, opened under one look at the table and one
//! lock of the replay window, joined where they lie and written with one call. Without offloads (an old kernel, a driver
//! that refuses, the setting) the same code handles one packet at a time.
//!
//! A packet that the table cannot place goes up as an [`Upcall`] if the queue has room, and is counted as dropped if
//! not; neither thread waits for the slow path, reads a clock per packet or allocates in steady state. No handshake and
//! no policy here: who may talk, and on which path, is in the table.

mod answer;
pub mod coalesce;
mod counters;
mod departures;
mod fib;
mod inbound;
mod outbound;
mod readiness;
mod scheduling;
pub mod segment;
mod upcall;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

pub use counters::Counters;
pub use fib::Fib;
pub use upcall::Upcall;

use crate::tun::Tun;
use crate::udp::{QuicFeed, Sockets};
use inbound::Inbound;
use outbound::Outbound;
use upcall::Upcalls;

/// The running threads, two for each pair of sockets; dropping it stops them.
#[derive(Debug)]
pub struct DataPlane {
    stop: Arc<EventFd>,
    threads: Vec<JoinHandle<()>>,
    counters: Arc<Counters>,
}

/// What each thread holds.
struct Shared<T> {
    tun: Arc<T>,
    sockets: Arc<Sockets>,
    fib: Arc<ArcSwap<Fib>>,
    counters: Arc<Counters>,
    upcalls: Upcalls,
    stop: Arc<EventFd>,
    /// What tells the fragments of one IPv6 packet from those of another (RFC 8200 section 4.5).
    identifications: Arc<AtomicU32>,
    /// Which sockets and which share of the device's queues are this thread's.
    thread: usize,
}

impl DataPlane {
    /// Starts forwarding between `tun` and `sockets` by whatever `fib` holds at the moment.
    ///
    /// The receiver gets what is not plain ESP data, in order of arrival; the caller must keep it drained.
    pub fn start<T: Tun>(
        tun: Arc<T>,
        sockets: Arc<Sockets>,
        fib: Arc<ArcSwap<Fib>>,
        quic: QuicFeed,
    ) -> io::Result<(Self, mpsc::Receiver<Upcall>)> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let counters = Arc::new(Counters::default());
        let (upcalls, receiver) = upcall::queue();
        // a peer may still hold fragments of the run before this one
        let identifications = Arc::new(AtomicU32::new(getrandom::u32()?));
        let shared = |thread| Shared {
            tun: Arc::clone(&tun),
            sockets: Arc::clone(&sockets),
            fib: Arc::clone(&fib),
            counters: Arc::clone(&counters),
            upcalls: upcalls.clone(),
            stop: Arc::clone(&stop),
            identifications: Arc::clone(&identifications),
            thread,
        };
        // made first, so that its drop stops the threads that run should the next not start
        let mut plane = Self { stop: Arc::clone(&stop), threads: Vec::new(), counters: Arc::clone(&counters) };
        for index in 0..sockets.threads() {
            let (outbound, inbound) = (Outbound::new(shared(index)), Inbound::new(shared(index), quic.clone()));
            let (queues, datagrams) = (outbound.readiness()?, inbound.readiness()?);
            plane.spawn("warren-outbound", || outbound.run(queues))?;
            plane.spawn("warren-inbound", || inbound.run(datagrams))?;
        }
        Ok((plane, receiver))
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let run = || {
            scheduling::ask_for_short_slices();
            run();
        };
        self.threads.push(thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(())
    }

    /// What was dropped that no peer can be charged with, and what the kernel would not take.
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Stops all threads and waits for them; takes no longer than the packets in hand.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        // fails only when the event is full, and then it is readable already
        let _ = self.stop.write(1);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.halt();
    }
}

#[cfg(test)]
#[path = "../../tests/it/common/reference.rs"]
mod reference;
