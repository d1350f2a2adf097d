//! The server's only source of wall-clock time, passed by value from here on.

use std::time::SystemTime;

use warren_proto::keys::UnixTime;

/// Tells the time; a trait so that a test can own it.
pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> UnixTime;
}

/// The host's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // a clock set before 1970 reads as 1970: certificates it makes are refused, nothing panics
        UnixTime::new(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}
