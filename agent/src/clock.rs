//! The one place that reads a clock: a monotonic `now` that counts suspend, and wall time.
//!
//! `Instant` stops while a laptop sleeps, so a session would look fresh to one side and dead to the other. This clock
//! reads CLOCK_BOOTTIME and gives its progress as an `Instant`, which is all that `proto` knows of time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use time::OffsetDateTime;
use warren_proto::keys::UnixTime;

/// A clock that started with the daemon. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    boot_time_at_start: Duration,
}

impl Clock {
    /// A clock that starts here.
    pub fn start() -> Self {
        Self { started: Instant::now(), boot_time_at_start: boot_time() }
    }

    /// Monotonic time, suspend included. May run ahead of `Instant::now()`; never compare the two.
    pub fn now(&self) -> Instant {
        self.started + boot_time().saturating_sub(self.boot_time_at_start)
    }

    /// How long until `deadline`; zero when it has passed.
    pub fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.now())
    }

    /// Wall-clock time, for what messages and certificates carry.
    pub fn wall(&self) -> UnixTime {
        UnixTime::new(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The wall-clock time of a monotonic instant, as far as the wall clock has not been set since.
    pub fn wall_at(&self, instant: Instant) -> UnixTime {
        let ago = self.now().saturating_duration_since(instant);
        UnixTime::new(self.wall().since_epoch().saturating_sub(ago))
    }
}

/// RFC 3339 in UTC, to the millisecond: paths are found in hundreds of them.
pub fn rfc3339(at: UnixTime) -> String {
    let milliseconds = i128::try_from(at.since_epoch().as_millis()).unwrap_or(i128::MAX);
    OffsetDateTime::from_unix_timestamp_nanos(milliseconds.saturating_mul(1_000_000))
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}

fn boot_time() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux since 2.6.39 has CLOCK_BOOTTIME").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let clock = Clock::start();

        let first = clock.now();
        let second = clock.now();

        assert!(second >= first);
        assert_eq!(clock.until(first), Duration::ZERO);
    }

    #[test]
    fn times_print_as_rfc_3339_in_utc() {
        assert_eq!(rfc3339(UnixTime::from_secs(1_767_323_045)), "2026-01-02T03:04:05Z");
        let later = UnixTime::new(Duration::from_micros(1_767_323_045_120_999));
        assert_eq!(rfc3339(later), "2026-01-02T03:04:05.12Z");
    }
}
