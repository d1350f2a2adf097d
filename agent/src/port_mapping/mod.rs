//! Asks the gateway to forward our UDP port: by PCP, NAT-PMP or UPnP, whichever it speaks.
//!
//! A granted mapping lets peers in that no hole punching could. One task keeps it: made when there is a gateway, renewed
//! at half its life and when the gateway says that it restarted, deleted at the end. What the mapping's address is good
//! for is decided in `gather`, which gateway there is in `netcfg`.
//!
//! - `keeper`: when to ask, to renew, to give back.
//! - `pcp`: PCP (RFC 6887) and NAT-PMP (RFC 6886). `upnp`: UPnP-IGD. `announcement`: restarts of the gateway.

mod announcement;
mod keeper;
mod pcp;
mod upnp;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use warren_proto::keys::StaticSecret;

use crate::netcfg::Gateway;

/// What to ask for, and by which protocols.
#[derive(Clone)]
pub struct Settings {
    /// Our UDP port.
    pub port: NonZeroU16,
    /// Whether UPnP is asked as well; its search goes to the whole network.
    pub upnp: bool,
    /// From which PCP's proof of ownership is derived, so that a restarted daemon owns what it was granted before.
    pub secret: StaticSecret,
}

/// The protocols, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Protocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP-IGD, version 1 or 2.
    Upnp,
}

impl Protocol {
    /// The stable word used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcp => "pcp",
            Self::NatPmp => "nat-pmp",
            Self::Upnp => "upnp",
        }
    }
}

/// What is known of the gateway.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outlook {
    /// By what it was heard to grant mappings.
    pub protocols: Vec<Protocol>,
    /// The address that leads to our port.
    pub mapping: Option<SocketAddr>,
    /// Whether every protocol has answered or was given up.
    pub settled: bool,
}

/// The task's handle; dropped without [`Self::end`], the task still gives the mapping back, if it gets the time.
#[derive(Debug)]
pub struct PortMapper {
    wishes: watch::Sender<Option<Gateway>>,
    outlook: watch::Receiver<Outlook>,
    task: JoinHandle<()>,
}

impl PortMapper {
    /// Starts the task; it waits for a gateway. Needs a tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let (wishes, wishes_end) = watch::channel(None);
        let (outlook_end, outlook) = watch::channel(Outlook::default());
        let task = tokio::spawn(keeper::keep(settings, wishes_end, outlook_end));
        Self { wishes, outlook, task }
    }

    /// The network is another, or this is the first look at it. Also when the gateway is the same: it may have forgotten.
    pub fn set_gateway(&self, gateway: Option<Gateway>) {
        self.wishes.send_replace(gateway);
    }

    /// Waits until something is different from when this was last called.
    pub async fn changed(&mut self) -> Outlook {
        if self.outlook.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.outlook.borrow_and_update().clone()
    }

    /// What is known now.
    pub fn outlook(&self) -> Outlook {
        self.outlook.borrow().clone()
    }

    /// Gives the mapping back, and ends.
    pub async fn end(self) {
        drop(self.wishes);
        // a gateway that does not answer forgets by itself when the mapping's life ends
        let _ = tokio::time::timeout(END_WITHIN, self.task).await;
    }
}

/// What RFC 6886 section 3.3 recommends, and PCP's clients ask for as well.
const LIFETIME: Duration = Duration::from_secs(7200);
/// A shutdown is not held up by a gateway that just vanished.
const END_WITHIN: Duration = Duration::from_millis(1500);
