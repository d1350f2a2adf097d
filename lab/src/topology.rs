//! An internet of namespaces, after Figure 1 of the paper.
//!
//! ```text
//!  laptop ── gateway ── isp ─┐
//! 192.168.1.10  NAT          ├─ core ── rendezvous 192.0.2.10
//!  desktop ── gateway ── isp ┘
//! 192.168.2.10  NAT
//! ```
//! Three routers lie between any two gateways, so that a datagram sent with a TTL of 2 to 4 opens the gateway it leaves
//! by and never reaches the other one. Which programs run on the hosts is `server`'s and `agent`'s business.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::namespace::{Namespace, cable};
use crate::nat::{self, NatKind};
use crate::run::Run;

/// What is asked for: a place with its hosts behind one gateway.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What the gateway does.
    pub nat: NatKind,
    /// Labels of the hosts; without NAT exactly one, because it takes the public address itself.
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
}

/// A place that exists.
#[derive(Debug)]
pub struct Site {
    /// The provider's router.
    pub isp: Namespace,
    /// The NAT; `None` when the host is on the internet itself.
    pub gateway: Option<Namespace>,
    /// The address the site has on the internet.
    pub public: Ipv4Addr,
    /// The hosts behind it.
    pub hosts: Vec<Host>,
}

/// A machine a user sits at.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its label, which is also its host name in the mesh.
    pub label: String,
    /// Its address on its own network.
    pub address: Ipv4Addr,
}

/// The rendezvous's public address.
pub const RENDEZVOUS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Its second address, so that address-dependent mappings show.
pub const RENDEZVOUS_SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

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
        let core = router(run, "core")?;
        let rendezvous = Namespace::create(run.namespace("rendezvous"))?;
        cable((&core, "srv0"), (&rendezvous, "eth0"))?;
        core.ip(&["addr", "add", "192.0.2.1/24", "dev", "srv0"])?;
        rendezvous.ip(&["addr", "add", &format!("{RENDEZVOUS}/24"), "dev", "eth0"])?;
        rendezvous.ip(&["addr", "add", &format!("{RENDEZVOUS_SECOND}/24"), "dev", "eth0"])?;
        rendezvous.ip(&["route", "add", "default", "via", "192.0.2.1"])?;

        let sites = places.iter().enumerate().map(|(index, place)| Site::build(run, &core, index, place));
        let sites = sites.collect::<Result<_>>()?;
        Ok(Self { run: run.clone(), records, core, rendezvous, sites })
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

impl Site {
    fn build(run: &Run, core: &Namespace, index: usize, place: &Place<'_>) -> Result<Self> {
        let number = u8::try_from(index).context("number the sites")?;
        let public = public_prefix(number);
        let isp = router(run, &format!("isp{index}"))?;
        let port = format!("isp{index}");
        cable((core, &port), (&isp, "core0"))?;
        core.ip(&["addr", "add", &format!("10.255.{index}.1/30"), "dev", &port])?;
        isp.ip(&["addr", "add", &format!("10.255.{index}.2/30"), "dev", "core0"])?;
        isp.ip(&["route", "add", "default", "via", &format!("10.255.{index}.1")])?;
        let prefix = format!("{}/24", public(0));
        core.ip(&["route", "add", &prefix, "via", &format!("10.255.{index}.2")])?;

        let (gateway, hosts) = match place.nat {
            NatKind::None => {
                let host = Namespace::create(run.namespace(place.hosts[0]))?;
                connect_customer(&isp, &host, "eth0", &public)?;
                let label = place.hosts[0].to_owned();
                (None, vec![Host { namespace: host, label, address: public(CUSTOMER) }])
            }
            kind @ (NatKind::FullCone | NatKind::PortRestricted | NatKind::Symmetric) => {
                let gateway = router(run, &format!("nat{index}"))?;
                connect_customer(&isp, &gateway, "wan0", &public)?;
                let hosts = local_network(run, &gateway, number, place.hosts)?;
                nat::install(&gateway, kind, public(CUSTOMER))?;
                (Some(gateway), hosts)
            }
        };
        Ok(Self { isp, gateway, public: public(CUSTOMER), hosts })
    }
}

/// Gives the customer (a gateway, or a host without one) its public address and its way out.
fn connect_customer(isp: &Namespace, customer: &Namespace, port: &str, public: &dyn Fn(u8) -> Ipv4Addr) -> Result<()> {
    cable((isp, "cust0"), (customer, port))?;
    isp.ip(&["addr", "add", &format!("{}/24", public(1)), "dev", "cust0"])?;
    customer.ip(&["addr", "add", &format!("{}/24", public(CUSTOMER)), "dev", port])?;
    customer.ip(&["route", "add", "default", "via", &public(1).to_string()])?;
    Ok(())
}

/// Puts the hosts on one switch behind the gateway's `lan0`.
fn local_network(run: &Run, gateway: &Namespace, number: u8, labels: &[&str]) -> Result<Vec<Host>> {
    let lan = |host: u8| Ipv4Addr::new(192, 168, number + 1, host);
    gateway.sysctl("net/bridge/bridge-nf-call-iptables", "0")?;
    gateway.ip(&["link", "add", "lan0", "type", "bridge"])?;
    gateway.ip(&["link", "set", "lan0", "up"])?;
    gateway.ip(&["addr", "add", &format!("{}/24", lan(1)), "dev", "lan0"])?;
    let mut hosts = Vec::new();
    for (index, label) in labels.iter().enumerate() {
        let namespace = Namespace::create(run.namespace(label))?;
        let port = format!("port{index}");
        cable((gateway, &port), (&namespace, "eth0"))?;
        gateway.ip(&["link", "set", &port, "master", "lan0"])?;
        let address = lan(FIRST_HOST + u8::try_from(index)?);
        namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        namespace.ip(&["route", "add", "default", "via", &lan(1).to_string()])?;
        hosts.push(Host { namespace, label: (*label).to_owned(), address });
    }
    Ok(hosts)
}

fn router(run: &Run, label: &str) -> Result<Namespace> {
    let namespace = Namespace::create(run.namespace(label))?;
    namespace.sysctl("net/ipv4/ip_forward", "1")?;
    Ok(namespace)
}

/// The site's addresses: the documentation prefixes (RFC 5737) first, then those for benchmarks (RFC 2544).
fn public_prefix(site: u8) -> impl Fn(u8) -> Ipv4Addr {
    move |host| match site {
        0 => Ipv4Addr::new(198, 51, 100, host),
        1 => Ipv4Addr::new(203, 0, 113, host),
        _ => Ipv4Addr::new(198, 18, site, host),
    }
}

/// The site's own address in its public prefix; 1 is the provider's router.
const CUSTOMER: u8 = 2;
/// Where hosts begin in a local network, as home routers have it.
const FIRST_HOST: u8 = 10;
