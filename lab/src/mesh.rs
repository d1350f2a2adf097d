//! Figure 1 with everything running: where most system tests begin.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;

use crate::agent::{Agent, Options};
use crate::nat::NatKind;
use crate::server::Server;
use crate::topology::Internet;

/// A laptop and a desktop, each behind its NAT, enrolled at one rendezvous. Stopped in the order of the fields.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Mesh {
    pub laptop: Agent,
    pub desktop: Agent,
    pub server: Server,
    pub internet: Internet,
}

impl Mesh {
    /// Both enrolled, in an internet that may have been tampered with before.
    pub fn enrol(internet: Internet, options: &Options) -> Result<Self> {
        let server = Server::start(&internet)?;
        let laptop = Agent::start(&internet, "laptop", options.clone())?;
        let desktop = Agent::start(&internet, "desktop", options.clone())?;
        laptop.up(&server.invite(&[])?)?;
        desktop.up(&server.invite(&[])?)?;
        Ok(Self { laptop, desktop, server, internet })
    }

    /// Behind two port-restricted NATs, and each sees the other on a direct path.
    pub fn direct(title: &str, options: &Options) -> Result<Self> {
        let internet = Internet::figure_one(title, NatKind::PortRestricted, NatKind::PortRestricted)?;
        let mesh = Self::enrol(internet, options)?;
        mesh.wait_direct(DIRECT_LIMIT)?;
        Ok(mesh)
    }

    /// Waits until both ends send straight to each other.
    pub fn wait_direct(&self, limit: Duration) -> Result<()> {
        self.laptop.wait_direct("desktop", limit)?;
        self.desktop.wait_direct("laptop", limit)?;
        Ok(())
    }

    /// The laptop's overlay addresses, then the desktop's.
    pub fn addresses(&self) -> Result<[(Ipv4Addr, Ipv6Addr); 2]> {
        Ok([self.laptop.status()?.addresses()?, self.desktop.status()?.addresses()?])
    }
}

/// Punching takes well under a second; a busy machine and a debug build may take their time.
const DIRECT_LIMIT: Duration = Duration::from_secs(20);
