//! The UDP relay: carries a pair's datagrams while there is no direct path.
//!
//! A frame is eight bytes and a datagram: `0x0C, version, 0, 0, channel`. On channel 0 a device binds its UDP address to
//! its control connection by the token it was welcomed with; on every other channel a frame that comes from the bound
//! address of the channel's owner goes to the bound address of the peer, under the peer's number. What is inside is the
//! peers' own ESP; nothing here looks at it. Who may have a channel is the coordinator's decision.
//!
//! Frames that a device sends in a row reach us in a row, and most go the same way: `batch` takes them as the kernel joined
//! them, `table` decides once for as many as share a header, `socket` sends them on together.

mod batch;
mod service;
mod socket;
mod table;
#[cfg(test)]
mod tests;

pub use service::Relay;
pub use table::{Counters, Dropped, End, Load, Table, Verdict};
