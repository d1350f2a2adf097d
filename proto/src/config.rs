//! Every limit and timer of the core that is not fixed by a wire format, with its reason. Plain values, no behaviour.
//!
//! Defaults are what ships; tests and operators may shorten a timer, so that a rekey need not take two minutes.

use std::time::Duration;

use crate::crypto::Preference;

/// What a node may be told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The suite this node would like its sessions to have.
    pub suite: Preference,
    /// A session older than this starts its successor (WireGuard's REKEY_AFTER_TIME).
    pub rekey_after: Duration,
    /// A session older than this neither seals nor opens (WireGuard's REJECT_AFTER_TIME).
    pub reject_after: Duration,
    /// Idle time after which a keepalive goes out; half of the 30 s an unreplied UDP mapping lives on Linux, with
    /// jitter on top it stays below 26 s.
    pub keepalive: Duration,
    /// A pair unused for this long drops its direct path in a large mesh.
    pub idle_after: Duration,
    /// Up to this many online devices, all pairs connect by themselves.
    pub small_mesh: usize,
    /// Whether this device uses the relay only, whatever else it could do.
    pub relay_only: bool,
    /// Whether ports are searched for behind NATs that map every destination anew; costs up to 256 mappings there.
    pub port_search: bool,
    /// Whether session keys are told to the driver for a network analyser; off unless a person asks.
    pub export_sa_keys: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            suite: Preference::default(),
            rekey_after: Duration::from_secs(120),
            reject_after: Duration::from_secs(180),
            keepalive: Duration::from_secs(22),
            idle_after: Duration::from_secs(300),
            small_mesh: 32,
            relay_only: false,
            port_search: true,
            export_sa_keys: false,
        }
    }
}
