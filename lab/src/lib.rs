//! Real hosts, real NATs and the real binaries, in Linux network namespaces.
//!
//! `topology` makes an internet, `nat` says what its gateways do, `host` runs processes in it; `server` and `agent`
//! drive the two programs the way a user would, by their command line alone: nothing of them is linked here. `load` alone
//! speaks a protocol itself, the control plane's, for thousands of agents at once. No packet
//! leaves the namespaces, and whatever a killed run left behind is removed by the next one.

pub mod agent;
pub mod bench;
pub mod binaries;
pub mod capture;
pub mod classify;
pub mod dashboard;
pub mod demo;
pub mod engine;
mod gate;
pub mod gateway_daemon;
pub mod hex;
pub mod host;
pub mod hostile;
pub mod interrupt;
pub mod link;
pub mod load;
pub mod machine;
pub mod matrix;
pub mod mesh;
pub mod namespace;
pub mod nat;
mod nft;
pub mod paste;
pub mod postgres;
pub mod run;
pub mod server;
pub mod shell;
pub mod status;
pub mod stream;
mod svg;
pub mod topology;
pub mod transfer;
pub mod usage;
pub mod wait;
