//! An agent that nobody uses costs next to nothing, however many peers it keeps.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::topology::{Internet, Place};
use warren_lab::usage::{self, Usage};

#[test]
fn an_idle_agent_with_many_peers_sleeps() -> Result<()> {
    let count = peers()?;
    let labels: Vec<_> = (0..=count).map(|number| format!("host{number}")).collect();
    let hosts: Vec<_> = labels.iter().map(|label| [label.as_str()]).collect();
    // each on a line of its own: on one network all pairs would be more neighbours than the kernel keeps by default
    let places: Vec<_> = hosts.iter().map(|hosts| Place { nat: NatKind::None, hosts }).collect();
    let internet = Internet::build("idle", &places)?;
    let server = Server::start(&internet)?;
    let mut agents = start(&internet, &labels, &server.invite(&["--reusable"])?)?;
    let others = agents.split_off(1);
    let mut watched = agents.pop().context("the first agent")?;
    greet(&watched, &others)?;

    // what follows being found, and the quiet seconds after which counters are no longer read
    thread::sleep(Duration::from_secs(6));
    let pid = watched.daemon().pid();
    let look = || -> Result<(Usage, u64, Instant)> {
        let sent = usage::packets_sent(&watched.host().namespace, "eth0")?;
        Ok((Usage::of(pid)?, sent, Instant::now()))
    };
    let (before, sent_before, began) = look()?;
    thread::sleep(SAMPLE);
    let (after, sent_after, ended) = look()?;

    let seconds = (ended - began).as_secs_f64();
    let used = after.since(before);
    let processor = used.processor.as_secs_f64() / seconds * 100.0;
    let sleeps = used.sleeps as f64 / seconds;
    let packets = (sent_after - sent_before) as f64 / seconds / count as f64;
    let memory = watched.daemon().memory()? as f64 / 1e6;
    println!(
        "{count} peers: {memory:.1} MB, {processor:.2} % CPU, {sleeps:.1} wake-ups/s, {packets:.3} packets/s per peer"
    );
    let direct = watched.status()?.peers.iter().filter(|peer| peer.is_direct()).count();
    ensure!(direct == count, "{direct} of {count} peers are direct after the idle time");
    ensure!(memory < 60.0, "{memory} MB");
    ensure!(processor < 10.0, "{processor} % of a processor");
    // a few for the daemon itself, and two threads for each keepalive that a peer sends every 22 s
    ensure!(sleeps < 5.0 + count as f64 / 10.0, "{sleeps} wake-ups a second");
    ensure!(packets < 0.5, "{packets} packets a second per peer");
    Ok(())
}

/// Starts an agent on each host and enrols it; several at a time.
fn start(internet: &Internet, labels: &[String], invite: &str) -> Result<Vec<Agent>> {
    let mut agents = Vec::new();
    for labels in labels.chunks(AT_ONCE) {
        let started: Vec<Result<Agent>> = thread::scope(|scope| {
            let start = |label| {
                let agent = Agent::start(internet, label, Options::default())?;
                agent.up(invite)?;
                Ok(agent)
            };
            let workers: Vec<_> = labels.iter().map(|label| scope.spawn(move || start(label))).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("a start panicked"))))
                .collect()
        });
        for agent in started {
            agents.push(agent?);
        }
    }
    Ok(agents)
}

/// A small mesh connects by itself, in a larger one somebody has to speak first. Waits until all are direct.
fn greet(watched: &Agent, others: &[Agent]) -> Result<()> {
    let count = others.len();
    for other in others {
        let address = other.status()?.addresses()?.0.to_string();
        // the answer may be late; what counts is the path
        watched.host().namespace.command("ping").args(["-c", "1", "-W", "1", &address]).output()?;
    }
    watched.wait_status("direct paths to all", Duration::from_secs(60), |status| {
        status.peers.iter().filter(|peer| peer.is_direct()).count() == count
    })?;
    Ok(())
}

/// How many peers the watched agent has.
fn peers() -> Result<usize> {
    let asked = std::env::var("WARREN_LAB_IDLE_PEERS").ok();
    asked.map_or(Ok(PEERS), |text| text.parse().context("WARREN_LAB_IDLE_PEERS is a number of peers"))
}

const PEERS: usize = 20;
const AT_ONCE: usize = 8;
/// About one keepalive interval.
const SAMPLE: Duration = Duration::from_secs(22);
