//! UPnP-IGD: a search by SSDP, then requests in SOAP over HTTP to what answered.
//!
//! Only the gateway itself is believed: any program on the network can answer a search.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, PortMappingProtocol, RequestError, SearchOptions};
use tokio::time::timeout;

use super::{LIFETIME, Settings};
use crate::netcfg::Gateway;

/// A gateway that answered.
#[derive(Clone)]
pub(super) struct Igd {
    device: igd_next::aio::Gateway<Tokio>,
}

/// A mapping on it.
pub(super) struct Lease {
    igd: Igd,
    /// What leads to our port.
    pub(super) external: SocketAddr,
}

impl Igd {
    /// Looks for a gateway with an address outside: one without it has nothing to forward from.
    pub(super) async fn find(gateway: Gateway) -> Option<Self> {
        let found = Self::search(gateway).await?;
        found.external().await.is_some().then_some(found)
    }

    /// Asked by itself it answers at once, but not every gateway listens there.
    async fn search(gateway: Gateway) -> Option<Self> {
        let by_itself = SocketAddr::new(gateway.router.into(), SSDP_PORT);
        for (asked, patience) in [(by_itself, ALONE), (EVERYBODY, TOGETHER)] {
            let mut options = SearchOptions::default();
            options.bind_addr = SocketAddr::new(gateway.source.into(), 0);
            options.broadcast_address = asked;
            options.timeout = Some(patience);
            match search_gateway(options).await {
                Ok(device) if device.addr.ip() == IpAddr::V4(gateway.router) => return Some(Self { device }),
                Ok(device) => tracing::debug!(device = %device.addr.ip(), "not the gateway answered for UPnP"),
                Err(error) => tracing::debug!(%error, "no answer by UPnP"),
            }
        }
        None
    }

    /// Asks for a mapping; asked again it renews it.
    pub(super) async fn map(&self, gateway: Gateway, settings: &Settings, suggested: NonZeroU16) -> Option<Lease> {
        let target = SocketAddr::new(gateway.source.into(), settings.port.get());
        let external = self.external().await?;
        let granted = timeout(REQUEST, self.add(target, suggested)).await.ok()?;
        let port = granted.inspect_err(|error| tracing::debug!(%error, "no mapping by UPnP")).ok()?;
        Some(Lease { igd: self.clone(), external: SocketAddr::new(external, port) })
    }

    async fn external(&self) -> Option<IpAddr> {
        let answer = timeout(REQUEST, self.device.get_external_ip()).await.ok()?;
        answer.inspect_err(|error| tracing::debug!(%error, "UPnP knows no address outside")).ok()
    }

    async fn add(&self, target: SocketAddr, suggested: NonZeroU16) -> Result<u16, AddPortError> {
        let lifetime = u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX);
        match self.add_for(target, suggested, lifetime).await {
            // 725 is in the standard; 402, "invalid args", is what some say instead
            Err(
                AddPortError::OnlyPermanentLeasesSupported
                | AddPortError::RequestError(RequestError::ErrorCode(402, _)),
            ) => self.add_for(target, suggested, PERMANENT).await,
            outcome => outcome,
        }
    }

    async fn add_for(&self, target: SocketAddr, suggested: NonZeroU16, lifetime: u32) -> Result<u16, AddPortError> {
        // 718: somebody else has that port; the next ones are as good
        let mut outcome = Err(AddPortError::PortInUse);
        for port in (0..PORTS_TRIED).map(|step| suggested.checked_add(step).map_or(FALLBACK, NonZeroU16::get)) {
            outcome = self.device.add_port(UDP, port, target, lifetime, DESCRIPTION).await.map(|()| port);
            if !matches!(outcome, Err(AddPortError::PortInUse)) {
                break;
            }
        }
        outcome
    }
}

impl Lease {
    /// Renews it, or makes it anew on a gateway that restarted.
    pub(super) async fn renew(&self, gateway: Gateway, settings: &Settings) -> Option<Self> {
        let port = NonZeroU16::new(self.external.port())?;
        self.igd.map(gateway, settings, port).await
    }

    /// Gives the mapping back.
    pub(super) async fn release(self) {
        let removed = timeout(REQUEST, self.igd.device.remove_port(UDP, self.external.port())).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::debug!("the gateway keeps a port mapping made by UPnP");
        }
    }
}

/// Always in capitals on the wire: some gateways refuse another spelling.
const UDP: PortMappingProtocol = PortMappingProtocol::UDP;
/// What the gateway's pages show beside the mapping.
const DESCRIPTION: &str = "Warren";
/// Where gateways listen for searches (UPnP Device Architecture 1.1, section 1.3).
const SSDP_PORT: u16 = 1900;
const EVERYBODY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(239, 255, 255, 250)), SSDP_PORT);
/// A question to one device is answered without delay.
const ALONE: Duration = Duration::from_secs(1);
/// One to all is answered after a random part of three seconds, which the search names.
const TOGETHER: Duration = Duration::from_millis(3500);
/// Small gateways make their XML slowly.
const REQUEST: Duration = Duration::from_secs(3);
/// "Until deleted", for gateways that know nothing else.
const PERMANENT: u32 = 0;
/// As many devices of one mesh behind one gateway as could have taken neighbouring ports.
const PORTS_TRIED: u16 = 8;
/// Beyond the last port the count goes on where no service lives.
const FALLBACK: u16 = 49_152;
