//! An internet of namespaces, after Figure 1 of the paper.
//!
//! ```text
//!  laptop ── gateway ── isp ─┐
//! 192.168.1.10  NAT          ├─ core ── rendezvous 192.0.2.10
//!  desktop ── gateway ── isp ┘
//! 192.168.2.10  NAT
//! ```
//! Three routers lie between any two gateways, so that a datagram sent with a TTL of 2 to 4 opens the gateway it leaves
//! by and never reaches the other one. There is IPv6 if one of the places has it. Where a place shows what it is only to
//! several addresses of the rendezvous, the rendezvous has a name that leads to all of them. How a single place is built is `site`'s business, which programs run on the hosts
//! `server`'s and `agent`'s.

mod address;
mod site;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::Finished;
use crate::namespace::{Namespace, cable};
use crate::nat::NatKind;
use crate::run::Run;
use crate::wait;

pub use site::{Home, Host, Site};

/// What is asked for: a place with its hosts behind one gateway.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What the gateway does.
    pub nat: NatKind,
    /// Labels of the hosts; without NAT exactly one, because it takes the public address itself. Behind a carrier's NAT
    /// each is a subscriber with a home router of its own.
    pub hosts: &'a [&'a str],
}

/// An internet that exists until it is dropped.
#[derive(Debug)]
pub struct Internet {
    run: Run,
    records: PathBuf,
    /// The backbone; `isp0`, `isp1`, .. lead to the sites.
    pub core: Namespace,
    /// The public server: 192.0.2.10, and 192.0.2.11 as a second vantage point.
    pub rendezvous: Namespace,
    /// In the order in which they were asked for.
    pub sites: Vec<Site>,
    /// Whether the rendezvous and some of the sites have IPv6.
    pub has_ipv6: bool,
    /// Whether the rendezvous has a name, for all its addresses.
    pub has_name: bool,
}

/// The rendezvous's public address.
pub const RENDEZVOUS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Its second address, so that address-dependent mappings show.
pub const RENDEZVOUS_SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
/// Its IPv6 address, where there is IPv6.
pub const RENDEZVOUS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x10);
/// Its name, where it has one.
pub const RENDEZVOUS_NAME: &str = "rendezvous.test";

impl Internet {
    /// Builds it. `title` names the directory of its records; a run of the same title replaces them.
    pub fn build(title: &str, places: &[Place<'_>]) -> Result<Self> {
        let run = Run::begin()?;
        Self::build_as(&run, title, places).inspect_err(|_| {
            // The error that matters is the one on its way up.
            let _ = run.remove();
        })
    }

    /// The paper's Figure 1: a laptop in a coffee shop, a desktop at home, each behind a NAT.
    pub fn figure_one(title: &str, coffee_shop: NatKind, home: NatKind) -> Result<Self> {
        let places = [Place { nat: coffee_shop, hosts: &["laptop"] }, Place { nat: home, hosts: &["desktop"] }];
        Self::build(title, &places)
    }

    fn build_as(run: &Run, title: &str, places: &[Place<'_>]) -> Result<Self> {
        let records = run.records(title)?;
        let has_ipv6 = places.iter().any(|place| place.nat.has_ipv6());
        let core = site::router(run, "core")?;
        let rendezvous = Namespace::create(run.namespace("rendezvous"))?;
        cable((&core, "srv0"), (&rendezvous, "eth0"))?;
        core.ip(&["addr", "add", "192.0.2.1/24", "dev", "srv0"])?;
        rendezvous.ip(&["addr", "add", &format!("{RENDEZVOUS}/24"), "dev", "eth0"])?;
        rendezvous.ip(&["addr", "add", &format!("{RENDEZVOUS_SECOND}/24"), "dev", "eth0"])?;
        rendezvous.ip(&["route", "add", "default", "via", "192.0.2.1"])?;
        if has_ipv6 {
            address::add_v6(&core, "srv0", address::near_server_v6())?;
            address::add_v6(&rendezvous, "eth0", RENDEZVOUS_V6)?;
            rendezvous.ip(&["-6", "route", "add", "default", "via", &address::near_server_v6().to_string()])?;
        }

        let sites = places.iter().enumerate().map(|(index, place)| Site::build(run, &core, index, place));
        let sites: Vec<_> = sites.collect::<Result<_>>()?;
        let has_name = has_ipv6 || places.iter().any(|place| place.nat == NatKind::AddressDependent);
        if has_name {
            let hosts = sites.iter().flat_map(|site| &site.hosts).map(|host| &host.namespace);
            hosts.chain([&rendezvous]).try_for_each(|host| name_rendezvous(run, host, has_ipv6))?;
        }
        let hosts = sites.iter().flat_map(|site| &site.hosts);
        hosts.filter(|host| host.address_v6.is_some()).try_for_each(wait_for_v6)?;
        Ok(Self { run: run.clone(), records, core, rendezvous, sites, has_ipv6, has_name })
    }

    /// The host of that label.
    pub fn host(&self, label: &str) -> Result<&Host> {
        let mut hosts = self.sites.iter().flat_map(|site| &site.hosts);
        hosts.find(|host| host.label == label).with_context(|| format!("no host is called {label}"))
    }

    /// Where logs and captures go; they outlive the internet.
    pub fn records(&self) -> &Path {
        &self.records
    }

    /// State of the processes; removed with the internet.
    pub fn directory(&self) -> PathBuf {
        self.run.directory()
    }

    /// Stops all traffic between two sites' gateways that does not go through a server, until `unblock_direct`.
    pub fn block_direct(&self) -> Result<()> {
        let mut rules = "table ip block\ndelete table ip block\ntable ip block { chain c_forward { \
                         type filter hook forward priority filter; policy accept;\n"
            .to_owned();
        rules += "iifname != \"srv0\" oifname != \"srv0\" drop\n}\n}\n";
        crate::shell::run_with_input(self.core.command("nft").args(["-f", "-"]), &rules)?;
        Ok(())
    }

    /// Lets it through again.
    pub fn unblock_direct(&self) -> Result<()> {
        crate::shell::run(self.core.command("nft").args(["delete", "table", "ip", "block"]))?;
        Ok(())
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        if let Err(error) = self.run.remove() {
            eprintln!("lab: could not clean up: {error:#}");
        }
    }
}

/// Lets the programs of a namespace resolve the rendezvous's name to its addresses.
fn name_rendezvous(run: &Run, namespace: &Namespace, v6: bool) -> Result<()> {
    let v4 = [RENDEZVOUS, RENDEZVOUS_SECOND].map(IpAddr::from);
    let addresses = v4.into_iter().chain(v6.then_some(RENDEZVOUS_V6.into()));
    let lines: String = addresses.map(|ip| format!("{ip} {RENDEZVOUS_NAME}\n")).collect();
    run.provide(namespace, "hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{lines}"))
}

/// Waits until the rendezvous answers a host over IPv6: the kernel takes its time to believe in a bridge that has just
/// got its first port.
fn wait_for_v6(host: &Host) -> Result<()> {
    let ping = ["-6", "-n", "-c", "1", "-W", "1", &RENDEZVOUS_V6.to_string()];
    let answered = || Finished::run(host.namespace.command("ping").args(ping)).ok().filter(|ping| ping.code == 0);
    wait::until(&format!("IPv6 at the {}", host.label), V6_LIMIT, answered)?;
    Ok(())
}

/// Usually a few milliseconds, on a busy machine a second or two.
const V6_LIMIT: Duration = Duration::from_secs(10);
