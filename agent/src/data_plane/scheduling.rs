//! When a packet thread gets the processor.
//!
//! On a busy machine a packet waits for the processor longer than for anything else: threads that compute share it in
//! slices of some milliseconds, and a kernel without preemption looks only every 4 ms whether a slice is over. So a packet thread
//! asks for short slices, and gives way of its own accord where it has nothing half done: the thread that waits may be
//! the other half of the same path. Neither needs a privilege or can starve anybody, as real-time priorities could.

use std::thread;

use nix::libc;

/// Asks for slices of [`SLICE_NS`] for the calling thread. Linux heeds it since 6.12; older kernels ignore it.
pub(super) fn ask_for_short_slices() {
    let request =
        SchedulingRequest { size: size_of::<SchedulingRequest>() as u32, runtime_ns: SLICE_NS, ..Default::default() };
    // SAFETY: the kernel reads `size` bytes of a live struct laid out as sched_setattr(2) says; 0 is the calling thread
    let refused = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const request, 0) } != 0;
    if refused {
        tracing::debug!("the scheduler takes no wishes: {}", std::io::Error::last_os_error());
    }
}

/// Lets another thread that is ready run first; returns at once when there is none.
pub(super) fn give_way() {
    thread::yield_now();
}

/// `struct sched_attr` of Linux in its first version; zeroes ask for the ordinary policy at the ordinary nice value.
#[repr(C)]
#[derive(Default)]
struct SchedulingRequest {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// The shortest that the scheduler grants: about as long as sealing and sending 64 KiB takes.
const SLICE_NS: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_the_wish() {
        let taken = thread::spawn(|| {
            ask_for_short_slices();
            let mut answer = SchedulingRequest::default();
            let size = size_of::<SchedulingRequest>();
            // SAFETY: the kernel writes at most `size` bytes into a live struct of that size
            let outcome = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut answer, size, 0) };
            (outcome, answer.policy, answer.nice, answer.runtime_ns)
        });

        let (outcome, policy, nice, runtime_ns) = taken.join().unwrap();

        assert_eq!((outcome, policy, nice), (0, 0, 0));
        // 0: a kernel before 6.12, which has no slices to be wished for
        assert!([0, SLICE_NS].contains(&runtime_ns), "{runtime_ns}");
    }
}
