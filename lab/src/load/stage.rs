//! One thing after the other, each measured while nothing else happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use time::OffsetDateTime;
use warren_proto::candidate::{Candidate, CandidateKind, CandidateSet, NatReport};
use warren_proto::control::ToServer;
use warren_proto::keys::UnixTime;

use super::figures::{Figures, Times};
use super::server::Server;
use super::swarm::{Swarm, What};
use super::{Settings, agent::Agent};
use crate::run::Run;
use crate::usage::Usage;

/// Every stage in turn, on a fresh server.
pub(super) async fn all(run: &Run, settings: &Settings) -> Result<Figures> {
    let mut server = Server::start(&run.directory(), &run.records("load")?, settings.database_url.as_deref())?;
    let now = UnixTime::from_secs(u64::try_from(OffsetDateTime::now_utc().unix_timestamp())?);
    let mut swarm = Swarm::new(settings.agents, server.control, &server.invite()?, now)?;
    let mut figures = Figures::default();
    let agents = enrol(&mut swarm, settings, &mut figures).await?;
    // what enrolling left behind in memory is not what connections cost
    server.restart()?;
    let empty = server.daemon().memory()?;
    attach(&mut swarm, agents, &mut figures).await?;
    rest(&mut swarm, &server, settings, empty, &mut figures).await?;
    pairs(&mut swarm, settings, &mut figures).await?;
    churn(&mut swarm, &server, settings, &mut figures).await?;
    changes(&mut swarm, settings, &mut figures).await?;
    restart(&mut swarm, &mut server, settings, &mut figures).await?;
    figures.add("memory of the server at the end", megabytes(server.daemon().memory()?));
    Ok(figures)
}

async fn enrol(swarm: &mut Swarm, settings: &Settings, figures: &mut Figures) -> Result<Vec<Agent>> {
    let began = Instant::now();
    let agents = swarm.enrol(0..settings.agents).await?;
    let rate = settings.agents as f64 / began.elapsed().as_secs_f64();
    figures.add("agents", settings.agents);
    figures.add("enrolments a second", format!("{rate:.0}"));
    Ok(agents)
}

/// One takes the whole map, the others hold its revision, as agents do that were there all along.
async fn attach(swarm: &mut Swarm, agents: Vec<Agent>, figures: &mut Figures) -> Result<()> {
    let count = agents.len();
    let mut agents = agents.into_iter();
    let began = Instant::now();
    swarm.release(agents.next().context("there is an agent")?);
    let (mut told, mut size) = (0, 0);
    let mut held = 0;
    let whole = swarm.listen(LIMIT, |heard| {
        if let What::Map { revision, bytes, peers, .. } = heard.what {
            (told, size, held) = (told + peers, size + bytes, revision);
        }
        held != 0
    });
    ensure!(whole.await && told >= count, "the whole map did not come: {told} peers");
    figures.add("the whole map", format!("{} in {:.0} ms", megabytes(size as u64), ms(began.elapsed())));
    swarm.hold(held);
    let began = Instant::now();
    agents.for_each(|agent| swarm.release(agent));
    let (mut missing, mut maps) = (count - 1, 0);
    let attached = swarm.listen(LIMIT, |heard| {
        missing -= usize::from(heard.what == What::Attached);
        maps += map_bytes(heard.what);
        missing == 0
    });
    ensure!(attached.await, "{missing} agents did not come online");
    figures.add("until all are online", format!("{:.1} s", began.elapsed().as_secs_f64()));
    figures.add("told of maps and presence meanwhile", megabytes(maps));
    Ok(())
}

/// Nothing happens but keepalives.
async fn rest(
    swarm: &mut Swarm,
    server: &Server,
    settings: &Settings,
    empty: u64,
    figures: &mut Figures,
) -> Result<()> {
    tokio::time::sleep(SETTLE).await;
    let full = server.daemon().memory()?;
    let each = full.saturating_sub(empty) as f64 / settings.agents as f64 / 1024.0;
    figures.add("memory of the server", format!("{} ({} without agents)", megabytes(full), megabytes(empty)));
    figures.add("memory for each agent", format!("{each:.1} KiB"));
    swarm.clear();
    figures.add("processor, at rest", watch(server, settings.watch).await?);
    let maps: u64 = std::iter::from_fn(|| swarm.heard.try_recv().ok()).map(|heard| map_bytes(heard.what)).sum();
    figures.add("told of maps and presence at rest", megabytes(maps));
    Ok(())
}

