//! The agent: the daemon that carries a device's packets and the commands that talk to it.
//!
//! `cli` parses, `commands` talk to a running daemon over `ipc`, `daemon` puts the parts of one together. What the
//! protocol decides is left to `warren_proto`; where packets go through is left to `data_plane`.

pub mod alarm;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod cpu;
pub mod daemon;
pub mod data_plane;
pub mod discovery;
pub mod doctor;
pub mod exit;
pub mod gather;
pub mod identity;
pub mod ipc;
pub mod judgement;
pub mod keylog;
pub mod logging;
pub mod mesh_cache;
pub mod meters;
pub mod netcfg;
pub mod output;
pub mod port_mapping;
pub mod privileges;
pub mod redaction;
pub mod report;
pub mod service;
pub mod slow_path;
pub mod state;
pub mod stun;
pub mod tun;
pub mod udp;
