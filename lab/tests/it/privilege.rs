//! The agent needs one capability, and keeps no other.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::host::Finished;
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::topology::Internet;

#[test]
fn cap_net_admin_alone_is_enough() -> Result<()> {
    let internet = Internet::figure_one("privilege-alone", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let mesh = Mesh::enrol(internet, &Options::unprivileged())?;

    mesh.wait_direct(Duration::from_secs(20))?;
    let [_, (desktop, _)] = mesh.addresses()?;
    let ping = ["-n", "-c", "1", "-W", "2", &desktop.to_string()];
    Finished::run(mesh.laptop.host().namespace.command("ping").args(ping))?.success()?;
    Ok(())
}

#[test]
fn started_as_root_it_gives_up_everything_else() -> Result<()> {
    let internet = Internet::figure_one("privilege-root", NatKind::None, NatKind::None)?;
    let mut laptop = Agent::start(&internet, "laptop", Options::default())?;

    let status = fs::read_to_string(format!("/proc/{}/status", laptop.daemon().pid()))?;
    for kept in ["CapPrm:", "CapEff:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(kept)).context("its capabilities")?;
        let kept = u64::from_str_radix(line.trim(), 16)?;
        ensure!(kept == 1 << CAP_NET_ADMIN, "it keeps the capabilities {kept:#x}");
    }
    Ok(())
}

/// Its number in capabilities(7).
const CAP_NET_ADMIN: u32 = 12;
