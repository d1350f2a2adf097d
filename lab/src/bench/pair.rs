//! Where a benchmark runs: two hosts on one cable, as close as two machines can be.
//!
//! ```text
//!   sender 198.51.100.1 ──────── cable ──────── 198.51.100.2 receiver
//!          192.0.2.1 ──── uplink ── rendezvous ── uplink ──── 192.0.2.2
//!                                  192.0.2.10
//! ```
//! The rendezvous forwards no packets, so the cable is the only direct way between the hosts. It has one address on both
//! its cables, as a server on the internet has one address for everybody.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::namespace::{Namespace, cable};
use crate::run::Run;
use crate::shell;
use crate::topology::{Host, RENDEZVOUS};

/// Two hosts and a rendezvous that exist until they are dropped.
#[derive(Debug)]
pub(super) struct Pair {
    run: Run,
    records: PathBuf,
    /// The host that sends.
    pub(super) sender: Host,
    /// The host that receives.
    pub(super) receiver: Host,
    /// The public server, with nothing running.
    pub(super) rendezvous: Namespace,
}

impl Pair {
    /// Builds it. `title` names the directory of its records; a run of the same title replaces them.
    pub(super) fn build(title: &str) -> Result<Self> {
        let run = Run::begin()?;
        Self::build_as(&run, title).inspect_err(|_| {
            // The error that matters is the one on its way up.
            let _ = run.remove();
        })
    }

    fn build_as(run: &Run, title: &str) -> Result<Self> {
        let records = run.records(title)?;
        let rendezvous = Namespace::create(run.namespace("rendezvous"))?;
        let sender = host(run, "sender", Ipv4Addr::new(198, 51, 100, 1))?;
        let receiver = host(run, "receiver", Ipv4Addr::new(198, 51, 100, 2))?;

        cable((&sender.namespace, CABLE), (&receiver.namespace, CABLE))?;
        for host in [&sender, &receiver] {
            host.namespace.ip(&["addr", "add", &format!("{}/24", host.address), "dev", CABLE])?;
        }
        for (host, own, port) in [(&sender, "192.0.2.1", "port0"), (&receiver, "192.0.2.2", "port1")] {
            let server = RENDEZVOUS.to_string();
            cable((&host.namespace, UPLINK), (&rendezvous, port))?;
            host.namespace.ip(&["addr", "add", own, "peer", &server, "dev", UPLINK])?;
            rendezvous.ip(&["addr", "add", &server, "peer", own, "dev", port])?;
        }
        Ok(Self { run: run.clone(), records, sender, receiver, rendezvous })
    }

    /// The sender, then the receiver.
    pub(super) fn hosts(&self) -> [&Host; 2] {
        [&self.sender, &self.receiver]
    }

    /// Where logs go; they outlive the pair.
    pub(super) fn records(&self) -> &Path {
        &self.records
    }

    /// State of the processes; removed with the pair.
    pub(super) fn directory(&self) -> PathBuf {
        self.run.directory()
    }

    /// From here on no UDP passes the cable: what two hosts without a direct way between them meet.
    pub(super) fn block_udp(&self) -> Result<()> {
        // On arrival, where a firewall would be; a drop on departure would be an error to the sender.
        let rules = format!(
            "table inet block {{ chain c_arrive {{ type filter hook prerouting priority raw; policy accept;\n\
             iifname \"{CABLE}\" meta l4proto udp drop\n}}\n}}\n"
        );
        for host in self.hosts() {
            shell::run_with_input(host.namespace.command("nft").args(["-f", "-"]), &rules).context("block UDP")?;
        }
        Ok(())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Err(error) = self.run.remove() {
            eprintln!("lab: could not clean up: {error:#}");
        }
    }
}

fn host(run: &Run, label: &str, address: Ipv4Addr) -> Result<Host> {
    Ok(Host { namespace: Namespace::create(run.namespace(label))?, label: label.to_owned(), address, address_v6: None })
}

/// The hosts' end of the cable between them.
pub(super) const CABLE: &str = "eth0";
/// The hosts' end of the cable to the rendezvous.
pub(super) const UPLINK: &str = "eth1";
