//! Counts what leaves a host for others than the rendezvous, the data of the pulse left out: probes and openers.

use anyhow::Result;

use super::pulse;
use crate::namespace::Namespace;
use crate::nft;
use crate::topology::{RENDEZVOUS, RENDEZVOUS_SECOND, RENDEZVOUS_V6};

/// Begins to count from nothing.
pub(super) fn reset(host: &Namespace) -> Result<()> {
    let size = pulse::OUTER;
    let rules = format!(
        "table inet warren_meter
delete table inet warren_meter
table inet warren_meter {{
  counter straight {{
  }}
  chain c_out {{ type filter hook output priority filter; policy accept;
    oifname != \"eth0\" accept
    udp length {size} accept
    ip daddr {{ {RENDEZVOUS}, {RENDEZVOUS_SECOND} }} accept
    ip6 daddr {RENDEZVOUS_V6} accept
    meta l4proto udp counter name straight
  }}
}}
"
    );
    nft::load(host, &rules)
}

/// How many there were.
pub(super) fn read(host: &Namespace) -> Result<u64> {
    nft::counted(host, "inet", "warren_meter", "straight")
}
