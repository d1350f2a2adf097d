//! Nebula: a certificate authority of its own, and two hosts that know each other's address.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Programs, Tunnel, said};
use crate::bench::pair::Pair;
use crate::host::Daemon;
use crate::shell;
use crate::wait;

pub(super) fn version(programs: &Programs) -> Result<String> {
    programs.find("nebula-cert")?;
    let said = said(&programs.find("nebula")?, "-version")?;
    Ok(format!("nebula {}", said.trim_start_matches("Version: ")))
}

pub(super) fn start(pair: &Pair, programs: &Programs) -> Result<Tunnel> {
    let certifier = programs.find("nebula-cert")?;
    let directory = pair.directory();
    shell::run(Command::new(&certifier).args(["ca", "-name", "bench"]).current_dir(&directory))?;
    let mut daemons = Vec::new();
    for (index, host) in pair.hosts().into_iter().enumerate() {
        let (name, own) = (&host.label, format!("{}/24", ADDRESSES[index]));
        let words = ["sign", "-name", name, "-ip", &own];
        shell::run(Command::new(&certifier).args(words).current_dir(&directory)).context("sign a certificate")?;
        let peer = pair.hosts()[1 - index].address;
        let file = directory.join(format!("{name}.yml"));
        fs::write(&file, configuration(name, ADDRESSES[1 - index], peer)).context("write its configuration")?;
        let mut command = host.namespace.command(programs.find("nebula")?);
        command.arg("-config").arg(file).current_dir(&directory);
        let log = pair.records().join(format!("nebula-{name}.log"));
        daemons.push(Daemon::start(&mut command, &log)?);
    }
    for host in pair.hosts() {
        wait::until("Nebula's interface", INTERFACE_LIMIT, || {
            host.namespace.ip(&["addr", "show", "dev", INTERFACE, "up"]).ok().filter(|text| text.contains("inet "))
        })?;
    }
    Ok(Tunnel::of_daemons(ADDRESSES, daemons))
}

fn configuration(name: &str, peer: Ipv4Addr, at: Ipv4Addr) -> String {
    let any = "[{port: any, proto: any, host: any}]";
    format!(
        "pki: {{ca: ca.crt, cert: {name}.crt, key: {name}.key}}\n\
         static_host_map: {{\"{peer}\": [\"{at}:{PORT}\"]}}\n\
         lighthouse: {{am_lighthouse: false}}\n\
         listen: {{host: 0.0.0.0, port: {PORT}}}\n\
         tun: {{dev: {INTERFACE}, mtu: {MTU}}}\n\
         logging: {{level: warning}}\n\
         firewall: {{outbound: {any}, inbound: {any}}}\n"
    )
}

const INTERFACE: &str = "nebula1";
const PORT: u16 = 4242;
/// The most that fits a path of 1500 (its own default is 1300): header 16, tag 16, UDP and IPv4 28.
const MTU: u32 = 1440;
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 46, 0, 1), Ipv4Addr::new(10, 46, 0, 2)];
const INTERFACE_LIMIT: Duration = Duration::from_secs(5);
