//! When a packet thread gets the processor.
//!
//! On a busy machine a packet waits for the processor longer than for anything else: threads that compute share it in
//! slices of some milliseconds, and a kernel without preemption looks only every 4 ms whether a slice is over. So a packet thread
//! asks for short slices, and gives way of its own accord where it has nothing half done: the thread that waits may be
//! the other half of the same path. Neither needs a privilege or can starve anybody, as real-time priorities could.

use std::{io, thread};

use nix::errno::Errno;
use nix::libc;

/// Asks for slices of [`SLICE_NS`] for the calling thread. Linux heeds it since 6.12; older kernels ignore it. A thread whose owner
/// chose a policy for it (real-time, batch) keeps that, and its nice value in any case.
pub(super) fn ask_for_short_slices() {
    let outcome = current().and_then(|current| match current.policy {
        ORDINARY => set(&Attributes { runtime_ns: SLICE_NS, ..current }),
        _ => Ok(()),
    });
    if let Err(error) = outcome {
        tracing::debug!("the scheduler takes no wishes: {error}");
    }
}

/// How much a thread has done since it last gave way.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    done: usize,
}

impl Courtesy {
    /// Lets another thread that is ready run first, once a turn's work is done; returns at once when there is none.
    pub(super) fn give_way_after(&mut self, work: usize) {
        self.done += work;
        if self.done >= TURN {
            self.done = 0;
            thread::yield_now();
        }
    }
}

/// `struct sched_attr` of Linux in its first version (sched_setattr(2)).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// What the calling thread has.
fn current() -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes at most the given size into a live struct of that size; 0 is the calling thread
    let outcome = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size_of::<Attributes>(), 0) };
    Errno::result(outcome)?;
    Ok(Attributes { size: size_of::<Attributes>() as u32, flags: 0, ..attributes })
}

fn set(attributes: &Attributes) -> io::Result<()> {
    // SAFETY: the kernel reads `size` bytes of a live struct of that size; 0 is the calling thread
    let outcome = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) };
    Errno::result(outcome)?;
    Ok(())
}

/// Work of a turn, in bytes: the largest packet, or a full run of small ones. What has just come to another queue waits for
/// no more than that.
pub(super) const TURN: usize = 64 << 10;

/// A packet of any size takes as long as this many bytes of a large one.
pub(super) const PACKET_COST: usize = 1 << 10;

/// `SCHED_OTHER`.
const ORDINARY: u32 = 0;

/// The shortest that the scheduler grants: about as long as sealing and sending 64 KiB takes.
const SLICE_NS: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_the_wish_and_the_nice_value_stays() {
        let run = || {
            let niced = Attributes { nice: 5, ..current().unwrap() };
            set(&niced).unwrap();
            ask_for_short_slices();
            current().unwrap()
        };

        let taken = thread::spawn(run).join().unwrap();

        assert_eq!((taken.policy, taken.nice), (ORDINARY, 5));
        // 0: a kernel before 6.12, which has no slices to be wished for
        assert!([0, SLICE_NS].contains(&taken.runtime_ns), "{}", taken.runtime_ns);
    }

    #[test]
    fn a_policy_that_somebody_chose_is_kept() {
        let run = || {
            set(&Attributes { policy: BATCH, ..current().unwrap() }).unwrap();
            ask_for_short_slices();
            current().unwrap()
        };

        let kept = thread::spawn(run).join().unwrap();

        assert_eq!(kept.policy, BATCH);
    }

    /// `SCHED_BATCH`.
    const BATCH: u32 = 3;
}
