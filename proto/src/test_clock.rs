//! The first `Instant` of a test: the crate's only look at a clock.

use std::time::Instant;

/// Now; every later time of a test is made from it by addition.
#[expect(clippy::disallowed_methods, reason = "a test needs one first Instant, and Instant has no other constructor")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
