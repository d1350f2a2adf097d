//! The rendezvous is gone and devices restart: they find each other by memory, and with the help of one who knows both.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::host::Finished;
use warren_lab::nat::{self, NatKind};
use warren_lab::server::Server;
use warren_lab::status::Peer;
use warren_lab::topology::{Internet, Place};
use warren_lab::wait;

#[test]
fn a_common_peer_brings_two_together_whose_nats_forgot_them() -> Result<()> {
    let places = [
        Place { nat: NatKind::PortBlock, hosts: &["laptop"] },
        Place { nat: NatKind::PortBlock, hosts: &["desktop"] },
        Place { nat: NatKind::FullCone, hosts: &["tablet"] },
    ];
    let internet = Internet::build("without-server-common-peer", &places)?;
    let [mut laptop, mut desktop, tablet] = mesh_without_server(&internet, ["laptop", "desktop", "tablet"])?;

    let ports = observed(&tablet)?;
    let took = restart_both(&internet, &mut laptop, &mut desktop)?;

    println!("an answer after {took:?}");
    ensure!(took < LIMIT, "it took {took:?}");
    ensure!(observed(&tablet)? != ports, "the NATs gave both their old ports: {ports:?}");
    says_that_it_goes_by_memory(&laptop)
}

#[test]
fn two_on_one_lan_need_nobody() -> Result<()> {
    let places = [Place { nat: NatKind::PortRestricted, hosts: &["laptop", "desktop"] }];
    let internet = Internet::build("without-server-lan", &places)?;
    let [mut laptop, mut desktop] = mesh_without_server(&internet, ["laptop", "desktop"])?;

    let took = restart_both(&internet, &mut laptop, &mut desktop)?;

    println!("an answer after {took:?}");
    ensure!(took < LIMIT, "it took {took:?}");
    says_that_it_goes_by_memory(&laptop)
}

#[test]
fn two_behind_home_routers_find_each_other_where_they_were() -> Result<()> {
    let internet = Internet::figure_one("without-server-pair", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let [mut laptop, mut desktop] = mesh_without_server(&internet, ["laptop", "desktop"])?;

    let took = restart_both(&internet, &mut laptop, &mut desktop)?;

    println!("an answer after {took:?}");
    ensure!(took < LIMIT, "it took {took:?}");
    Ok(())
}

/// All enrolled and on direct paths, each with its memory on the disk; then the rendezvous is killed.
fn mesh_without_server<const N: usize>(internet: &Internet, labels: [&str; N]) -> Result<[Agent; N]> {
    let mut server = Server::start(internet)?;
    let mut agents = Vec::new();
    for label in labels {
        let agent = Agent::start(internet, label, Options::default())?;
        agent.up(&server.invite(&[])?)?;
        agents.push(agent);
    }
    for agent in &agents {
        agent.wait_status("direct paths to all", Duration::from_secs(30), |status| {
            status.peers.len() == N - 1 && status.peers.iter().all(Peer::is_direct)
        })?;
    }
    for agent in &agents {
        wait::until("the memory of all peers", Duration::from_secs(30), || {
            let text = fs::read_to_string(agent.state_directory().join("mesh.json")).ok()?;
            (text.matches("\"endpoints\"").count() == N - 1).then_some(())
        })?;
    }
    server.kill()?;
    agents.try_into().ok().context("as many agents as labels")
}

/// Kills one, ends the other, switches all NATs off and on, and starts both; how long until one answers the other.
fn restart_both(internet: &Internet, laptop: &mut Agent, desktop: &mut Agent) -> Result<Duration> {
    let target = address(desktop)?;
    laptop.daemon().kill()?;
    desktop.daemon().terminate(Duration::from_secs(10))?;
    for gateway in internet.sites.iter().filter(|site| site.hosts.iter().all(|host| host.label != "tablet")) {
        nat::flush(gateway.gateway.as_ref().context("a NAT")?)?;
    }
    let begun = Instant::now();
    desktop.restart()?;
    laptop.restart()?;
    let ping = ["-n", "-c", "1", "-W", "1", &target.to_string()];
    wait::until("an answer of the desktop", Duration::from_secs(60), || {
        Finished::run(laptop.host().namespace.command("ping").args(ping)).ok().filter(|ping| ping.code == 0)
    })?;
    Ok(begun.elapsed())
}

fn address(agent: &Agent) -> Result<Ipv4Addr> {
    Ok(agent.status()?.addresses()?.0)
}

/// Where an agent sees its peers.
fn observed(agent: &Agent) -> Result<Vec<Option<String>>> {
    Ok(agent.status()?.peers.into_iter().map(|peer| peer.path.remote).collect())
}

fn says_that_it_goes_by_memory(agent: &Agent) -> Result<()> {
    let status = agent.status()?;
    ensure!(status.state == "connecting" && status.rendezvous.is_some_and(|server| !server.connected));
    wait::until("the truth", Duration::from_secs(20), || {
        agent.run(&["status"]).ok()?.success().ok().filter(|text| text.contains("from memory"))
    })?;
    Ok(())
}

/// What the mesh promises.
const LIMIT: Duration = Duration::from_secs(10);
