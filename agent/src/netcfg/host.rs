//! The addresses where this host may be reached by itself: what becomes its host candidates.
//!
//! Left out: loopback, link-local, the overlay's own, addresses that are deprecated or not yet confirmed, and those of
//! bridges that containers and virtual machines live behind.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::NetError;
use super::kernel::{Kernel, address_of, collect};

/// What is never a host candidate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exclude {
    /// Our TUN device.
    pub interface: Option<u32>,
    /// The overlay's prefixes: another agent of this host may hold addresses in them.
    pub prefixes: Vec<IpNet>,
}

/// An address of ours, and the interface that has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OnLink {
    /// Index of the interface.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
}

/// The host's own addresses, sorted, without those that `exclude` or the rules of this module leave out.
pub async fn addresses(exclude: &Exclude) -> Result<Vec<IpAddr>, NetError> {
    Ok(sorted(&list(&Kernel::connect()?, exclude).await?))
}

/// The addresses alone, sorted.
pub(super) fn sorted(links: &[OnLink]) -> Vec<IpAddr> {
    links.iter().map(|link| link.address).collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) async fn list(kernel: &Kernel, exclude: &Exclude) -> Result<Vec<OnLink>, NetError> {
    let links = collect(kernel.handle().link().get().execute(), "list the interfaces").await?;
    let eligible: BTreeSet<u32> = links
        .iter()
        .filter(|link| is_eligible(link) && exclude.interface != Some(link.header.index))
        .map(|link| link.header.index)
        .collect();
    let messages = collect(kernel.handle().address().get().execute(), "list the addresses").await?;
    let found: BTreeSet<OnLink> = messages
        .iter()
        .filter(|message| eligible.contains(&message.header.index) && is_settled(message))
        .filter_map(|message| Some(OnLink { interface: message.header.index, address: address_of(message)? }))
        .filter(|link| is_reachable(link.address))
        .filter(|link| !exclude.prefixes.iter().any(|prefix| prefix.contains(&link.address)))
        .collect();
    Ok(found.into_iter().collect())
}

fn is_eligible(link: &LinkMessage) -> bool {
    let name = link
        .attributes
        .iter()
        .find_map(|attribute| if let LinkAttribute::IfName(name) = attribute { Some(name.as_str()) } else { None });
    let flags = link.header.flags;
    flags.contains(LinkFlags::Up) && !flags.contains(LinkFlags::Loopback) && !name.is_some_and(is_virtual_bridge)
}

/// Bridges of Docker, Podman, libvirt, LXC and the usual Kubernetes networks: nobody outside this host is behind them.
fn is_virtual_bridge(name: &str) -> bool {
    let docker_network = name
        .strip_prefix("br-")
        .is_some_and(|id| id.len() == DOCKER_NETWORK_ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    docker_network || VIRTUAL_BRIDGES.iter().any(|prefix| name.starts_with(prefix))
}

/// An IPv6 address may be there and not to be used: superseded, or still being checked for duplicates.
fn is_settled(message: &AddressMessage) -> bool {
    let unsettled = AddressFlags::Deprecated | AddressFlags::Tentative | AddressFlags::Dadfailed;
    !message
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.intersects(unsettled)))
}

fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified()),
    }
}

const VIRTUAL_BRIDGES: &[&str] = &["docker", "podman", "virbr", "lxcbr", "lxdbr", "cni", "flannel", "cali", "vmnet"];

/// Docker names the bridge of a network `br-` and the first 12 digits of its id.
const DOCKER_NETWORK_ID_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_of_containers_and_machines_are_known_by_name() {
        for bridge in ["docker0", "br-0123456789ab", "virbr0", "podman1", "lxdbr0", "cni0"] {
            assert!(is_virtual_bridge(bridge), "{bridge}");
        }
        for real in ["eth0", "br-lan", "br0", "wlan0", "enp3s0", "veth0", "bond0"] {
            assert!(!is_virtual_bridge(real), "{real}");
        }
    }
}
