//! Waits for a moment, and wakes up once for it.
//!
//! The runtime's own timers are kept in a wheel, which it turns at 64 ms and 4 s: a sleep of seconds costs two wake-ups
//! on the way. They also stand still while the machine is suspended. This is one timer of the kernel, on the clock
//! that counts suspend: what fell due meanwhile is noticed at once. What is due is the caller's business.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::Clock;

/// One timer, set anew for each wait.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<Timer>,
    /// What it is set to, until it has rung.
    set: Option<Instant>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl Alarm {
    /// An alarm that is not set. Needs a tokio runtime.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        // SAFETY: the timer owns its descriptor, gives no other and lets nobody close or replace it
        let timer = unsafe { AsyncFd::register_with_interest(Timer(timer), Interest::READABLE) }?;
        Ok(Self { timer, set: None })
    }

    /// Waits until `at`. May be given up at any point; the next wait begins anew.
    pub async fn wait(&mut self, at: Instant, clock: Clock) {
        if self.set != Some(at) {
            // zero would disarm it
            let after = clock.until(at).max(Duration::from_nanos(1));
            let expiration = Expiration::OneShot(TimeSpec::from_duration(after));
            let set = self.timer.get_ref().0.set(expiration, TimerSetTimeFlags::empty());
            set.expect("a timer takes any time that is not negative");
            self.set = Some(at);
        }
        loop {
            let mut ready = self.timer.readable().await.expect("the runtime outlives its tasks");
            // a setting that was given up may have rung: then there is nothing to read, and it was not ours
            if ready.try_io(|timer| Ok(timer.get_ref().0.wait()?)).is_ok() {
                self.set = None;
                return;
            }
        }
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn it_rings_when_the_time_has_come_and_not_before() {
        let clock = Clock::start();
        let mut alarm = Alarm::new().unwrap();
        let at = clock.now() + Duration::from_millis(30);

        alarm.wait(at, clock).await;

        assert!(clock.now() >= at);
    }

    #[tokio::test]
    async fn a_time_that_has_passed_rings_at_once() {
        let clock = Clock::start();
        let mut alarm = Alarm::new().unwrap();
        let now = clock.now();

        for _ in 0..3 {
            alarm.wait(now, clock).await;
        }
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_does_not_disturb_the_next() {
        let clock = Clock::start();
        let mut alarm = Alarm::new().unwrap();
        let (far, near) = (clock.now() + Duration::from_secs(3600), clock.now() + Duration::from_millis(60));

        assert!(timeout(Duration::from_millis(1), alarm.wait(far, clock)).await.is_err());
        let soon = clock.now() + Duration::from_millis(10);
        // rings, but nobody waits
        assert!(timeout(Duration::ZERO, alarm.wait(soon, clock)).await.is_err());
        while clock.now() < soon + Duration::from_millis(5) {
            tokio::task::yield_now().await;
        }
        alarm.wait(near, clock).await;

        assert!(clock.now() >= near);
    }
}
