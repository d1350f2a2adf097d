//! Nothing is lost when keys or paths change under a steady stream of 1,000 packets a second in each direction.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::Options;
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::stream::{Report, Stream};
use warren_lab::topology::Internet;
use warren_lab::wait;

#[test]
fn three_rekeys_lose_nothing() -> Result<()> {
    let mesh = Mesh::direct("rekey", &Options::default().env("WARREN_REKEY_SECONDS", "4"))?;
    let before = rekeys(&mesh)?;

    let streams = start_both(&mesh)?;
    wait::until("three rekeys", Duration::from_secs(60), || rekeys(&mesh).ok().filter(|now| *now >= before + 3))?;
    let reports = finish_both(streams)?;

    for report in &reports {
        println!("{report:?}");
        ensure!(report.lost == 0 && report.lost_at_first == 0, "lost over three rekeys: {report:?}");
        ensure!(report.sent > 8_000, "the stream did not run: {report:?}");
    }
    Ok(())
}

#[test]
fn the_move_from_relay_to_direct_loses_nothing() -> Result<()> {
    let internet = Internet::figure_one("upgrade", NatKind::PortRestricted, NatKind::PortRestricted)?;
    internet.block_direct()?;
    let mesh = Mesh::enrol(internet, &Options::default())?;
    for (agent, peer) in [(&mesh.laptop, "desktop"), (&mesh.desktop, "laptop")] {
        agent.wait_status("a relayed session", Duration::from_secs(20), |status| {
            status.peer(peer).is_some_and(|peer| peer.path.kind == "relay" && peer.session.is_some())
        })?;
    }

    let streams = start_both(&mesh)?;
    mesh.internet.unblock_direct()?;
    mesh.laptop.run(&["ping", "desktop", "--until-direct", "--timeout", "90s"])?.success()?;
    mesh.wait_direct(Duration::from_secs(30))?;
    let reports = finish_both(streams)?;

    for report in &reports {
        println!("{report:?}");
        ensure!(report.lost == 0 && report.lost_at_first == 0, "lost on the way to the direct path: {report:?}");
    }
    Ok(())
}

#[test]
fn a_direct_path_that_breaks_falls_back_to_the_relay() -> Result<()> {
    let mesh = Mesh::direct("downgrade", &Options::default())?;
    let streams = start_both(&mesh)?;
    std::thread::sleep(Duration::from_secs(1));

    mesh.internet.block_direct()?;
    for (agent, peer) in [(&mesh.laptop, "desktop"), (&mesh.desktop, "laptop")] {
        agent.wait_status("the relay", Duration::from_secs(20), |status| {
            status.peer(peer).is_some_and(|peer| peer.path.kind == "relay")
        })?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let reports = finish_both(streams)?;

    for report in &reports {
        println!("{report:?}");
        ensure!(report.longest_silence < Duration::from_secs(5), "silent for too long: {report:?}");
    }
    Ok(())
}

fn rekeys(mesh: &Mesh) -> Result<u64> {
    let status = mesh.laptop.status()?;
    let session = status.peer("desktop").and_then(|peer| peer.session.as_ref()).context("a session")?;
    Ok(session.rekeys)
}

pub(crate) fn start_both(mesh: &Mesh) -> Result<[Stream; 2]> {
    let [(laptop, _), (desktop, _)] = mesh.addresses()?;
    let (near, far) = (&mesh.laptop.host().namespace, &mesh.desktop.host().namespace);
    Ok([
        Stream::start(near, far, (desktop, PORT).into(), RATE, SIZE)?,
        Stream::start(far, near, (laptop, PORT).into(), RATE, SIZE)?,
    ])
}

pub(crate) fn finish_both(streams: [Stream; 2]) -> Result<Vec<Report>> {
    streams.into_iter().map(Stream::finish).collect()
}

const PORT: u16 = 9000;
/// Packets a second, each way.
const RATE: u32 = 1_000;
/// A voice packet's size.
const SIZE: usize = 200;
