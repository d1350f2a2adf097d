//! What a steady stream of 1,000 packets a second in each direction loses when the ground shifts below it. The move from
//! the relay to a direct path is `rekey`'s.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::Options;
use warren_lab::mesh::Mesh;
use warren_lab::namespace::cable;
use warren_lab::stream::Report;

use crate::rekey::{finish_both, start_both};

#[test]
fn plugging_into_the_peers_network_moves_the_stream_there_without_loss() -> Result<()> {
    let mesh = Mesh::direct("handover-lan", &Options::default())?;
    let streams = start_both(&mesh)?;
    std::thread::sleep(Duration::from_secs(1));

    let laptop = &mesh.laptop.host().namespace;
    let home = mesh.internet.sites[1].gateway.as_ref().context("the home has a gateway")?;
    cable((home, "port9"), (laptop, "eth1"))?;
    home.ip(&["link", "set", "port9", "master", "lan0"])?;
    laptop.ip(&["addr", "add", "192.168.2.77/24", "dev", "eth1"])?;
    for (agent, peer) in [(&mesh.laptop, "desktop"), (&mesh.desktop, "laptop")] {
        agent.wait_status("a path inside the network", Duration::from_secs(20), |status| {
            status.peer(peer).is_some_and(|peer| peer.path.via.as_deref() == Some("lan"))
        })?;
    }
    std::thread::sleep(Duration::from_secs(1));

    judge(&finish_both(streams)?, 0)
}

#[test]
fn a_direct_path_that_dies_costs_a_second_at_most() -> Result<()> {
    let mesh = Mesh::direct("handover-dies", &Options::default())?;
    let streams = start_both(&mesh)?;
    std::thread::sleep(Duration::from_secs(1));

    mesh.internet.block_direct()?;
    std::thread::sleep(Duration::from_secs(6));

    judge(&finish_both(streams)?, 1_000)
}

#[test]
fn another_address_of_the_nat_costs_little_more_than_a_second_at_most() -> Result<()> {
    let mut mesh = Mesh::direct("handover-renumbered", &Options::default())?;
    let streams = start_both(&mesh)?;
    std::thread::sleep(Duration::from_secs(1));

    mesh.internet.sites[0].renumber(7)?;
    std::thread::sleep(Duration::from_secs(8));
    let reports = finish_both(streams)?;

    mesh.wait_direct(Duration::from_secs(60)).context("direct again")?;
    judge(&reports, 1_200)
}

/// Every packet of the first second and of the last has arrived, and no more than so many of the others are lost.
fn judge(reports: &[Report], lost: u64) -> Result<()> {
    for report in reports {
        println!("{report:?}");
        ensure!(report.lost_at_first == 0, "lost before anything happened: {report:?}");
        ensure!(report.lost <= lost, "{} packets are lost: {report:?}", report.lost);
    }
    Ok(())
}
