//! What breaks comes back by itself, and what was promised is kept.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use warren_lab::agent::{Agent, Options};
use warren_lab::host::Finished;
use warren_lab::mesh::Mesh;
use warren_lab::nat::{self, NatKind};
use warren_lab::server::Server;
use warren_lab::stream::Stream;
use warren_lab::topology::{Internet, Place};
use warren_lab::wait;

use crate::rekey::{finish_both, start_both};

#[test]
fn a_killed_rendezvous_disturbs_no_traffic_and_forgets_nothing() -> Result<()> {
    let places = ["laptop", "desktop", "tablet"];
    let places =
        places.each_ref().map(|host| Place { nat: NatKind::PortRestricted, hosts: std::slice::from_ref(host) });
    let mut mesh = Mesh::enrol(Internet::build("rendezvous-killed", &places)?, &Options::default())?;
    mesh.wait_direct(Duration::from_secs(20))?;
    let addresses = mesh.addresses()?;
    let streams = start_both(&mesh)?;

    let promised = mesh.server.invite(&[])?;
    mesh.server.kill()?;
    std::thread::sleep(Duration::from_secs(3));
    for (agent, peer) in [(&mesh.laptop, "desktop"), (&mesh.desktop, "laptop")] {
        let direct = agent.status()?.peer(peer).is_some_and(warren_lab::status::Peer::is_direct);
        ensure!(direct, "the path was given up with the rendezvous");
    }
    mesh.server.restart()?;
    for agent in [&mesh.laptop, &mesh.desktop] {
        agent.wait_status("the rendezvous again", Duration::from_secs(30), |status| {
            status.state == "connected" && status.rendezvous.as_ref().is_some_and(|server| server.connected)
        })?;
    }
    let reports = finish_both(streams)?;

    for report in &reports {
        println!("{report:?}");
        ensure!(report.lost == 0, "traffic was disturbed: {report:?}");
    }
    ensure!(mesh.addresses()? == addresses, "a device has other addresses");
    let tablet = Agent::start(&mesh.internet, "tablet", Options::default())?;
    tablet.up(&promised).context("an invite given before the kill is worth nothing after it")?;
    Ok(())
}

#[test]
fn a_killed_agent_is_back_in_five_seconds_as_the_same_device() -> Result<()> {
    let mut mesh = Mesh::direct("agent-killed", &Options::default())?;
    let before = mesh.laptop.status()?.device.context("an identity")?;
    let [_, (desktop, _)] = mesh.addresses()?;

    mesh.laptop.daemon().kill()?;
    let killed = Instant::now();
    mesh.laptop.restart()?;
    wait_for_answer(&mesh.laptop, desktop)?;
    let took = killed.elapsed();

    println!("back after {took:?}");
    ensure!(took < Duration::from_secs(5), "it took {took:?}");
    let after = mesh.laptop.status()?.device.context("an identity")?;
    ensure!((&before.id, &before.addresses) == (&after.id, &after.addresses), "{before:?} became {after:?}");
    mesh.wait_direct(Duration::from_secs(60))
}

#[test]
fn an_agent_that_slept_for_a_minute_is_back_in_five_seconds() -> Result<()> {
    let mut mesh = Mesh::direct("slept", &Options::default())?;
    let [_, (desktop, _)] = mesh.addresses()?;

    mesh.laptop.daemon().signal(Signal::SIGSTOP)?;
    std::thread::sleep(Duration::from_secs(60));
    mesh.laptop.daemon().signal(Signal::SIGCONT)?;
    let woken = Instant::now();
    wait_for_answer(&mesh.laptop, desktop)?;
    let took = woken.elapsed();

    println!("back after {took:?}");
    ensure!(took < Duration::from_secs(5), "it took {took:?}");
    mesh.wait_direct(Duration::from_secs(60))?;
    mesh.laptop.wait_status("the rendezvous again", Duration::from_secs(30), |status| {
        status.rendezvous.as_ref().is_some_and(|server| server.connected)
    })?;
    Ok(())
}

#[test]
fn a_flushed_nat_is_noticed_from_either_side_within_five_seconds() -> Result<()> {
    let mesh = Mesh::direct("nat-flushed", &Options::default())?;
    let [(laptop, _), (desktop, _)] = mesh.addresses()?;
    let (near, far) = (&mesh.laptop.host().namespace, &mesh.desktop.host().namespace);
    let coffee_shop = mesh.internet.sites[0].gateway.as_ref().context("the coffee shop has a gateway")?;

    // One direction at a time: only inward traffic cannot open the flushed NAT again by itself.
    for (from, to, target) in [(near, far, desktop), (far, near, laptop)] {
        let stream = Stream::start(from, to, (target, 9000).into(), 100, 200)?;
        std::thread::sleep(Duration::from_secs(1));
        nat::flush(coffee_shop)?;
        std::thread::sleep(Duration::from_secs(7));
        let report = stream.finish()?;

        println!("{report:?}");
        ensure!(report.longest_silence < Duration::from_secs(5), "silent for too long: {report:?}");
        mesh.wait_direct(Duration::from_secs(60))?;
    }
    Ok(())
}

#[test]
fn what_a_killed_agent_left_is_cleared_away_at_its_next_start() -> Result<()> {
    let internet = Internet::figure_one("leavings", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let server = Server::start(&internet)?;
    let mut laptop = Agent::start(&internet, "laptop", Options::default())?;
    laptop.up(&server.invite(&[])?)?;
    let namespace = laptop.host().namespace.clone();
    let routes = || namespace.ip(&["route", "show", "table", "all"]);

    let fresh = Agent::start(&internet, "desktop", Options::default())?;
    let untouched = fresh.host().namespace.ip(&["-br", "link"])?;
    ensure!(!untouched.contains("warren0") || fresh.status()?.state == "needs-enrolment", "{untouched}");
    laptop.daemon().kill()?;
    laptop.restart()?;
    laptop.wait_status("the mesh", Duration::from_secs(20), |status| status.state == "connected")?;
    ensure!(routes()?.contains("warren0"), "no route into the mesh");
    let ended = laptop.daemon().terminate(Duration::from_secs(10))?;

    ensure!(ended.success(), "SIGTERM is an orderly end: {ended}");
    ensure!(!routes()?.contains("warren0"), "routes are left: {}", routes()?);
    ensure!(!namespace.ip(&["-br", "link"])?.contains("warren0"), "the interface is left");
    Ok(())
}

fn wait_for_answer(agent: &Agent, address: Ipv4Addr) -> Result<()> {
    let ping = ["-n", "-c", "1", "-W", "1", &address.to_string()];
    wait::until("an answer", Duration::from_secs(10), || {
        Finished::run(agent.host().namespace.command("ping").args(ping)).ok().filter(|ping| ping.code == 0)
    })?;
    Ok(())
}
