//! The lab's NATs are what they are called: measured with plain sockets in the terms of RFC 4787, before anything is
//! concluded from how Warren gets through them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use warren_lab::classify::{self, Class, Filtering, PORT, Reflector, hears, open};
use warren_lab::nat::{self, NatKind};
use warren_lab::topology::{Internet, Place, RENDEZVOUS};

#[test]
fn every_kind_of_nat_is_what_it_is_called() -> Result<()> {
    let labels: Vec<_> = NatKind::ALL.iter().map(|kind| [kind.name()]).collect();
    let places: Vec<_> = NatKind::ALL.iter().zip(&labels).map(|(nat, hosts)| Place { nat: *nat, hosts }).collect();
    let internet = Internet::build("nat-kinds", &places)?;

    for kind in NatKind::ALL {
        let host = internet.host(kind.name())?;
        let class = classify::measure(&internet, host)?;
        let class_v6 = classify::measure_v6(&internet, host)?;

        println!("{}: {class}", kind.name());
        ensure!(class == Class::expected(kind), "{kind:?} is {class:?}");
        let firewall = kind.has_ipv6().then_some(Filtering::AddressAndPortDependent);
        ensure!(class_v6 == firewall, "{kind:?} over IPv6: {class_v6:?}");
    }
    Ok(())
}

#[test]
fn hosts_that_cannot_see_each_other_meet_at_the_outer_address_of_a_nat_that_hairpins() -> Result<()> {
    let meet = |title: &str, nat: NatKind| -> Result<bool> {
        let internet = Internet::build(title, &[Place { nat, hosts: &["laptop", "tablet"] }])?;
        let reflector = Reflector::start(&internet.rendezvous, RENDEZVOUS.into(), 3478)?;
        let laptop = open(&internet.host("laptop")?.namespace, PORT)?;
        let tablet = open(&internet.host("tablet")?.namespace, PORT + 1)?;
        let outside = [&laptop, &tablet].map(|socket| reflector.ask(socket));
        let [Some(laptop_outside), Some(tablet_outside)] = outside.map(Result::ok).map(Option::flatten) else {
            anyhow::bail!("the way out is not there");
        };

        tablet.send_to(b"direct", (internet.host("laptop")?.address, PORT))?;
        ensure!(hears(&laptop)?.is_none(), "they see each other");
        // Each opens its own NAT first, as agents do.
        laptop.send_to(b"hello", tablet_outside)?;
        hears(&tablet)?;
        tablet.send_to(b"hello", laptop_outside)?;
        let heard = hears(&laptop)?;
        ensure!(heard.is_none_or(|from| from == tablet_outside), "the source is {heard:?}");
        Ok(heard.is_some())
    };

    ensure!(meet("nat-hairpin", NatKind::Hairpin)?, "no hairpin");
    ensure!(meet("nat-carrier-hairpin", NatKind::CarrierGradeHairpin)?, "no hairpin at the carrier");
    ensure!(!meet("nat-carrier", NatKind::CarrierGrade)?, "a carrier without hairpin lets subscribers meet");
    Ok(())
}

#[test]
fn a_router_that_takes_strays_itself_gives_the_hosts_port_away() -> Result<()> {
    for (nat, spoilt) in [(NatKind::PortRestricted, false), (NatKind::PortRestrictedOpen, true)] {
        let internet = Internet::figure_one("nat-open-input", nat, NatKind::None)?;
        let laptop = open(&internet.host("laptop")?.namespace, PORT)?;
        let desktop = open(&internet.host("desktop")?.namespace, PORT)?;
        let [coffee_shop, home] = [0, 1].map(|site| SocketAddr::new(internet.sites[site].public.into(), PORT));

        desktop.send_to(b"too early", coffee_shop)?;
        ensure!(hears(&laptop)?.is_none(), "a stranger got in");
        laptop.send_to(b"hello", home)?;
        let seen = hears(&desktop)?.context("hear the laptop")?;

        ensure!((seen != coffee_shop) == spoilt, "{nat:?}: the laptop is seen as {seen}");
    }
    Ok(())
}

#[test]
fn two_hosts_behind_one_nat_have_one_address_and_two_ports() -> Result<()> {
    let places = [Place { nat: NatKind::PortRestricted, hosts: &["laptop", "tablet"] }];
    let internet = Internet::build("nat-two-hosts", &places)?;
    let reflector = Reflector::start(&internet.rendezvous, RENDEZVOUS.into(), 3478)?;

    let mut mappings = BTreeSet::new();
    for label in ["laptop", "tablet"] {
        let socket = open(&internet.host(label)?.namespace, PORT)?;
        mappings.insert(reflector.ask(&socket)?.context("an answer")?);
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
    let reflector = Reflector::start(&internet.rendezvous, RENDEZVOUS.into(), 3478)?;

    internet.block_direct()?;
    laptop.send_to(b"hello", home)?;
    ensure!(hears(&desktop)?.is_none(), "the way is not blocked");
    ensure!(reflector.ask(&laptop)?.is_some(), "the way to the server is blocked too");

    internet.unblock_direct()?;
    laptop.send_to(b"hello", home)?;
    ensure!(hears(&desktop)?.is_some(), "the way is still blocked");
    Ok(())
}
