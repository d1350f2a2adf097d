//! When to ask the gateway: at once, at half of a mapping's life, when the network changed, when the gateway restarted.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

use super::announcement::Announcements;
use super::upnp::Igd;
use super::{LIFETIME, Outlook, Protocol, Settings, pcp, upnp};
use crate::netcfg::Gateway;

/// Keeps a mapping on the gateway last wished for, until nobody wishes any more; then gives it back.
pub(super) async fn keep(
    settings: Settings,
    mut wishes: watch::Receiver<Option<Gateway>>,
    outlook: watch::Sender<Outlook>,
) {
    let mut keeper = Keeper { settings, outlook, lease: None };
    let announcements = Announcements::listen();
    loop {
        let gateway = *wishes.borrow_and_update();
        let is_over = tokio::select! {
            () = keeper.serve(gateway, &announcements) => false,
            wish = wishes.changed() => wish.is_err(),
        };
        if is_over {
            return keeper.release().await;
        }
    }
}

struct Keeper {
    settings: Settings,
    outlook: watch::Sender<Outlook>,
    lease: Option<Lease>,
}

struct Lease {
    gateway: Gateway,
    grant: Grant,
}

enum Grant {
    NatPmp(pcp::Lease),
    Pcp(pcp::Lease),
    Upnp(upnp::Lease),
}

impl Keeper {
    async fn serve(&mut self, gateway: Option<Gateway>, announcements: &Announcements) {
        // what another network's gateway holds for us is out of reach, and ends by itself
        self.lease.take_if(|lease| Some(lease.gateway) != gateway);
        if self.lease.is_none() {
            self.publish(|outlook| *outlook = Outlook { settled: gateway.is_none(), ..Outlook::default() });
        }
        let Some(gateway) = gateway else { return std::future::pending().await };
        let mut pause = RETRY;
        loop {
            let granted = self.renew(gateway).await || self.ask(gateway).await;
            let wait = if granted { self.renewal() } else { pause };
            pause = if granted { RETRY } else { (pause * 2).min(LONGEST_PAUSE) };
            let again_at = Instant::now() + wait;
            tokio::select! {
                () = sleep_until(again_at) => {}
                () = announcements.hear(gateway.router) => sleep(jitter()).await,
            }
        }
    }

    /// Asks again for what is held. False when nothing is, or the gateway does not answer for it any more.
    async fn renew(&mut self, gateway: Gateway) -> bool {
        let Some(lease) = &self.lease else { return false };
        let renewed = lease.grant.renew(gateway, &self.settings).await;
        let is_renewed = renewed.is_some();
        match renewed {
            Some(grant) => self.hold(gateway, grant),
            None => info!("the gateway does not renew the port mapping"),
        }
        is_renewed
    }

    /// Asks by all protocols at once and takes the best that is granted.
    async fn ask(&mut self, gateway: Gateway) -> bool {
        let wants_upnp = self.settings.upnp;
        let search = tokio::spawn(async move { if wants_upnp { Igd::find(gateway).await } else { None } });
        let port = self.settings.port;
        let (by_pcp, speaks_nat_pmp) =
            tokio::join!(pcp::ask_pcp(gateway, &self.settings, port), pcp::speaks_nat_pmp(gateway));
        let mut protocols = Vec::new();
        if by_pcp.is_some() {
            protocols.push(Protocol::Pcp);
        }
        if speaks_nat_pmp {
            protocols.push(Protocol::NatPmp);
        }
        let mut grant = by_pcp.map(Grant::Pcp);
        if grant.is_none() && speaks_nat_pmp {
            grant = pcp::ask_nat_pmp(gateway, &self.settings, port).await.map(Grant::NatPmp);
        }
        self.lease = None;
        match grant {
            Some(grant) => self.hold(gateway, grant),
            None => self.publish(|outlook| outlook.mapping = None),
        }
        // the search takes seconds where nobody answers, and is not waited for by what is granted already
        if let Ok(Some(igd)) = search.await {
            protocols.push(Protocol::Upnp);
            if self.lease.is_none()
                && let Some(lease) = igd.map(gateway, &self.settings, port).await
            {
                self.hold(gateway, Grant::Upnp(lease));
            }
        }
        self.publish(|outlook| (outlook.protocols, outlook.settled) = (protocols, true));
        self.lease.is_some()
    }

    fn hold(&mut self, gateway: Gateway, grant: Grant) {
        let external = grant.external();
        if self.outlook.borrow().mapping != Some(external) {
            info!(protocol = grant.protocol().name(), "the gateway forwards a port to this device");
        }
        self.lease = Some(Lease { gateway, grant });
        self.publish(|outlook| outlook.mapping = Some(external));
    }

    async fn release(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        match lease.grant {
            Grant::NatPmp(lease) | Grant::Pcp(lease) => lease.release().await,
            Grant::Upnp(lease) => lease.release().await,
        }
    }

    fn renewal(&self) -> Duration {
        let lifetime = self.lease.as_ref().map(|lease| lease.grant.lifetime());
        lifetime.map_or(RETRY, |lifetime| (lifetime / 2).max(SOONEST))
    }

    fn publish(&self, change: impl FnOnce(&mut Outlook)) {
        self.outlook.send_if_modified(|outlook| {
            let before = outlook.clone();
            change(outlook);
            *outlook != before
        });
    }
}

impl Grant {
    async fn renew(&self, gateway: Gateway, settings: &Settings) -> Option<Self> {
        let port = NonZeroU16::new(self.external().port())?;
        match self {
            Self::NatPmp(_) => pcp::ask_nat_pmp(gateway, settings, port).await.map(Self::NatPmp),
            Self::Pcp(_) => pcp::ask_pcp(gateway, settings, port).await.map(Self::Pcp),
            Self::Upnp(lease) => lease.renew(gateway, settings).await.map(Self::Upnp),
        }
    }

    fn external(&self) -> SocketAddr {
        match self {
            Self::NatPmp(lease) | Self::Pcp(lease) => lease.external,
            Self::Upnp(lease) => lease.external,
        }
    }

    fn protocol(&self) -> Protocol {
        match self {
            Self::NatPmp(_) => Protocol::NatPmp,
            Self::Pcp(_) => Protocol::Pcp,
            Self::Upnp(_) => Protocol::Upnp,
        }
    }

    fn lifetime(&self) -> Duration {
        match self {
            Self::NatPmp(lease) | Self::Pcp(lease) => lease.lifetime,
            // says nothing of its restarts, so it is asked more often than its lease needs
            Self::Upnp(_) => LIFETIME / 6,
        }
    }
}

/// The first pause after a gateway that grants nothing; it doubles. It may be restarting.
const RETRY: Duration = Duration::from_secs(60);
/// Somebody may switch port mapping on; nothing tells us.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);
/// However short a life a gateway grants, it is not asked more often (RFC 6887 section 11.2.1).
const SOONEST: Duration = Duration::from_secs(4);

/// All hosts of the link hear the same restart and must not answer it in one instant (RFC 6887 section 14.1.3).
fn jitter() -> Duration {
    let mut random = [0; 2];
    // without chance all wait alike
    let _ = getrandom::fill(&mut random);
    Duration::from_millis(u64::from(u16::from_be_bytes(random)) * 5000 / 65_536)
}
