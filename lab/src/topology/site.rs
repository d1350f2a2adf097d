//! One place: the provider's router, what stands for the NAT, and the hosts behind it.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use super::Place;
use super::address::{self, CUSTOMER, FIRST_HOST};
use crate::namespace::{Namespace, cable};
use crate::nat::{self, NatKind};
use crate::run::Run;

/// A place that exists.
#[derive(Debug)]
pub struct Site {
    /// What was asked for.
    pub nat: NatKind,
    /// The provider's router.
    pub isp: Namespace,
    /// The NAT with the public address; `None` when the host is on the internet itself.
    pub gateway: Option<Namespace>,
    /// The subscribers' routers behind a carrier's NAT.
    pub homes: Vec<Home>,
    /// The address the site has on the internet.
    pub public: Ipv4Addr,
    /// The hosts behind it.
    pub hosts: Vec<Host>,
}

/// A router between a carrier's access network and a host.
#[derive(Clone, Debug)]
pub struct Home {
    /// Its namespace.
    pub gateway: Namespace,
    /// Its address on the access network.
    pub address: Ipv4Addr,
}

/// A machine a user sits at.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its label, which is also its host name in the mesh.
    pub label: String,
    /// Its address on its own network; unspecified if it has IPv6 alone.
    pub address: Ipv4Addr,
    /// Its IPv6 address, if it has one.
    pub address_v6: Option<Ipv6Addr>,
}

impl Site {
    pub(super) fn build(run: &Run, core: &Namespace, index: usize, place: &Place<'_>) -> Result<Self> {
        let number = u8::try_from(index).context("number the sites")?;
        let isp = provider(run, core, number, place.nat.has_ipv6())?;
        let mut site =
            Self { nat: place.nat, isp, gateway: None, homes: Vec::new(), public: public(number), hosts: Vec::new() };
        if place.nat == NatKind::None {
            let host = Namespace::create(run.namespace(place.hosts[0]))?;
            connect_v4(&site.isp, "cust0", &host, "eth0", &address::public(number))?;
            let label = place.hosts[0].to_owned();
            site.hosts = vec![Host { namespace: host, label, address: site.public, address_v6: None }];
            return Ok(site);
        }
        let gateway = router(run, &format!("nat{index}"))?;
        cable((&site.isp, "cust0"), (&gateway, "wan0"))?;
        if place.nat.has_ipv4() {
            address_customer(&site.isp, "cust0", &gateway, "wan0", &address::public(number))?;
        }
        if place.nat.has_ipv6() {
            connect_v6(&site.isp, &gateway, number)?;
        }
        if place.nat.is_carrier() {
            (site.homes, site.hosts) = subscribers(run, &gateway, number, place.hosts)?;
        } else {
            site.hosts = local_network(run, &gateway, number, number + 1, place.nat, place.hosts)?;
        }
        site.gateway = Some(gateway);
        site.install(place.nat)?;
        Ok(site)
    }

    /// Makes the gateway one of another kind that needs the same cables, as new: nothing remembers an earlier flow.
    pub fn install(&self, kind: NatKind) -> Result<()> {
        let outer = self.gateway.iter().map(|gateway| (gateway, kind, self.public));
        let homes = self.homes.iter().map(|home| (&home.gateway, NatKind::PortRestricted, home.address));
        for (gateway, kind, wan) in outer.chain(homes) {
            nat::install(gateway, kind, wan)?;
            nat::flush(gateway)?;
        }
        Ok(())
    }

    /// Gives the gateway another address in its prefix, as a provider does overnight. A NAT that masquerades forgets its
    /// mappings by that.
    pub fn renumber(&mut self, host: u8) -> Result<()> {
        let gateway = self.gateway.as_ref().context("a host without NAT keeps its address")?;
        let [a, b, c, _] = self.public.octets();
        let [before, after] = [self.public, Ipv4Addr::new(a, b, c, host)];
        // Else the second address, and the way out, would go with the first.
        gateway.sysctl("net/ipv4/conf/wan0/promote_secondaries", "1")?;
        gateway.ip(&["addr", "add", &format!("{after}/24"), "dev", "wan0"])?;
        gateway.ip(&["addr", "del", &format!("{before}/24"), "dev", "wan0"])?;
        nat::install(gateway, self.nat, after)?;
        self.public = after;
        Ok(())
    }

