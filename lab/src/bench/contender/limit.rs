//! The yardstick: forwards between a TUN and a UDP socket with offloads on both, and does nothing else. What no
//! userspace tunnel on this machine can beat.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Programs, Tunnel};
use crate::bench::pair::Pair;
use crate::host::Daemon;
use crate::wait;

pub(super) fn version(programs: &Programs) -> Result<String> {
    let program = programs.limit.as_ref().context("the yardstick is not built: say where it is with --limit")?;
    anyhow::ensure!(program.is_file(), "{} is not there", program.display());
    Ok("the yardstick".to_owned())
}

pub(super) fn start(pair: &Pair, programs: &Programs) -> Result<Tunnel> {
    let program = programs.limit.as_ref().context("the yardstick is not built")?;
    let [sender, receiver] = pair.hosts();
    let mut daemons = Vec::new();
    for (host, peer) in [(sender, receiver), (receiver, sender)] {
        let mut command = host.namespace.command(program);
        command.args([INTERFACE, &peer.address.to_string(), PORT]);
        let log = pair.records().join(format!("limit-{}.log", host.label));
        daemons.push(Daemon::start(&mut command, &log)?);
    }
    for (host, address) in [(sender, ADDRESSES[0]), (receiver, ADDRESSES[1])] {
        wait::until("the yardstick's interface", INTERFACE_LIMIT, || {
            host.namespace.ip(&["link", "set", INTERFACE, "up", "mtu", MTU]).ok()
        })?;
        host.namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", INTERFACE])?;
    }
    Ok(Tunnel::of_daemons(ADDRESSES, daemons))
}

const INTERFACE: &str = "limit0";
const PORT: &str = "4500";
/// What its README asks for.
const MTU: &str = "1450";
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 44, 0, 1), Ipv4Addr::new(10, 44, 0, 2)];
const INTERFACE_LIMIT: Duration = Duration::from_secs(5);
