//! The program by which home routers let their hosts open ports: miniupnpd, which speaks PCP, NAT-PMP and UPnP-IGD.
//!
//! It takes no mapping orders while its outer address is one that nobody can reach, and counts the documentation
//! prefixes of the lab among those. So a gateway that runs it is moved to addresses that pass for real ones: the lab
//! has no way out.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::host::Daemon;
use crate::namespace::Namespace;
use crate::nat;
use crate::shell;
use crate::topology::Internet;

/// A running miniupnpd; ended when dropped.
#[derive(Debug)]
pub struct GatewayDaemon {
    gateway: Namespace,
    configuration: PathBuf,
    log: PathBuf,
    daemon: Daemon,
}

/// What it may be asked by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaks {
    /// PCP, NAT-PMP and UPnP.
    All,
    /// The same, for some seconds at a time.
    Briefly,
    /// NAT-PMP alone: what a router of the years before PCP does.
    NatPmp,
    /// UPnP alone.
    Upnp,
}

impl GatewayDaemon {
    /// Starts it on a gateway whose `wan0` has an address that it takes for a public one, and lets in what it maps.
    pub fn start(gateway: &Namespace, speaks: Speaks, internet: &Internet) -> Result<Self> {
        // The lab's own rules drop what nobody asked for.
        shell::run(gateway.command("nft").args(ADMIT_MAPPED)).context("let mapped packets in")?;
        shell::run_with_input(gateway.command("nft").args(["-f", "-"]), CHAINS).context("make miniupnpd's chains")?;
        if speaks == Speaks::NatPmp {
            shell::run(gateway.command("nft").args(["add", "rule", "inet", "miniupnpd", "input", NO_PCP]))?;
        }
        let name = gateway.name();
        let configuration = internet.directory().join(format!("{name}-miniupnpd.conf"));
        fs::write(&configuration, configure(speaks))?;
        let log = internet.records().join(format!("{name}-miniupnpd.log"));
        let daemon = Daemon::start(&mut command(gateway, &configuration), &log)?;
        Ok(Self { gateway: gateway.clone(), configuration, log, daemon })
    }

    /// Kills it with all it knew, and starts it again: what a router does whose cord was pulled.
    pub fn restart(&mut self) -> Result<()> {
        self.daemon.kill()?;
        for chain in ["forwarded", "prerouted", "postrouted"] {
            shell::run(self.gateway.command("nft").args(["flush", "chain", "inet", "miniupnpd", chain]))?;
        }
        self.daemon = Daemon::start(&mut command(&self.gateway, &self.configuration), &self.log)?;
        Ok(())
    }

    /// The mappings that it holds, one line each, as rules.
    pub fn mappings(&self) -> Result<Vec<String>> {
        let chain = ["list", "chain", "inet", "miniupnpd", "prerouted"];
        let listing = shell::run(self.gateway.command("nft").args(chain)).context("list the port mappings")?;
        Ok(listing.lines().filter(|line| line.contains("dnat")).map(|line| line.trim().to_owned()).collect())
    }
}

/// Gives a site's gateway an address that miniupnpd believes to be public, in place of the documentation's.
pub fn readdress(internet: &Internet, index: u8) -> Result<()> {
    let site = &internet.sites[usize::from(index)];
    let gateway = site.gateway.as_ref().context("the site has no gateway")?;
    let [network, provider, customer] = [0, 1, 2].map(|host| Ipv4Addr::new(11, 0, index, host));
    internet.core.ip(&["route", "add", &format!("{network}/24"), "via", &format!("10.255.{index}.2")])?;
    site.isp.ip(&["addr", "add", &format!("{provider}/24"), "dev", "cust0"])?;
    gateway.ip(&["addr", "flush", "dev", "wan0"])?;
    gateway.ip(&["addr", "add", &format!("{customer}/24"), "dev", "wan0"])?;
    gateway.ip(&["route", "add", "default", "via", &provider.to_string()])?;
    nat::install(gateway, site.nat, customer)
}

/// Makes the subscribers of a carrier each other's neighbours, at addresses that are no more the carrier's own than those
/// that carriers short of 100.64.0.0/10 put to the same use.
pub fn join_subscribers(internet: &Internet, index: u8) -> Result<()> {
    let site = &internet.sites[usize::from(index)];
    let carrier = site.gateway.as_ref().context("the site has no carrier")?;
    for (number, home) in site.homes.iter().enumerate() {
        let port = format!("port{number}");
        carrier.ip(&["link", "set", &port, "type", "bridge_slave", "isolated", "off"])?;
        // The first address is the one that miniupnpd goes by; towards the carrier the other one is used.
        home.gateway.ip(&["addr", "flush", "dev", "wan0"])?;
        for address in [format!("11.64.{index}.{}/24", 10 + number), format!("{}/24", home.address)] {
            home.gateway.ip(&["addr", "add", &address, "dev", "wan0"])?;
        }
        home.gateway.ip(&["route", "add", "default", "via", "100.64.0.1"])?;
    }
    Ok(())
}

fn command(gateway: &Namespace, configuration: &Path) -> std::process::Command {
    let mut command = gateway.command("miniupnpd");
    command.arg("-d").arg("-f").arg(configuration).arg("-P").arg(configuration.with_extension("pid"));
    command
}

fn configure(speaks: Speaks) -> String {
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let lifetimes = if speaks == Speaks::Briefly { "min_lifetime=5\nmax_lifetime=12\n" } else { "" };
    let (natpmp, upnp) = (yes_no(speaks != Speaks::Upnp), yes_no(speaks != Speaks::NatPmp));
    format!(
        "ext_ifname=wan0
listening_ip=lan0
enable_natpmp={natpmp}
enable_upnp={upnp}
{lifetimes}secure_mode=yes
system_uptime=no
uuid=8e1bb0a4-6a0c-4f6e-9c1f-3d1d0e6a2b10
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
upnp_forward_chain=forwarded
upnp_nat_chain=prerouted
upnp_nat_postrouting_chain=postrouted
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"
    )
}

/// Where miniupnpd writes its rules, as its own scripts make them.
const CHAINS: &str = "table inet miniupnpd {
  chain input { type filter hook input priority filter; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept;
    jump forwarded
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    jump prerouted
  }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    jump postrouted
  }
  chain forwarded { }
  chain prerouted { }
  chain postrouted { }
}
";
const ADMIT_MAPPED: [&str; 11] =
    ["insert", "rule", "ip", "warren_lab", "c_forward", "iifname", "wan0", "ct", "status", "dnat", "accept"];
/// Version 2 in the first byte of a request.
const NO_PCP: &str = "udp dport 5351 @th,64,8 2 drop";
