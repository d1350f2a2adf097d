//! The agent's parts together, and the binary as its users meet it: exit codes, messages, JSON, life with a rendezvous.
//!
//! `common` is for the parts: data planes over memory and real devices. `host` and `rendezvous` are for the binary: a
//! machine of its own for each test, and a server played by the test. What needs root says so without it, and passes.

#![expect(clippy::unwrap_used, reason = "in a helper, too, it fails the test")]

mod common;
mod contract;
mod daemon_start;
mod data_plane;
mod device;
mod enrolment;
mod fuzz_corpus;
mod host;
mod hostile;
mod offload;
mod operations;
mod rendezvous;
mod survival;
mod without_daemon;
mod without_server;