/// Everybody asks for a channel to the next.
async fn pairs(swarm: &mut Swarm, settings: &Settings, figures: &mut Figures) -> Result<()> {
    let count = settings.agents;
    (0..count).for_each(|index| swarm.order(index, candidates(index, 1)));
    tokio::time::sleep(SETTLE).await;
    swarm.clear();
    let nodes = swarm.nodes.clone();
    let (mut times, mut asked) = (Times::default(), BTreeMap::new());
    for chunk in (0..count).collect::<Vec<_>>().chunks(PAIRS_AT_ONCE) {
        for index in chunk.iter().copied() {
            let next = (index + 1) % count;
            asked.insert((index, nodes[next]), Instant::now());
            asked.insert((next, nodes[index]), Instant::now());
            swarm.order(index, ToServer::Connect(nodes[next]));
        }
        let opened = swarm.listen(LIMIT, |heard| {
            if let What::PairOpened(peer) = heard.what
                && let Some(at) = asked.remove(&(heard.agent, peer))
            {
                times.add(heard.at.saturating_duration_since(at));
            }
            asked.is_empty()
        });
        ensure!(opened.await, "{} ends did not hear of their pair", asked.len());
    }
    figures.add("asking for a pair -> both know the channel", times);
    Ok(())
}

/// Agents move, a few of them at every moment, and all report what they measure.
async fn churn(swarm: &mut Swarm, server: &Server, settings: &Settings, figures: &mut Figures) -> Result<()> {
    let count = settings.agents;
    swarm.talk(true);
    swarm.clear();
    let nodes = swarm.nodes.clone();
    let before = Usage::of(server.daemon().pid())?;
    let (began, mut epoch, mut times) = (Instant::now(), 1, Times::default());
    let mut moved = BTreeMap::new();
    let pause = Duration::from_secs(60) / u32::try_from(count).context("not that many agents")?;
    while began.elapsed() < settings.watch {
        epoch += 1;
        // far apart, and each in its turn
        let index = (usize::try_from(epoch)? * 7919) % count;
        moved.insert((nodes[index], epoch), Instant::now());
        swarm.order(index, candidates(index, epoch));
        swarm
            .listen(pause.max(STEP), |heard| {
                if let What::Candidates { peer, epoch } = heard.what
                    && let Some(at) = moved.get(&(peer, epoch))
                {
                    times.add(heard.at.saturating_duration_since(*at));
                }
                false
            })
            .await;
    }
    let seconds = began.elapsed();
    let used = Usage::of(server.daemon().pid())?.since(before);
    figures.add("moves a minute", format!("{:.0}", moved.len() as f64 / seconds.as_secs_f64() * 60.0));
    figures.add("an agent has moved -> its peers know", times);
    figures.add("processor, with moves and a report of each every 5 s", share(used, seconds));
    swarm.talk(false);
    Ok(())
}

/// Devices join, and leave again.
async fn changes(swarm: &mut Swarm, settings: &Settings, figures: &mut Figures) -> Result<()> {
    let (mut joined, mut told, mut left) = (Times::default(), Times::default(), Times::default());
    for number in 0..CHANGES {
        tokio::time::sleep(SETTLE / 5).await;
        swarm.clear();
        let index = settings.agents + number;
        swarm.watch_for(&Agent::new(index));
        let began = Instant::now();
        let mut agents = swarm.enrol(index..=index).await?;
        let agent = agents.pop().context("it has enrolled")?;
        let (mut missing, node) = (settings.agents, agent.node);
        let everybody = swarm.listen(LIMIT, |heard| {
            if matches!(heard.what, What::Map { named: Some(_), .. }) && missing > 0 {
                missing -= 1;
                joined.add(heard.at.saturating_duration_since(began));
            }
            missing == 0
        });
        ensure!(everybody.await, "{missing} agents did not hear of a new device");
        // its two peers wait for it, and hear when it comes and goes
        swarm.order(0, ToServer::Connect(node));
        swarm.order(1, ToServer::Connect(node));
        tokio::time::sleep(SETTLE / 5).await;
        swarm.clear();
        let began = Instant::now();
        swarm.release(agent);
        told.add(presence(swarm, true, began).await?);
        tokio::time::sleep(SETTLE / 5).await;
        swarm.clear();
        let began = Instant::now();
        swarm.dismiss_last();
        left.add(presence(swarm, false, began).await?);
    }
    figures.add("a device enrols -> every agent knows", joined);
    figures.add("a device connects -> its peers know", told);
    figures.add("a device leaves -> its peers know", left);
    Ok(())
}

