//! The kinds of NAT as nftables rules: one skeleton, and the lines by which one kind differs from another.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::NatKind;

/// A script for nft that makes a gateway with this outer address what it is called.
pub(super) fn write(kind: NatKind, wan: Ipv4Addr) -> String {
    let mut script = String::new();
    for family in ["ip", "ip6"] {
        // Adding before deleting: a table that is not there cannot be deleted.
        let _ = writeln!(script, "table {family} {TABLE}\ndelete table {family} {TABLE}");
    }
    if kind.has_ipv4() {
        script += &translation(&rules(kind, wan), wan);
    }
    script + &firewall(kind.has_ipv6())
}

/// The table of all rules, in each family.
pub(super) const TABLE: &str = "warren_lab";
/// The counter of new mappings: a chain of type nat sees the first packet of each flow only.
pub(super) const MADE: &str = "made";

/// The skeleton all kinds share.
fn translation(rules: &Rules, wan: Ipv4Addr) -> String {
    let Rules { maps, prerouting, postrouting, forward, admit, input } = rules;
    let input = input.replace("WAN", &wan.to_string());
    format!(
        "table ip {TABLE} {{
  counter {MADE} {{
  }}
  {maps}
  chain c_pre {{ type nat hook prerouting priority dstnat; policy accept;
    {prerouting}
  }}
  chain c_post {{ type nat hook postrouting priority srcnat; policy accept;
    oifname \"wan0\" meta l4proto udp counter name {MADE}
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
    {input}
  }}
}}
"
    )
}

/// What a home router does to IPv6: lets in what was asked for. One without IPv6 lets nothing through.
fn firewall(open: bool) -> String {
    let outward = if open { "iifname != \"wan0\" accept" } else { "" };
    format!(
        "table ip6 {TABLE} {{
  chain c_forward {{ type filter hook forward priority filter; policy drop;
    ct state established,related accept
    {outward}
  }}
}}
"
    )
}

/// The lines by which one kind differs from another.
struct Rules {
    maps: String,
    prerouting: String,
    postrouting: String,
    forward: String,
    admit: String,
    input: &'static str,
}

impl Default for Rules {
    /// The usual home router. What comes from outside and belongs to no mapping is dropped before the router's own
    /// sockets see it: accepting it would make an entry that takes the port away from the host behind.
    fn default() -> Self {
        Self {
            maps: String::new(),
            prerouting: String::new(),
            postrouting: MASQUERADE.to_owned(),
            forward: String::new(),
            admit: String::new(),
            input: "ip daddr WAN meta l4proto udp drop",
        }
    }
}

