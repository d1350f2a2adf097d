//! The host's network settings: addresses and routes of the TUN device, and the addresses the host has elsewhere.
//!
//! Everything goes over netlink and concerns the TUN device alone: routes of ours carry a protocol number of their
//! own, so that what a crash left behind is found again and what an operator added is left alone. No packets here,
//! and no decision about what the settings should be.

mod desired;
mod gateway;
mod host;
mod kernel;
mod watch;

use std::io;

pub use desired::{Desired, Route};
pub use gateway::Gateway;
pub use host::{Exclude, OnLink, addresses};
use kernel::Kernel;
pub use watch::{HostNetwork, watch};

use desired::{Change, changes};

/// Holds the settings of one TUN device; dropped without [`NetConfig::undo`] it leaves them to the device's own end.
#[derive(Debug)]
pub struct NetConfig {
    kernel: Kernel,
    index: u32,
}

/// Why the host's network could not be set.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refused a request.
    #[error("cannot {action}: {source}")]
    Refused {
        /// What was asked for.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no netlink socket to be had.
    #[error("cannot open a netlink socket: {0}")]
    Socket(#[source] io::Error),
}

impl NetConfig {
    /// Takes charge of the interface with this index. Needs a tokio runtime.
    pub fn new(index: u32) -> Result<Self, NetError> {
        Ok(Self { kernel: Kernel::connect()?, index })
    }

    /// Makes the kernel's settings equal to `desired`, by what differs alone, and takes the device up.
    ///
    /// On a host without IPv6 its half is left out.
    pub async fn apply(&self, desired: &Desired) -> Result<(), NetError> {
        self.kernel.take_up(self.index).await?;
        let current = self.kernel.current(self.index).await?;
        for change in changes(&current, desired) {
            match self.change(&change).await {
                Err(NetError::Refused { source, .. }) if change.is_ipv6() && kernel::ipv6_is_off(&source) => {
                    tracing::debug!("IPv6 is off on this host: its half of the overlay is left out");
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Takes every address and route of ours from the device and takes it down.
    pub async fn undo(&self) -> Result<(), NetError> {
        let current = self.kernel.current(self.index).await?;
        for change in changes(&current, &Desired::default()) {
            self.change(&change).await?;
        }
        self.kernel.take_down(self.index).await
    }

    async fn change(&self, change: &Change) -> Result<(), NetError> {
        match change {
            Change::AddAddress(address) => self.kernel.add_address(self.index, *address).await,
            Change::RemoveAddress(address) => self.kernel.remove_address(self.index, *address).await,
            Change::SetRoute(route) => self.kernel.set_route(self.index, route).await,
            Change::RemoveRoute(route) => self.kernel.remove_route(self.index, route).await,
        }
    }
}
