//! Whole agents against each other in a small world of links and NATs, and one agent against arbitrary input.
//!
//! The real agents in a fake world: `world` moves their datagrams, `nat` translates and refuses them.

mod choice;
mod explained;
mod failure;
mod hostile;
mod nat;
mod punch;
mod search;
mod world;

use std::time::Instant;

/// What a session with an implicit IV adds to a path message.
const ESP_OVERHEAD: usize = 26;

/// The first moment of a test; every later one is made from it by addition.
#[expect(clippy::disallowed_methods, reason = "a test needs one first Instant, and Instant has no other constructor")]
pub(super) fn start() -> Instant {
    Instant::now()
}
