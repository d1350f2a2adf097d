//! The rendezvous from outside: through its router, in a browser, over its sockets, as a program.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod acme;
mod api;
mod backup;
mod browser;
mod cluster;
mod common;
mod control;
mod crash;
mod history;
mod meters;
mod program;
mod store;
mod tls;
mod udp;
mod web;
