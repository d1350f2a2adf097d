#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod candidate;
pub mod certificate;
pub mod config;
pub mod control;
pub mod crypto;
pub mod handshake;
pub mod inner;
pub mod io;
pub mod keys;
pub mod node;
pub mod path;
mod peer;
pub mod session;
pub mod stats;
pub mod timer;
pub mod wire;

#[cfg(test)]
mod test_clock;