fn rules(kind: NatKind, wan: Ipv4Addr) -> Rules {
    let udp_first = |rule: String| format!("{rule}\n    {MASQUERADE}");
    match kind {
        NatKind::AddressDependent => {
            let hash = format!("jhash ip daddr . udp sport mod {HASHED} seed 0x1234");
            Rules { postrouting: udp_first(pick(wan, &hash, HASHED)), ..Rules::default() }
        }
        // As a full cone, and remembers whom a port has sent to.
        NatKind::AddressRestricted => Rules {
            maps: format!("{OWNER}\n  set seen {{ type inet_service . ipv4_addr; {TIMEOUT} }}"),
            prerouting: "iifname \"wan0\" meta l4proto udp udp dport . ip saddr @seen dnat to udp dport map @owner"
                .to_owned(),
            forward: format!(
                "{REMEMBER}\n    oifname \"wan0\" meta l4proto udp update @seen {{ udp sport . ip daddr }}"
            ),
            admit: ADMIT.to_owned(),
            ..Rules::default()
        },
        NatKind::Blocked => Rules { forward: "meta l4proto udp drop".to_owned(), ..Rules::default() },
        NatKind::CarrierGrade => Rules { postrouting: udp_first(blocks(wan)), ..Rules::default() },
        // Remembers which host sent from a port and lets anyone answer to it: right while ports are preserved.
        NatKind::FullCone => Rules {
            maps: OWNER.to_owned(),
            prerouting: "iifname \"wan0\" meta l4proto udp dnat to udp dport map @owner".to_owned(),
            forward: REMEMBER.to_owned(),
            admit: ADMIT.to_owned(),
            ..Rules::default()
        },
        NatKind::CarrierGradeHairpin | NatKind::Hairpin => Rules {
            maps: OWNER.to_owned(),
            prerouting: format!("ip daddr {wan} meta l4proto udp dnat to udp dport map @owner"),
            // The outer address as the source, as RFC 4787 REQ-9 has it.
            postrouting: udp_first(format!("iifname \"lan0\" oifname \"lan0\" meta l4proto udp snat to {wan}")),
            forward: REMEMBER.to_owned(),
            admit: ADMIT.to_owned(),
            ..Rules::default()
        },
        NatKind::None => Rules { postrouting: String::new(), admit: "accept".to_owned(), ..Rules::default() },
        NatKind::PortBlock => {
            Rules { postrouting: udp_first(block(wan, "meta l4proto udp", BLOCKS_BEGIN)), ..Rules::default() }
        }
        NatKind::Ipv6Only | NatKind::PortRestricted => Rules::default(),
        NatKind::PortRestrictedOpen => Rules { input: "", ..Rules::default() },
        NatKind::Rejected => Rules {
            forward: "iifname \"lan0\" meta l4proto udp udp dport != 53 reject with icmp type admin-prohibited"
                .to_owned(),
            ..Rules::default()
        },
        NatKind::DualStack | NatKind::Symmetric => {
            Rules { postrouting: "oifname \"wan0\" masquerade fully-random".to_owned(), ..Rules::default() }
        }
        NatKind::SymmetricSequential => {
            let count = format!("numgen inc mod {COUNTED}");
            Rules { postrouting: udp_first(pick(wan, &count, COUNTED)), ..Rules::default() }
        }
    }
}

/// Takes the port from a table of this size, at the place that the expression says.
fn pick(wan: Ipv4Addr, place: &str, size: u16) -> String {
    let ports: Vec<_> = (0..size).map(|index| format!("{index} : {}", FIRST_PORT + index)).collect();
    format!("oifname \"wan0\" meta l4proto udp snat to {wan} : {place} map {{ {} }}", ports.join(", "))
}

/// A block of ports for each subscriber, by its address on the access network.
fn blocks(wan: Ipv4Addr) -> String {
    let rule = |subscriber: u16| {
        let whose = format!("ip saddr 100.64.0.{} meta l4proto udp", FIRST_SUBSCRIBER + subscriber);
        block(wan, &whose, BLOCKS_BEGIN + subscriber * BLOCK)
    };
    (0..SUBSCRIBERS).map(rule).collect::<Vec<_>>().join("\n    ")
}

fn block(wan: Ipv4Addr, whose: &str, first: u16) -> String {
    format!("oifname \"wan0\" {whose} snat to {wan}:{first}-{}", first + BLOCK - 1)
}

const MASQUERADE: &str = "oifname \"wan0\" masquerade";
const OWNER: &str = "map owner { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 60s; size 65535; }";
const REMEMBER: &str = "oifname \"wan0\" meta l4proto udp update @owner { udp sport : ip saddr }";
const ADMIT: &str = "ct status dnat accept";
const TIMEOUT: &str = "flags dynamic,timeout; timeout 60s; size 65535;";

/// Where the ports of tables begin.
const FIRST_PORT: u16 = 40_000;
/// More than one search uses up, so that it does not meet its own mappings again.
const COUNTED: u16 = 2_000;
/// Few enough that nft loads them in milliseconds.
const HASHED: u16 = 1_000;
/// A carrier's usual share for one subscriber.
const BLOCK: u16 = 1_024;
const BLOCKS_BEGIN: u16 = 10_240;
/// More than any lab has behind one carrier.
const SUBSCRIBERS: u16 = 8;
/// As `topology` numbers them.
const FIRST_SUBSCRIBER: u16 = 10;
