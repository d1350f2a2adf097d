//! What the TUN device's settings should be, and which steps lead there from what they are. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and routes of the TUN device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Desired {
    /// This device's overlay addresses; each is set as a host address (/32, /128).
    pub addresses: Vec<IpAddr>,
    /// Destinations reached through the device.
    pub routes: Vec<Route>,
}

/// One route through the TUN device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Route {
    /// The destination.
    pub prefix: IpNet,
    /// The largest packet for it; `None` leaves the device's own MTU.
    pub mtu: Option<u32>,
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    AddAddress(IpAddr),
    RemoveAddress(IpAddr),
    RemoveRoute(Route),
    SetRoute(Route),
}

impl Change {
    pub(super) const fn is_ipv6(&self) -> bool {
        match self {
            Self::AddAddress(address) | Self::RemoveAddress(address) => address.is_ipv6(),
            Self::SetRoute(route) | Self::RemoveRoute(route) => matches!(route.prefix, IpNet::V6(_)),
        }
    }
}

/// The steps from `current` to `desired`: new addresses, then new routes, so that no packet lacks a source; then the
/// removals. A route whose MTU changed is set over the old one.
pub(super) fn changes(current: &Desired, desired: &Desired) -> Vec<Change> {
    let (old, new) = (by_prefix(current), by_prefix(desired));
    let missing = desired.addresses.iter().filter(|address| !current.addresses.contains(address));
    let surplus = current.addresses.iter().filter(|address| !desired.addresses.contains(address));
    let differing = new.values().filter(|route| old.get(&route.prefix) != Some(route));
    let stale = old.values().filter(|route| !new.contains_key(&route.prefix));

    let mut steps: Vec<Change> = missing.copied().map(Change::AddAddress).collect();
    steps.extend(differing.copied().map(Change::SetRoute));
    steps.extend(stale.copied().map(Change::RemoveRoute));
    steps.extend(surplus.copied().map(Change::RemoveAddress));
    steps
}

/// The last of several routes to one prefix wins.
fn by_prefix(settings: &Desired) -> BTreeMap<IpNet, Route> {
    settings
        .routes
        .iter()
        .map(|route| (route.prefix.trunc(), Route { prefix: route.prefix.trunc(), ..*route }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_changed_and_addresses_come_before_routes() {
        let current =
            settings(&["100.64.0.1", "100.64.0.9"], &[("100.64.0.0/10", None), ("100.64.0.5/32", Some(1400))]);
        let desired = settings(&["100.64.0.1", "fd00::1"], &[("100.64.0.0/10", None), ("100.64.0.6/32", Some(1466))]);

        let steps = changes(&current, &desired);

        assert_eq!(
            steps,
            [
                Change::AddAddress("fd00::1".parse().unwrap()),
                Change::SetRoute(route("100.64.0.6/32", Some(1466))),
                Change::RemoveRoute(route("100.64.0.5/32", Some(1400))),
                Change::RemoveAddress("100.64.0.9".parse().unwrap()),
            ]
        );
        assert!(changes(&desired, &desired).is_empty());
    }

    #[test]
    fn another_mtu_sets_the_route_anew_without_removing_it() {
        let current = settings(&[], &[("100.64.0.5/32", None)]);
        let desired = settings(&[], &[("100.64.0.5/32", Some(1466))]);

        assert_eq!(changes(&current, &desired), [Change::SetRoute(route("100.64.0.5/32", Some(1466)))]);
    }

    #[test]
    fn host_bits_of_a_prefix_make_no_difference() {
        let current = settings(&[], &[("100.64.0.0/10", None)]);
        let desired = settings(&[], &[("100.70.1.2/10", None)]);

        assert!(changes(&current, &desired).is_empty());
    }

    fn settings(addresses: &[&str], routes: &[(&str, Option<u32>)]) -> Desired {
        Desired {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            routes: routes.iter().map(|(prefix, mtu)| route(prefix, *mtu)).collect(),
        }
    }

    fn route(prefix: &str, mtu: Option<u32>) -> Route {
        Route { prefix: prefix.parse().unwrap(), mtu }
    }
}
