//! PCP and its predecessor NAT-PMP: one request and one answer, both by UDP to the gateway's port 5351.
//!
//! Over IPv4 alone. A firewall for IPv6 could be asked for a pinhole as well, but goes by the request's source, which must
//! be the address that is to be opened (RFC 6887 section 8.1), and `crab_nat` leaves the source to the kernel: towards a
//! router that is known by its link-local address, as nearly all are, that is the link-local one. Two firewalls are opened
//! from both sides at once without it.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig};
use sha2::{Digest, Sha256};

use super::{LIFETIME, Settings};
use crate::netcfg::Gateway;

/// A mapping by one of the two protocols.
pub(super) struct Lease {
    held: PortMapping,
    /// What leads to our port.
    pub(super) external: SocketAddr,
    /// As the gateway granted it.
    pub(super) lifetime: Duration,
}

/// Asks by PCP. Repeated while a mapping exists, it renews that one: the nonce is the same.
pub(super) async fn ask_pcp(gateway: Gateway, settings: &Settings, suggested: NonZeroU16) -> Option<Lease> {
    let router = GatewayAddress::from(gateway.router);
    let request =
        crab_nat::pcp::BaseMapRequest::new(router, gateway.source.into(), InternetProtocol::Udp, settings.port);
    let nonce = nonce(settings, gateway);
    let held = crab_nat::pcp::port_mapping(request, Some(nonce), None, options(suggested)).await;
    let held = held.inspect_err(|error| tracing::debug!(%error, "no mapping by PCP")).ok()?;
    let PortMappingType::Pcp { external_ip, .. } = held.mapping_type() else { return None };
    Some(Lease::new(held, external_ip))
}

/// Asks by NAT-PMP. Repeated while a mapping exists, it renews that one: clients are known by address and port.
pub(super) async fn ask_nat_pmp(gateway: Gateway, settings: &Settings, suggested: NonZeroU16) -> Option<Lease> {
    let router = GatewayAddress::from(gateway.router);
    let held = crab_nat::natpmp::port_mapping(router, InternetProtocol::Udp, settings.port, options(suggested)).await;
    let held = held.inspect_err(|error| tracing::debug!(%error, "no mapping by NAT-PMP")).ok()?;
    let external = crab_nat::natpmp::external_address(router, Some(PATIENCE)).await.ok()?;
    Some(Lease::new(held, external.into()))
}

/// Whether the gateway speaks NAT-PMP and has an address outside.
pub(super) async fn speaks_nat_pmp(gateway: Gateway) -> bool {
    crab_nat::natpmp::external_address(gateway.router.into(), Some(PATIENCE)).await.is_ok()
}

impl Lease {
    fn new(held: PortMapping, external: IpAddr) -> Self {
        let lifetime = Duration::from_secs(held.lifetime().into()).min(LIFETIME);
        Self { external: SocketAddr::new(external, held.external_port().get()), lifetime, held }
    }

    /// Gives the mapping back.
    pub(super) async fn release(self) {
        if let Err((error, _)) = self.held.try_drop().await {
            tracing::debug!(%error, "the gateway keeps a port mapping until its life ends");
        }
    }
}

/// PCP asks for 96 bits that nobody can guess (RFC 6887 section 11.2) and takes whoever knows them for the owner. Derived,
/// so that a daemon that crashed is not locked out of its own mapping.
fn nonce(settings: &Settings, gateway: Gateway) -> crab_nat::pcp::Nonce {
    let secret = zeroize::Zeroizing::new(settings.secret.to_bytes());
    let digest = Sha256::new()
        .chain_update(b"warren pcp nonce")
        .chain_update(*secret)
        .chain_update(gateway.router.octets())
        .finalize();
    let word = |at: usize| u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]);
    [word(0), word(4), word(8)]
}

fn options(suggested: NonZeroU16) -> PortMappingOptions {
    PortMappingOptions {
        external_port: Some(suggested),
        lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
        timeout_config: Some(PATIENCE),
    }
}

/// The gateway is on the link: RFC 6886's first wait for both protocols, and two more tries for a lossy radio.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: Some(Duration::from_millis(500)),
};

#[cfg(test)]
mod tests {
    use warren_proto::keys::StaticSecret;

    use super::*;

    #[test]
    fn the_same_device_proves_itself_alike_after_a_restart_and_to_no_other_gateway() {
        let settings = |secret| Settings { port: NonZeroU16::MIN, upnp: true, secret: StaticSecret::new([secret; 32]) };
        let gateway = |host| Gateway { router: [192, 168, 1, host].into(), source: [192, 168, 1, 20].into() };

        let first = nonce(&settings(1), gateway(1));

        assert_eq!(nonce(&settings(1), gateway(1)), first);
        assert_ne!(nonce(&settings(1), gateway(2)), first);
        assert_ne!(nonce(&settings(2), gateway(1)), first);
    }
}
