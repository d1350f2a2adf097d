//! The rendezvous from outside: through its router, and in a browser.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod browser;
mod common;
mod web;
