//! Gateways that forward a port when asked: with miniupnpd on them, by each protocol that it speaks.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use warren_lab::agent::{Agent, Options};
use warren_lab::gateway_daemon::{GatewayDaemon, Speaks, join_subscribers, readdress};
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::topology::{Internet, Place};
use warren_lab::wait;

#[test]
fn a_symmetric_nat_that_forwards_a_port_is_no_obstacle() -> Result<()> {
    for (speaks, granted) in [
        (Speaks::All, ["pcp", "nat-pmp", "upnp"].as_slice()),
        (Speaks::NatPmp, &["nat-pmp"]),
        (Speaks::Upnp, &["upnp"]),
    ] {
        let (internet, daemon) = symmetric_against_port_restricted(speaks)?;
        let mesh = Mesh::enrol(internet, &Options::default())?;

        mesh.wait_direct(PATIENCE).with_context(|| format!("{speaks:?}"))?;

        let report = netcheck(&mesh.laptop)?;
        ensure!(report["port_mapping"] == serde_json::json!(granted), "{report}");
        let mapped = report["mapped"].as_str().with_context(|| format!("{report}"))?.to_owned();
        let attempt = attempt_by(&mesh.desktop, "laptop", "mapped")?;
        ensure!(attempt["result"] == "answered" && attempt["remote"] == mapped.as_str(), "{attempt}");
        ensure!(daemon.mappings()?.len() == 1, "{:?}", daemon.mappings());
        mesh.laptop.run(&["down"])?.success()?;
        ensure!(daemon.mappings()?.is_empty(), "{:?} is left of {speaks:?}", daemon.mappings());
    }
    Ok(())
}

#[test]
fn a_gateway_that_restarts_is_asked_again_and_a_daemon_that_was_killed_takes_up_its_mapping() -> Result<()> {
    let (internet, mut gateway) = symmetric_against_port_restricted(Speaks::All)?;
    let mut mesh = Mesh::enrol(internet, &Options::default())?;
    let one = |gateway: &GatewayDaemon| gateway.mappings().ok().filter(|mappings| mappings.len() == 1);
    let before = wait::until("a port mapping", PATIENCE, || one(&gateway))?;

    gateway.restart()?;
    ensure!(gateway.mappings()?.is_empty(), "a gateway without a cord remembers");
    let after = wait::until("the mapping to be made again", PATIENCE, || one(&gateway))?;
    mesh.laptop.daemon().kill()?;
    mesh.laptop.restart()?;
    mesh.laptop.wait_direct("desktop", PATIENCE)?;
    netcheck(&mesh.laptop)?;

    ensure!(before == after && gateway.mappings()? == after, "{before:?}, {after:?}, {:?}", gateway.mappings());
    mesh.laptop.daemon().terminate(PATIENCE)?;
    ensure!(gateway.mappings()?.is_empty(), "{:?} is left", gateway.mappings());
    Ok(())
}

#[test]
fn a_mapping_is_renewed_for_as_long_as_there_is_an_agent() -> Result<()> {
    let (internet, gateway) = symmetric_against_port_restricted(Speaks::Briefly)?;
    let mut mesh = Mesh::enrol(internet, &Options::default())?;
    let one = || gateway.mappings().ok().filter(|mappings| mappings.len() == 1);
    let before = wait::until("a port mapping", PATIENCE, one)?;

    let made = Instant::now();
    while made.elapsed() < 2 * LIFE + LIFE / 2 {
        ensure!(gateway.mappings()? == before, "{:?} after {:?}", gateway.mappings(), made.elapsed());
        std::thread::sleep(Duration::from_millis(500));
    }
    mesh.laptop.daemon().kill()?;

    wait::until("its end", LIFE + PATIENCE, || gateway.mappings().ok().filter(Vec::is_empty))?;
    Ok(())
}

