//! Whole agents against each other in a small world of links and NATs, and against arbitrary input.

use std::time::Instant;

/// The first moment of a test; every later one is made from it by addition.
#[expect(clippy::disallowed_methods, reason = "a test needs one first Instant, and Instant has no other constructor")]
pub(super) fn start() -> Instant {
    Instant::now()
}
