//! What the way between sites does to packets: how wide it is, how fast, and what it loses.
//!
//! The kernel's own forwarding does it, so that what is narrow or lossy for Warren is so for every program.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::shell;
use crate::topology::{Internet, Site};

/// Makes the cable between a site and the backbone this wide, and every router beside it silent about that: whoever sends
/// more is not told (RFC 2923 calls it a black hole).
pub fn narrow(internet: &Internet, site: usize, mtu: u32) -> Result<()> {
    let mtu = mtu.to_string();
    let isp = &internet.sites[site].isp;
    silence(internet)?;
    internet.core.ip(&["link", "set", &format!("isp{site}"), "mtu", &mtu])?;
    isp.ip(&["link", "set", "core0", "mtu", &mtu])?;
    Ok(())
}

/// Makes the way between the first two sites this wide and leaves the way to the server as it is, which QUIC needs for
/// widths below 1228; as silent as `narrow`.
pub fn narrow_between_sites(internet: &Internet, mtu: u32) -> Result<()> {
    silence(internet)?;
    for (from, to) in [(0, 1), (1, 0)] {
        let prefix = format!("{}/24", Ipv4Addr::from(u32::from(internet.sites[to].public) & 0xffff_ff00));
        let via = format!("10.255.{to}.2");
        let route = ["route", "replace", &prefix, "via", &via, "mtu", "lock", &mtu.to_string(), "table", NARROW];
        internet.core.ip(&route)?;
        internet.core.ip(&["rule", "add", "iif", &format!("isp{from}"), "lookup", NARROW])?;
    }
    Ok(())
}

/// Loses this percentage of the packets between sites, in each direction, by chance.
pub fn lose(internet: &Internet, percent: u8) -> Result<()> {
    let rule = format!("iifname != \"srv0\" oifname != \"srv0\" numgen random mod 100 < {percent} drop");
    install(&internet.core, "loss", &format!("chain c_forward {{ type filter hook forward priority filter; {rule}; }}"))
}

/// Lets this many megabits a second through to each site and queues for 30 ms at most, as a modest access line does.
pub fn throttle(internet: &Internet, megabits: u32) -> Result<()> {
    (0..internet.sites.len()).try_for_each(|site| throttle_port(&internet.core, &format!("isp{site}"), megabits))
}

/// The same for one site, in both directions.
pub fn throttle_site(internet: &Internet, site: usize, megabits: u32) -> Result<()> {
    throttle_port(&internet.core, &format!("isp{site}"), megabits)?;
    throttle_port(&internet.sites[site].isp, "core0", megabits)
}

fn throttle_port(router: &Namespace, port: &str, megabits: u32) -> Result<()> {
    let rate = format!("{megabits}mbit");
    let words = ["qdisc", "replace", "dev", port, "root", "tbf", "rate", &rate, "burst", "16kb", "latency", "30ms"];
    shell::run(router.command("tc").args(words)).context("throttle a line")?;
    Ok(())
}

/// Lets packets leave the hosts one by one, as they leave a network card. Otherwise up to 64 kB of them cross these
/// cables as one, and one loss is the loss of all of them.
pub fn send_singly(internet: &Internet) -> Result<()> {
    for host in internet.sites.iter().flat_map(|site: &Site| &site.hosts) {
        host.namespace.ip(&["link", "set", "eth0", "gso_max_segs", "1"])?;
    }
    Ok(())
}

/// Keeps the routers from telling anybody that a packet was too big.
fn silence(internet: &Internet) -> Result<()> {
    let rule = "icmp type destination-unreachable icmp code frag-needed drop";
    let chain = |hook: &str| format!("chain c_{hook} {{ type filter hook {hook} priority filter; {rule}; }}\n");
    let chains = ["output", "forward"].map(chain).concat();
    let routers = internet.sites.iter().map(|site| &site.isp).chain([&internet.core]);
    routers.into_iter().try_for_each(|router| install(router, "silence", &chains))
}

/// Loads a table of that name, in place of the one there was.
fn install(router: &Namespace, name: &str, chains: &str) -> Result<()> {
    let input = format!("table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n{chains}\n}}\n");
    shell::run_with_input(router.command("nft").args(["-f", "-"]), &input).context("load a router's rules")?;
    Ok(())
}

/// A routing table that nothing else uses.
const NARROW: &str = "100";
