//! A device revoked in the dashboard is cut off by its peers within a second.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::Options;
use warren_lab::dashboard::Dashboard;
use warren_lab::mesh::Mesh;

use crate::rekey::{finish_both, start_both};

#[test]
fn traffic_with_a_revoked_device_stops_within_a_second() -> Result<()> {
    let mesh = Mesh::direct("revoke", &Options::default())?;
    let dashboard = Dashboard::set_up(&mesh.server, mesh.internet.directory().join("cookies"))?;
    ensure!(dashboard.page("/devices")?.contains("desktop"), "the dashboard shows the desktop");
    let desktop = mesh.desktop.status()?.device.context("the desktop is enrolled")?.id;
    let streams = start_both(&mesh)?;
    std::thread::sleep(Duration::from_secs(1));

    dashboard.revoke(&desktop)?;
    std::thread::sleep(Duration::from_secs(1));
    let at_one_second = mesh.laptop.status()?;
    std::thread::sleep(Duration::from_secs(2));
    let later = mesh.laptop.status()?;
    let reports = finish_both(streams)?;

    ensure!(at_one_second.peer("desktop").is_none_or(|peer| peer.session.is_none()), "{at_one_second:?}");
    ensure!(later.peer("desktop").is_none_or(|peer| peer.session.is_none()), "{later:?}");
    for report in &reports {
        println!("{report:?}");
        let undelivered = report.lost + report.refused;
        ensure!(undelivered >= 1_800, "traffic went on for more than a second after the revocation: {report:?}");
    }
    let again = mesh.desktop.run(&["up", "--timeout", "5s"])?;
    ensure!([3, 9].contains(&again.code), "a revoked device is told so: {again:?}");
    Ok(())
}
