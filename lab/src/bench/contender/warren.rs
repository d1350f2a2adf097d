//! Warren as its users run it: a rendezvous, two agents, nothing set but their names.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Running, Tunnel, still_running};
use crate::agent::{Agent, Options};
use crate::bench::pair::Pair;
use crate::server::Server;
use crate::status::Status;

/// Two agents and their rendezvous; stopped in this order.
#[derive(Debug)]
pub(super) struct Mesh {
    agents: [Agent; 2],
    server: Server,
    kind: &'static str,
}

/// Enrols both hosts and waits until they talk straight to each other, or `relayed` by the rendezvous.
pub(super) fn start(pair: &Pair, relayed: bool) -> Result<Tunnel> {
    if relayed {
        pair.block_udp()?;
    }
    let kind = if relayed { "relay" } else { "direct" };
    let mut server = Server::start_on(pair.rendezvous.clone(), &pair.directory(), pair.records())?;
    let mut agents = [start_agent(pair, 0)?, start_agent(pair, 1)?];
    for agent in &agents {
        agent.up(&server.invite(&[])?)?;
    }
    let mut addresses = [Ipv4Addr::UNSPECIFIED; 2];
    for (index, agent) in agents.iter().enumerate() {
        let status = agent.wait_status(&format!("a {kind} path"), PATH_LIMIT, |status| uses(status, kind))?;
        addresses[index] = status.addresses()?.0;
    }
    let ends = agents.iter_mut().map(|agent| agent.daemon().pid()).collect();
    let between = if relayed { vec![server.daemon().pid()] } else { Vec::new() };
    let programs = Running::Warren(Box::new(Mesh { agents, server, kind }));
    Ok(Tunnel { addresses, ends, between, programs })
}

impl Mesh {
    pub(super) fn check(&mut self) -> Result<()> {
        still_running(self.server.daemon())?;
        for agent in &mut self.agents {
            still_running(agent.daemon())?;
            let status = agent.status()?;
            ensure!(uses(&status, self.kind), "a path is not {} any more: {status:?}", self.kind);
        }
        Ok(())
    }
}

fn start_agent(pair: &Pair, index: usize) -> Result<Agent> {
    let host = pair.hosts()[index].clone();
    let label = host.label.clone();
    Agent::start_on(host, &pair.directory(), pair.records(), Options::default())
        .with_context(|| format!("start the {label}'s agent"))
}

fn uses(status: &Status, kind: &str) -> bool {
    status.peers.first().is_some_and(|peer| peer.path.kind == kind && peer.session.is_some())
}

/// Without UDP on the cable the pair tries for a while before it settles; the relay carries it from the start.
const PATH_LIMIT: Duration = Duration::from_secs(30);