/// Until both of the first two agents are told that the device watched for is there, or is not.
async fn presence(swarm: &mut Swarm, online: bool, began: Instant) -> Result<Duration> {
    let mut waiting = vec![0, 1];
    let mut last = began;
    let told = swarm.listen(LIMIT, |heard| {
        if matches!(heard.what, What::Map { named: Some(named), .. } if named == online) {
            waiting.retain(|agent| *agent != heard.agent);
            last = heard.at;
        }
        waiting.is_empty()
    });
    ensure!(told.await, "agents {waiting:?} did not hear that a peer is online: {online}");
    Ok(last.saturating_duration_since(began))
}

/// The server is killed and started again. Each agent notices when it says something next.
async fn restart(swarm: &mut Swarm, server: &mut Server, settings: &Settings, figures: &mut Figures) -> Result<()> {
    swarm.talk(true);
    swarm.clear();
    let began = Instant::now();
    server.restart()?;
    let ready = Instant::now();
    figures.add("a killed server is ready again after", format!("{:.1} s", (ready - began).as_secs_f64()));
    let before = Usage::of(server.daemon().pid())?;
    let (mut times, mut maps) = (Times::default(), 0);
    let back = swarm.listen(LIMIT, |heard| {
        if heard.what == What::Attached {
            times.add(heard.at.saturating_duration_since(ready));
        }
        maps += map_bytes(heard.what);
        times.len() == settings.agents
    });
    ensure!(back.await, "{} of {} agents came back", times.len(), settings.agents);
    let used = Usage::of(server.daemon().pid())?.since(before);
    figures.add("ready again -> an agent is back", times);
    figures.add("processor time for that", format!("{:.1} s", used.processor.as_secs_f64()));
    figures.add("told of maps and presence meanwhile, after the restart", megabytes(maps));
    swarm.talk(false);
    Ok(())
}

async fn watch(server: &Server, time: Duration) -> Result<String> {
    let (before, began) = (Usage::of(server.daemon().pid())?, Instant::now());
    tokio::time::sleep(time).await;
    Ok(share(Usage::of(server.daemon().pid())?.since(before), began.elapsed()))
}

fn share(used: Usage, time: Duration) -> String {
    format!("{:.1} % of a core", used.processor.as_secs_f64() / time.as_secs_f64() * 100.0)
}

fn map_bytes(what: What) -> u64 {
    match what {
        What::Map { bytes, .. } => bytes as u64,
        What::Presence { bytes } => bytes as u64,
        What::Attached | What::Candidates { .. } | What::Lost | What::PairOpened(_) => 0,
    }
}

fn candidates(index: usize, epoch: u64) -> ToServer {
    // documentation addresses (RFC 5737): nobody is reached there, and nobody tries
    let octet = u8::try_from(index % 250 + 1).unwrap_or(1);
    let port = 1024 + u16::try_from((index as u64 + epoch) % 60_000).unwrap_or(0);
    let addr = ([203, 0, 113, octet], port).into();
    let candidates = vec![Candidate { addr, kind: CandidateKind::Reflexive }];
    ToServer::Candidates(CandidateSet { epoch, candidates, nat: NatReport::default() })
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Beyond this something hangs.
const LIMIT: Duration = Duration::from_secs(900);
/// What was set off before has come to its end by then.
const SETTLE: Duration = Duration::from_secs(5);
/// Between two moves at least: this process shares the machine with the server.
const STEP: Duration = Duration::from_millis(2);
/// As many as ask within one round trip of a busy moment.
const PAIRS_AT_ONCE: usize = 100;
/// How many devices join and leave.
const CHANGES: usize = 5;
