//! Who has which address: the prefixes of sites and of the cables between routers. Makes no namespaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use super::RENDEZVOUS_V6;
use crate::namespace::Namespace;

/// A site's IPv4 addresses: the documentation prefixes (RFC 5737) first, then those for benchmarks (RFC 2544).
pub(super) fn public(site: u8) -> impl Fn(u8) -> Ipv4Addr {
    move |host| match site {
        0 => Ipv4Addr::new(198, 51, 100, host),
        1 => Ipv4Addr::new(203, 0, 113, host),
        _ => Ipv4Addr::new(198, 18, site, host),
    }
}

/// A subscriber's addresses on a carrier's access network (RFC 6598); 1 is the carrier's.
pub(super) fn access(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, 0, host)
}

/// The addresses of a local network, numbered over all sites.
pub(super) fn local(network: u8) -> impl Fn(u8) -> Ipv4Addr {
    move |host| Ipv4Addr::new(192, 168, network, host)
}

/// A site's IPv6 addresses (RFC 3849): subnet 0 lies between the provider's router and the gateway, 1 behind it.
pub(super) fn global_v6(site: u8, subnet: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x100 + u16::from(site), subnet, 0, 0, 0, host)
}

/// The ends of the cable from the backbone (1) to a provider's router (2).
pub(super) fn backbone_v6(site: u8, end: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xf, u16::from(site), 0, 0, 0, end)
}

/// The backbone's address next to the rendezvous.
pub(super) fn near_server_v6() -> Ipv6Addr {
    let [first, second, third, ..] = RENDEZVOUS_V6.segments();
    Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 1)
}

/// Gives an interface an IPv6 address in a prefix of 64 bits. Nobody else has it: waiting to find that out (RFC 4862)
/// would only delay the lab.
pub(super) fn add_v6(namespace: &Namespace, interface: &str, address: Ipv6Addr) -> Result<()> {
    namespace.ip(&["addr", "add", &format!("{address}/64"), "dev", interface, "nodad"])?;
    Ok(())
}

/// The site's own address in its public prefix; 1 is the provider's router.
pub(super) const CUSTOMER: u8 = 2;
/// Where hosts begin in a local network, as home routers have it, and subscribers in an access network.
pub(super) const FIRST_HOST: u8 = 10;
