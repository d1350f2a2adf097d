//! Warren's rendezvous: where devices enrol, find each other and fall back to a relay, with a dashboard to run it by.
//!
//! A library so that the tests can build the parts; the program is `main.rs`.

#![forbid(unsafe_code)]

pub mod acme;
pub mod actions;
mod agents;
mod api;
pub mod app;
pub mod auth;
pub mod backup;
pub mod clock;
mod cluster;
pub mod commands;
pub mod config;
pub mod container;
pub mod control;
pub mod domain;
pub mod error;
mod frame;
pub mod keys;
pub mod limits;
pub mod logging;
pub mod meters;
pub mod oidc;
mod origin;
pub mod public;
pub mod relay;
mod roster;
pub mod router;
pub mod self_check;
pub mod service;
pub mod store;
pub mod stun;
mod trust;
pub mod voucher;
pub mod web;
pub mod web_server;
pub mod web_tls;
mod webhook;
