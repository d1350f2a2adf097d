//! The lab's NATs are what they are called: measured with plain sockets in the terms of RFC 4787, before anything is
//! concluded from how Warren gets through them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::namespace::Namespace;
use warren_lab::nat::{self, NatKind};
use warren_lab::topology::{Host, Internet, Place, RENDEZVOUS, RENDEZVOUS_SECOND};

#[test]
fn a_port_restricted_nat_keeps_one_port_and_lets_in_only_who_was_asked() -> Result<()> {
    let internet = Internet::figure_one("nat-port-restricted", NatKind::PortRestricted, NatKind::PortRestricted)?;

    let seen = observe(&internet, internet.host("laptop")?)?;

    ensure!(seen.mappings == BTreeSet::from([SocketAddr::new(internet.sites[0].public.into(), PORT)]), "{seen:?}");
    ensure!(!seen.same_address_gets_in && !seen.stranger_gets_in, "{seen:?}");
    Ok(())
}

#[test]
fn a_full_cone_nat_keeps_one_port_and_lets_in_anyone() -> Result<()> {
    let internet = Internet::figure_one("nat-full-cone", NatKind::FullCone, NatKind::PortRestricted)?;

    let seen = observe(&internet, internet.host("laptop")?)?;

    ensure!(seen.mappings == BTreeSet::from([SocketAddr::new(internet.sites[0].public.into(), PORT)]), "{seen:?}");
    ensure!(seen.same_address_gets_in && seen.stranger_gets_in, "{seen:?}");
    Ok(())
}

#[test]
fn a_symmetric_nat_gives_each_destination_its_own_port() -> Result<()> {
    let internet = Internet::figure_one("nat-symmetric", NatKind::Symmetric, NatKind::PortRestricted)?;

    let seen = observe(&internet, internet.host("laptop")?)?;

    ensure!(seen.mappings.len() == 4, "{seen:?}");
    ensure!(!seen.same_address_gets_in && !seen.stranger_gets_in, "{seen:?}");
    Ok(())
}

#[test]
fn a_host_without_nat_is_seen_as_it_is() -> Result<()> {
    let internet = Internet::figure_one("nat-none", NatKind::None, NatKind::PortRestricted)?;
    let laptop = internet.host("laptop")?;

    let seen = observe(&internet, laptop)?;

    ensure!(seen.mappings == BTreeSet::from([SocketAddr::new(laptop.address.into(), PORT)]), "{seen:?}");
    ensure!(seen.same_address_gets_in && seen.stranger_gets_in, "{seen:?}");
    Ok(())
}

#[test]
fn two_hosts_behind_one_nat_have_one_address_and_two_ports() -> Result<()> {
    let places = [Place { nat: NatKind::PortRestricted, hosts: &["laptop", "tablet"] }];
    let internet = Internet::build("nat-two-hosts", &places)?;
    let reflector = Reflector::start(&internet.rendezvous, RENDEZVOUS, 3478)?;

    let mut mappings = BTreeSet::new();
    for label in ["laptop", "tablet"] {
        let socket = open(&internet.host(label)?.namespace, PORT)?;
        mappings.insert(reflector.ask(&socket)?);
    }

    ensure!(mappings.len() == 2, "the same local port on both hosts: {mappings:?}");
    ensure!(mappings.iter().all(|seen| seen.ip() == internet.sites[0].public), "{mappings:?}");
    Ok(())
}

