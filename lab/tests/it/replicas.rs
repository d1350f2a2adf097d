//! Three servers over one PostgreSQL: one is killed, one is stopped, the database goes away. Tunnels notice nothing of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::nat::NatKind;
use warren_lab::postgres::Postgres;
use warren_lab::server::Server;
use warren_lab::stream::{Report, Stream};
use warren_lab::topology::Internet;
use warren_lab::wait;

#[test]
fn agents_of_a_killed_server_are_at_another_within_ten_seconds_and_their_tunnel_loses_nothing() -> Result<()> {
    let mut several = Several::start("replica-killed")?;
    let streams = several.streams()?;
    let home = several.home_of(&several.laptop)?;

    several.servers[home].kill()?;
    let killed = Instant::now();
    let id = several.laptop.status()?.device.context("an identity")?.id;
    several.wait_attached_elsewhere(&id, home)?;
    let took = killed.elapsed();

    println!("attached again after {took:?}");
    ensure!(took < Duration::from_secs(10), "it took {took:?}");
    intact(streams)
}

#[test]
fn agents_of_a_stopping_server_go_to_another_before_it_ends() -> Result<()> {
    let mut several = Several::start("replica-stopped")?;
    let streams = several.streams()?;
    let home = several.home_of(&several.laptop)?;
    let id = several.laptop.status()?.device.context("an identity")?.id;

    let ended = several.servers[home].terminate()?;

    ensure!(ended.success(), "it ended with {ended}");
    several.wait_attached_elsewhere(&id, home)?;
    several.laptop.wait_status("the connection", Duration::from_secs(1), |status| {
        status.rendezvous.as_ref().is_some_and(|server| server.connected)
    })?;
    intact(streams)
}

#[test]
fn while_the_database_is_away_tunnels_go_on_and_afterwards_everything_does() -> Result<()> {
    let several = Several::start("database-away")?;
    let streams = several.streams()?;

    several.postgres.stop()?;
    std::thread::sleep(away()?);
    let refused = several.servers[0].run(&["key", "create"])?;
    ensure!(refused.code != 0 && refused.stderr.contains("database"), "{refused:?}");
    several.postgres.resume()?;

    let invite = wait::until("an invite", Duration::from_secs(15), || several.servers[0].invite(&[]).ok())?;
    ensure!(invite.starts_with("warren_inv_"), "{invite}");
    for agent in [&several.laptop, &several.desktop] {
        let status = agent.status()?;
        ensure!(status.rendezvous.is_some_and(|server| server.connected), "it lost its server with the database");
    }
    intact(streams)
}

/// Three servers, and two agents that have found a direct path. Stopped in the order of the fields.
struct Several {
    laptop: Agent,
    desktop: Agent,
    servers: Vec<Server>,
    postgres: Postgres,
    _internet: Internet,
}

impl Several {
    fn start(title: &str) -> Result<Self> {
        let internet = Internet::figure_one(title, NatKind::PortRestricted, NatKind::PortRestricted)?;
        let postgres = Postgres::start(&internet.directory())?;
        let mut servers = Vec::new();
        for number in 0..3 {
            servers.push(Server::start_replica(&internet, number, &postgres.url())?);
        }
        let laptop = Agent::start(&internet, "laptop", Options::default())?;
        let desktop = Agent::start(&internet, "desktop", Options::default())?;
        laptop.up(&servers[0].invite(&[])?)?;
        desktop.up(&servers[1].invite(&[])?)?;
        laptop.wait_direct("desktop", DIRECT_LIMIT)?;
        desktop.wait_direct("laptop", DIRECT_LIMIT)?;
        Ok(Self { laptop, desktop, servers, postgres, _internet: internet })
    }

    /// A thousand packets a second, either way.
    fn streams(&self) -> Result<[Stream; 2]> {
        let ((laptop, _), (desktop, _)) = (self.laptop.status()?.addresses()?, self.desktop.status()?.addresses()?);
        let (near, far) = (&self.laptop.host().namespace, &self.desktop.host().namespace);
        Ok([
            Stream::start(near, far, (desktop, 9000).into(), 1000, 200)?,
            Stream::start(far, near, (laptop, 9000).into(), 1000, 200)?,
        ])
    }

    /// At which server it attached last.
    fn home_of(&self, agent: &Agent) -> Result<usize> {
        let id = agent.status()?.device.context("an identity")?.id;
        let at = |server: &Server| times_online(server, &id);
        (0..self.servers.len()).find(|index| at(&self.servers[*index]) > 0).context("it is at one of the servers")
    }

    fn wait_attached_elsewhere(&self, id: &str, home: usize) -> Result<()> {
        let others = || self.servers.iter().enumerate().filter(|(index, _)| *index != home);
        wait::until("the agent at another server", Duration::from_secs(20), || {
            others().any(|(_, server)| times_online(server, id) > 0).then_some(())
        })
    }
}

fn times_online(server: &Server, id: &str) -> usize {
    let bare: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    server.output().lines().filter(|line| line.contains("is online") && line.contains(&bare)).count()
}

fn intact(streams: [Stream; 2]) -> Result<()> {
    std::thread::sleep(Duration::from_secs(3));
    for stream in streams {
        let report: Report = stream.finish()?;
        println!("{report:?}");
        ensure!(report.lost == 0, "traffic was disturbed: {report:?}");
    }
    Ok(())
}

/// For how long the database is away: enough for everything that would give up to do so; longer by request.
fn away() -> Result<Duration> {
    let asked = std::env::var("WARREN_LAB_AWAY_SECONDS").ok();
    let seconds = asked.map_or(Ok(20), |text| text.parse().context("WARREN_LAB_AWAY_SECONDS is a number"))?;
    Ok(Duration::from_secs(seconds))
}

/// As of every mesh of the lab.
const DIRECT_LIMIT: Duration = Duration::from_secs(20);
