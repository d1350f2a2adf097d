//! What an agent that searches for a port costs the NATs on the way: home routers have tables of a few thousand
//! sessions, and carriers count mappings per subscriber.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use warren_lab::agent::Options;
use warren_lab::mesh::Mesh;
use warren_lab::nat::{self, NatKind};
use warren_lab::topology::Internet;

#[test]
fn no_nat_sees_more_than_three_hundred_new_mappings_of_one_agent_in_a_minute() -> Result<()> {
    // A search that can find nothing spends all it may.
    let internet = Internet::figure_one("budget", NatKind::PortRestricted, NatKind::Symmetric)?;
    internet.block_direct()?;
    let mesh = Mesh::enrol(internet, &Options::default())?;

    let began = Instant::now();
    let mut made: Vec<[u64; 2]> = Vec::new();
    while began.elapsed() < watch()? {
        let now = mesh.internet.sites.iter().map(|site| {
            let gateway = site.gateway.as_ref().context("the site has a gateway")?;
            nat::mappings_made(gateway)
        });
        let now: Vec<_> = now.collect::<Result<_>>()?;
        made.push([now[0], now[1]]);
        std::thread::sleep(STEP);
    }

    for (site, name, limit) in [(0, "the port-restricted NAT", SESSIONS), (1, "the symmetric NAT", MAPPINGS)] {
        let last = made.last().map_or(0, |made| made[site]);
        let worst = (0..made.len()).map(|end| made[end][site] - made[end.saturating_sub(MINUTE)][site]).max();
        let worst = worst.context("a look at the NAT")?;
        println!("{name}: {last} entries in all, {worst} in the worst minute");
        // What was there before the first look was made within seconds.
        ensure!(worst.max(made[0][site]) <= limit && made[0][site] < 100, "{name} saw {worst} in a minute");
    }
    Ok(())
}

/// How long to watch: a round, a search and what follows; longer by request.
fn watch() -> Result<Duration> {
    let asked = std::env::var("WARREN_LAB_BUDGET_SECONDS").ok();
    let seconds = asked.map_or(Ok(40), |text| text.parse().context("WARREN_LAB_BUDGET_SECONDS is a number"))?;
    Ok(Duration::from_secs(seconds))
}

/// What the symmetric NAT may be asked for: each entry is a mapping, with a port of its own.
const MAPPINGS: u64 = 300;
/// What the other one keeps: one mapping for the agent's one socket, in which each of up to 1,159 ports tried is a session
/// (RFC 4787 section 1 tells the two apart), and those of everything else.
const SESSIONS: u64 = 1_159 + 100;
const STEP: Duration = Duration::from_millis(500);
/// In steps; asking takes a little time as well, so that it is rather more than a minute.
const MINUTE: usize = 120;