#[test]
fn a_low_ttl_opens_the_own_nat_and_dies_before_the_other() -> Result<()> {
    let internet = Internet::figure_one("nat-opener", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let laptop = open(&internet.host("laptop")?.namespace, PORT)?;
    let desktop = open(&internet.host("desktop")?.namespace, PORT)?;
    let [coffee_shop, home] = [0, 1].map(|site| SocketAddr::new(internet.sites[site].public.into(), PORT));

    for ttl in [2, 4] {
        laptop.set_ttl(ttl)?;
        laptop.send_to(b"opener", home)?;
        ensure!(hears(&desktop)?.is_none(), "a TTL of {ttl} reached the desktop");
    }
    let gateway = internet.sites[1].gateway.as_ref().context("the home has a gateway")?;
    let reached = nat::mappings(gateway)?.iter().any(|mapping| mapping.contains(&format!("src={}", coffee_shop.ip())));
    ensure!(!reached, "the opener reached the other NAT");
    desktop.send_to(b"probe", coffee_shop)?;
    ensure!(hears(&laptop)? == Some(home), "the opener did not open the own NAT");

    laptop.set_ttl(64)?;
    laptop.send_to(b"answer", home)?;
    ensure!(hears(&desktop)? == Some(coffee_shop), "the answer did not come back through the other NAT");
    Ok(())
}

#[test]
fn a_flushed_nat_lets_nothing_in_until_the_host_sends_again() -> Result<()> {
    let internet = Internet::figure_one("nat-flush", NatKind::PortRestricted, NatKind::None)?;
    let laptop = open(&internet.host("laptop")?.namespace, PORT)?;
    let desktop = open(&internet.host("desktop")?.namespace, PORT)?;
    let home = SocketAddr::new(internet.sites[1].public.into(), PORT);
    laptop.send_to(b"hello", home)?;
    let coffee_shop = hears(&desktop)?.context("hear the laptop")?;

    nat::flush(internet.sites[0].gateway.as_ref().context("the coffee shop has a gateway")?)?;

    desktop.send_to(b"still there?", coffee_shop)?;
    ensure!(hears(&laptop)?.is_none(), "a flushed NAT let a datagram in");
    laptop.send_to(b"hello again", home)?;
    ensure!(hears(&desktop)?.is_some(), "the laptop cannot send after the flush");
    Ok(())
}

#[test]
fn blocking_the_direct_way_leaves_the_way_to_the_server() -> Result<()> {
    let internet = Internet::figure_one("nat-block", NatKind::None, NatKind::None)?;
    let laptop = open(&internet.host("laptop")?.namespace, PORT)?;
    let desktop = open(&internet.host("desktop")?.namespace, PORT)?;
    let home = SocketAddr::new(internet.sites[1].public.into(), PORT);
    let reflector = Reflector::start(&internet.rendezvous, RENDEZVOUS, 3478)?;

    internet.block_direct()?;
    laptop.send_to(b"hello", home)?;
    ensure!(hears(&desktop)?.is_none(), "the way is not blocked");
    reflector.ask(&laptop)?;

    internet.unblock_direct()?;
    laptop.send_to(b"hello", home)?;
    ensure!(hears(&desktop)?.is_some(), "the way is still blocked");
    Ok(())
}

/// A NAT's behaviour as the internet sees it.
#[derive(Debug)]
struct Seen {
    /// The host's address as seen by two addresses with two ports each.
    mappings: BTreeSet<SocketAddr>,
    /// Whether an address that was asked gets in from a port that was not.
    same_address_gets_in: bool,
    /// Whether an address that was never asked gets in.
    stranger_gets_in: bool,
}

fn observe(internet: &Internet, host: &Host) -> Result<Seen> {
    let socket = open(&host.namespace, PORT)?;
    let mut mappings = BTreeSet::new();
    for (address, port) in
        [(RENDEZVOUS, 3478), (RENDEZVOUS, 3479), (RENDEZVOUS_SECOND, 3478), (RENDEZVOUS_SECOND, 3479)]
    {
        mappings.insert(Reflector::start(&internet.rendezvous, address, port)?.ask(&socket)?);
    }

    let first = *mappings.first().context("see a mapping")?;
    let same_address = open_at(&internet.rendezvous, RENDEZVOUS, 5000)?;
    same_address.send_to(b"another port", first)?;
    let same_address_gets_in = hears(&socket)?.is_some();
    let stranger = open(&internet.host("desktop")?.namespace, 5000)?;
    stranger.send_to(b"a stranger", first)?;
    let stranger_gets_in = hears(&socket)?.is_some();
    Ok(Seen { mappings, same_address_gets_in, stranger_gets_in })
}

/// Tells whoever asks which address it sees.
struct Reflector {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Reflector {
    fn start(namespace: &Namespace, address: Ipv4Addr, port: u16) -> Result<Self> {
        Ok(Self { socket: open_at(namespace, address, port)?, at: SocketAddr::new(address.into(), port) })
    }

    /// The socket's address as this reflector sees it; the way back is checked too.
    fn ask(&self, socket: &UdpSocket) -> Result<SocketAddr> {
        socket.send_to(b"who am I?", self.at)?;
        let seen = hears(&self.socket)?.with_context(|| format!("nothing reached {}", self.at))?;
        self.socket.send_to(b"an answer", seen)?;
        ensure!(hears(socket)? == Some(self.at), "the answer of {} did not come back", self.at);
        Ok(seen)
    }
}

fn open(namespace: &Namespace, port: u16) -> Result<UdpSocket> {
    open_at(namespace, Ipv4Addr::UNSPECIFIED, port)
}

fn open_at(namespace: &Namespace, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    let socket = namespace.inside(|| UdpSocket::bind((address, port)))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Who sent the next datagram, if one comes.
fn hears(socket: &UdpSocket) -> Result<Option<SocketAddr>> {
    match socket.recv_from(&mut [0; 64]) {
        Ok((_, from)) => Ok(Some(from)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The local port of every host: a NAT that keeps ports shows it outside.
const PORT: u16 = 40_000;
/// A datagram crosses the whole lab in well under a millisecond.
const PATIENCE: Duration = Duration::from_millis(200);