    /// Switches the gateways off and on: every mapping is forgotten.
    pub fn reset(&self) -> Result<()> {
        self.install(self.nat)
    }
}

/// A namespace that forwards.
pub(super) fn router(run: &Run, label: &str) -> Result<Namespace> {
    let namespace = Namespace::create(run.namespace(label))?;
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        namespace.sysctl(key, "1")?;
    }
    // A NAT that sends packets back to where they came from is no reason to tell the host of a better way.
    for key in ["net/ipv4/conf/all/send_redirects", "net/ipv4/conf/default/send_redirects"] {
        namespace.sysctl(key, "0")?;
    }
    Ok(namespace)
}

fn public(number: u8) -> Ipv4Addr {
    address::public(number)(CUSTOMER)
}

/// The provider's router, and the way between it and the backbone.
fn provider(run: &Run, core: &Namespace, number: u8, v6: bool) -> Result<Namespace> {
    let isp = router(run, &format!("isp{number}"))?;
    let port = format!("isp{number}");
    cable((core, &port), (&isp, "core0"))?;
    core.ip(&["addr", "add", &format!("10.255.{number}.1/30"), "dev", &port])?;
    isp.ip(&["addr", "add", &format!("10.255.{number}.2/30"), "dev", "core0"])?;
    isp.ip(&["route", "add", "default", "via", &format!("10.255.{number}.1")])?;
    let prefix = format!("{}/24", address::public(number)(0));
    core.ip(&["route", "add", &prefix, "via", &format!("10.255.{number}.2")])?;
    if v6 {
        let [near, far] = [1, 2].map(|end| address::backbone_v6(number, end));
        address::add_v6(core, &port, near)?;
        address::add_v6(&isp, "core0", far)?;
        isp.ip(&["-6", "route", "add", "default", "via", &near.to_string()])?;
        let prefix = format!("{}/48", address::global_v6(number, 0, 0));
        core.ip(&["-6", "route", "add", &prefix, "via", &far.to_string()])?;
    }
    Ok(isp)
}

/// A cable from a provider's router to its customer (a gateway, or a host without one), with addresses and the way out.
fn connect_v4(
    provider: &Namespace,
    far: &str,
    customer: &Namespace,
    near: &str,
    addresses: &dyn Fn(u8) -> Ipv4Addr,
) -> Result<()> {
    cable((provider, far), (customer, near))?;
    address_customer(provider, far, customer, near, addresses)
}

fn address_customer(
    provider: &Namespace,
    far: &str,
    customer: &Namespace,
    near: &str,
    addresses: &dyn Fn(u8) -> Ipv4Addr,
) -> Result<()> {
    provider.ip(&["addr", "add", &format!("{}/24", addresses(1)), "dev", far])?;
    customer.ip(&["addr", "add", &format!("{}/24", addresses(CUSTOMER)), "dev", near])?;
    customer.ip(&["route", "add", "default", "via", &addresses(1).to_string()])?;
    Ok(())
}

/// IPv6 on the cable between the provider's router and the gateway, and the way to the network behind it.
fn connect_v6(isp: &Namespace, gateway: &Namespace, number: u8) -> Result<()> {
    let [near, far] = [1, 2].map(|end| address::global_v6(number, 0, end));
    address::add_v6(isp, "cust0", near)?;
    address::add_v6(gateway, "wan0", far)?;
    gateway.ip(&["-6", "route", "add", "default", "via", &near.to_string()])?;
    let prefix = format!("{}/64", address::global_v6(number, 1, 0));
    isp.ip(&["-6", "route", "add", &prefix, "via", &far.to_string()])?;
    Ok(())
}

