//! Devices on one network find each other by themselves, when nobody else can tell them where they are.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::topology::{Internet, Place};

#[test]
fn two_devices_that_both_got_another_address_find_each_other_while_the_rendezvous_is_away() -> Result<()> {
    let (_internet, mut server, [laptop, tablet]) = one_lan("lan-discovery", &Options::default())?;
    server.kill()?;

    renumber(&laptop, "192.168.1.110")?;
    renumber(&tablet, "192.168.1.120")?;

    laptop.run(&["ping", "tablet", "--until-direct", "--timeout", "10s"])?.success()?;
    let status = laptop.status()?;
    let remote = status.peer("tablet").and_then(|peer| peer.path.remote.clone()).context("a path to the tablet")?;
    ensure!(remote.starts_with("192.168.1.120:"), "{remote}");
    Ok(())
}

#[test]
fn two_devices_that_restart_at_other_addresses_find_each_other_while_the_rendezvous_is_away() -> Result<()> {
    let (_internet, mut server, [mut laptop, mut tablet]) = one_lan("lan-restart", &Options::default())?;
    server.kill()?;
    for (agent, address) in [(&mut laptop, "192.168.1.110"), (&mut tablet, "192.168.1.120")] {
        agent.daemon().terminate(PATIENCE)?;
        renumber(agent, address)?;
    }

    laptop.restart()?;
    tablet.restart()?;

    laptop.run(&["ping", "tablet", "--until-direct", "--timeout", "10s"])?.success()?;
    Ok(())
}

#[test]
fn who_does_not_want_to_be_heard_says_nothing() -> Result<()> {
    let options = Options { flags: vec!["--no-lan-discovery".to_owned()], ..Options::default() };
    let (_internet, mut server, [laptop, tablet]) = one_lan("lan-discovery-off", &options)?;
    server.kill()?;

    renumber(&laptop, "192.168.1.110")?;
    renumber(&tablet, "192.168.1.120")?;

    let found = laptop.run(&["ping", "tablet", "--until-direct", "--timeout", "5s"])?;
    ensure!(found.code != 0, "they found each other: {found:?}");
    Ok(())
}

/// Two agents on one network that know each other, and talk inside it.
fn one_lan(title: &str, options: &Options) -> Result<(Internet, Server, [Agent; 2])> {
    let internet = Internet::build(title, &[Place { nat: NatKind::PortRestricted, hosts: &["laptop", "tablet"] }])?;
    let server = Server::start(&internet)?;
    let laptop = Agent::start(&internet, "laptop", options.clone())?;
    let tablet = Agent::start(&internet, "tablet", options.clone())?;
    laptop.up(&server.invite(&[])?)?;
    tablet.up(&server.invite(&[])?)?;
    laptop.wait_direct("tablet", PATIENCE)?;
    tablet.wait_direct("laptop", PATIENCE)?;
    Ok((internet, server, [laptop, tablet]))
}

/// What a router does to its hosts that was replaced by another one.
fn renumber(agent: &Agent, address: &str) -> Result<()> {
    let namespace = &agent.host().namespace;
    namespace.ip(&["addr", "flush", "dev", "eth0"])?;
    namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
    namespace.ip(&["route", "add", "default", "via", "192.168.1.1"])?;
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(20);