#[test]
fn who_wants_no_port_mapping_asks_for_none() -> Result<()> {
    let (internet, gateway) = symmetric_against_port_restricted(Speaks::All)?;
    let options = Options { flags: vec!["--no-port-mapping".to_owned()], ..Options::default() };
    let mesh = Mesh::enrol(internet, &options)?;

    let report = netcheck(&mesh.laptop)?;

    ensure!(report["port_mapping"] == serde_json::json!([]) && report["mapped"].is_null(), "{report}");
    ensure!(gateway.mappings()?.is_empty(), "{:?}", gateway.mappings());
    Ok(())
}

#[test]
fn a_gateway_that_has_no_public_address_and_says_so_forwards_nothing() -> Result<()> {
    let internet = Internet::build("no-mapping", &[Place { nat: NatKind::CarrierGrade, hosts: &["laptop"] }])?;
    let gateway = GatewayDaemon::start(&internet.sites[0].homes[0].gateway, Speaks::All, &internet)?;
    let server = Server::start(&internet)?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;
    laptop.up(&server.invite(&[])?)?;

    let report = netcheck(&laptop)?;

    ensure!(report["port_mapping"] == serde_json::json!([]) && report["mapped"].is_null(), "{report}");
    ensure!(gateway.mappings()?.is_empty(), "{:?}", gateway.mappings());
    Ok(())
}

#[test]
fn two_homes_of_one_carrier_meet_at_the_mappings_of_their_own_gateways() -> Result<()> {
    let places = [Place { nat: NatKind::CarrierGrade, hosts: &["laptop", "desktop"] }];
    let internet = Internet::build("inner-mapping", &places)?;
    join_subscribers(&internet, 0)?;
    let homes = internet.sites[0].homes.iter();
    let _gateways: Vec<_> =
        homes.map(|home| GatewayDaemon::start(&home.gateway, Speaks::All, &internet)).collect::<Result<_>>()?;
    let server = Server::start(&internet)?;
    let agents = ["laptop", "desktop"].map(|label| -> Result<Agent> {
        let agent = Agent::start(&internet, label, Options::default())?;
        agent.up(&server.invite(&[])?)?;
        Ok(agent)
    });
    let [laptop, desktop] =
        [&agents[0], &agents[1]].map(|agent| agent.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")));
    let (laptop, desktop) = (laptop?, desktop?);

    laptop.wait_direct("desktop", PATIENCE)?;
    desktop.wait_direct("laptop", PATIENCE)?;

    let attempt = attempt_by(laptop, "desktop", "inner")?;
    ensure!(attempt["remote"].as_str().is_some_and(|remote| remote.starts_with("11.64.0.11:")), "{attempt}");
    Ok(())
}

/// The laptop behind a symmetric NAT with miniupnpd, the desktop behind a port-restricted one.
fn symmetric_against_port_restricted(speaks: Speaks) -> Result<(Internet, GatewayDaemon)> {
    let title = format!("port-mapping-{speaks:?}").to_lowercase();
    let internet = Internet::figure_one(&title, NatKind::Symmetric, NatKind::PortRestricted)?;
    readdress(&internet, 0)?;
    let gateway = internet.sites[0].gateway.as_ref().context("a gateway")?;
    let daemon = GatewayDaemon::start(gateway, speaks, &internet)?;
    Ok((internet, daemon))
}

fn netcheck(agent: &Agent) -> Result<Value> {
    let json = agent.run(&["netcheck", "--json"])?.success()?;
    serde_json::from_str(&json).with_context(|| format!("read {json}"))
}

/// The newest attempt of that technique.
fn attempt_by(agent: &Agent, peer: &str, technique: &str) -> Result<Value> {
    let json = agent.run(&["path", peer, "--json"])?.success()?;
    let report: Value = serde_json::from_str(&json)?;
    let attempts = report["attempts"].as_array().with_context(|| format!("no attempts in {report}"))?;
    let found = attempts.iter().rev().find(|attempt| attempt["technique"] == technique);
    found.cloned().with_context(|| format!("no attempt by {technique} in {report}"))
}

/// What a gateway that speaks briefly grants.
const LIFE: Duration = Duration::from_secs(12);
/// A debug build on a busy machine; a gateway's restart is answered after up to five seconds, as RFC 6887 has it.
const PATIENCE: Duration = Duration::from_secs(20);