/// Puts the hosts of a site on one switch behind the gateway's `lan0`, as the local network of that number.
fn local_network(
    run: &Run,
    gateway: &Namespace,
    site: u8,
    network: u8,
    kind: NatKind,
    labels: &[&str],
) -> Result<Vec<Host>> {
    let addresses = address::local(network);
    switch(gateway)?;
    if kind.has_ipv4() {
        gateway.ip(&["addr", "add", &format!("{}/24", addresses(1)), "dev", "lan0"])?;
    }
    if kind.has_ipv6() {
        address::add_v6(gateway, "lan0", address::global_v6(site, 1, 1))?;
    }
    let mut hosts = Vec::new();
    for (index, label) in (0..).zip(labels) {
        let namespace = Namespace::create(run.namespace(label))?;
        plug(gateway, index, &namespace, "eth0", kind.isolates())?;
        let mut host = Host { namespace, label: (*label).to_owned(), address: Ipv4Addr::UNSPECIFIED, address_v6: None };
        if kind.has_ipv4() {
            host.address = addresses(FIRST_HOST + index);
            host.namespace.ip(&["addr", "add", &format!("{}/24", host.address), "dev", "eth0"])?;
            host.namespace.ip(&["route", "add", "default", "via", &addresses(1).to_string()])?;
        }
        if kind.has_ipv6() {
            let own = address::global_v6(site, 1, (FIRST_HOST + index).into());
            address::add_v6(&host.namespace, "eth0", own)?;
            let via = address::global_v6(site, 1, 1).to_string();
            host.namespace.ip(&["-6", "route", "add", "default", "via", &via])?;
            host.address_v6 = Some(own);
        }
        hosts.push(host);
    }
    Ok(hosts)
}

/// Gives each host a home router on the carrier's access network.
fn subscribers(run: &Run, carrier: &Namespace, number: u8, labels: &[&str]) -> Result<(Vec<Home>, Vec<Host>)> {
    switch(carrier)?;
    carrier.ip(&["addr", "add", &format!("{}/24", address::access(1)), "dev", "lan0"])?;
    let (mut homes, mut hosts) = (Vec::new(), Vec::new());
    for (index, label) in (0..).zip(labels) {
        let gateway = router(run, &format!("home{number}-{index}"))?;
        plug(carrier, index, &gateway, "wan0", true)?;
        let address = address::access(FIRST_HOST + index);
        gateway.ip(&["addr", "add", &format!("{address}/24"), "dev", "wan0"])?;
        gateway.ip(&["route", "add", "default", "via", &address::access(1).to_string()])?;
        // Beyond the networks of all sites, each subscriber with its own.
        let network = SUBSCRIBER_NETWORKS + number * MAX_SUBSCRIBERS + index;
        hosts.extend(local_network(run, &gateway, number, network, NatKind::PortRestricted, &[label])?);
        homes.push(Home { gateway, address });
    }
    Ok((homes, hosts))
}

/// A bridge on which the gateway is `lan0`.
fn switch(gateway: &Namespace) -> Result<()> {
    gateway.sysctl("net/bridge/bridge-nf-call-iptables", "0")?;
    gateway.ip(&["link", "add", "lan0", "type", "bridge"])?;
    gateway.ip(&["link", "set", "lan0", "up"])?;
    Ok(())
}

/// Joins a namespace to the gateway's switch; isolated, it sees nobody there but the gateway.
fn plug(gateway: &Namespace, index: u8, namespace: &Namespace, interface: &str, isolated: bool) -> Result<()> {
    let port = format!("port{index}");
    cable((gateway, &port), (namespace, interface))?;
    gateway.ip(&["link", "set", &port, "master", "lan0"])?;
    if isolated {
        gateway.ip(&["link", "set", &port, "type", "bridge_slave", "isolated", "on"])?;
    }
    Ok(())
}

/// The third octets of subscribers' networks begin here.
const SUBSCRIBER_NETWORKS: u8 = 100;
/// And so many are kept for each site.
const MAX_SUBSCRIBERS: u8 = 4;
