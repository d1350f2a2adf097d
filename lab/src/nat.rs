//! What a gateway does to the packets of the hosts behind it, as nftables rules.
//!
//! Each kind is one ruleset on one skeleton; what it amounts to in the terms of RFC 4787 is measured by the tests, not
//! believed. Addresses and cables are `topology`'s.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::shell;

/// The kinds of NAT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum NatKind {
    /// Mapping and filtering both independent of the other end: whoever knows the address gets in.
    FullCone,
    /// No gateway at all: the host itself has the public address.
    None,
    /// Endpoint-independent mapping that keeps the port, filtering by address and port: the usual home router.
    PortRestricted,
    /// Another random port for each destination, filtering by address and port.
    Symmetric,
}

impl NatKind {
    /// Every kind, for tests that must cover all.
    pub const ALL: [Self; 4] = [Self::FullCone, Self::None, Self::PortRestricted, Self::Symmetric];

    /// For people.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::FullCone => "full-cone NAT",
            Self::None => "no NAT",
            Self::PortRestricted => "port-restricted NAT",
            Self::Symmetric => "symmetric NAT with random ports",
        }
    }
}

/// Makes the namespace a gateway of that kind between `lan0` and `wan0`, replacing what it was before.
pub fn install(gateway: &Namespace, kind: NatKind, wan: Ipv4Addr) -> Result<()> {
    let input = format!("table ip warren_lab\ndelete table ip warren_lab\n{}", ruleset(kind, wan));
    shell::run_with_input(gateway.command("nft").args(["-f", "-"]), &input).context("load the NAT's rules")?;
    Ok(())
}

/// Forgets every mapping, as a gateway does that was switched off and on.
pub fn flush(gateway: &Namespace) -> Result<()> {
    shell::run(gateway.command("conntrack").arg("-F")).context("flush the NAT's state")?;
    Ok(())
}

/// The gateway's UDP mappings, one line each, as conntrack prints them.
pub fn mappings(gateway: &Namespace) -> Result<Vec<String>> {
    let listing = shell::run(gateway.command("conntrack").args(["-L", "-p", "udp"])).context("list the NAT's state")?;
    Ok(listing.lines().map(str::to_owned).collect())
}

/// The skeleton all kinds share. What comes from outside and belongs to no mapping is dropped before the router's own
/// sockets see it: accepting it would make an entry that takes the port away from the host behind.
fn ruleset(kind: NatKind, wan: Ipv4Addr) -> String {
    let Rules { maps, prerouting, postrouting, forward, admit } = rules(kind);
    format!(
        "table ip warren_lab {{
  {maps}
  chain c_pre {{ type nat hook prerouting priority dstnat; policy accept;
    {prerouting}
  }}
  chain c_post {{ type nat hook postrouting priority srcnat; policy accept;
    {postrouting}
  }}
  chain c_forward {{ type filter hook forward priority filter; policy drop;
    {forward}
    ct state established,related accept
    iifname != \"wan0\" accept
    {admit}
  }}
  chain c_input {{ type filter hook input priority filter; policy accept;
    ct state established,related accept
    iifname \"wan0\" ip daddr {wan} meta l4proto udp drop
  }}
}}
"
    )
}

/// The lines by which one kind differs from another.
#[derive(Default)]
struct Rules {
    maps: &'static str,
    prerouting: &'static str,
    postrouting: &'static str,
    forward: &'static str,
    admit: &'static str,
}

fn rules(kind: NatKind) -> Rules {
    match kind {
        // Remembers which host sent from a port and lets anyone answer to it: right while ports are preserved.
        NatKind::FullCone => Rules {
            maps: "map owner { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 60s; size 65535; }",
            prerouting: "iifname \"wan0\" meta l4proto udp dnat to udp dport map @owner",
            postrouting: "oifname \"wan0\" masquerade",
            forward: "oifname \"wan0\" meta l4proto udp update @owner { udp sport : ip saddr }",
            admit: "iifname \"wan0\" ct status dnat accept",
        },
        NatKind::None => Rules { admit: "accept", ..Rules::default() },
        NatKind::PortRestricted => Rules { postrouting: "oifname \"wan0\" masquerade", ..Rules::default() },
        NatKind::Symmetric => Rules { postrouting: "oifname \"wan0\" masquerade fully-random", ..Rules::default() },
    }
}
