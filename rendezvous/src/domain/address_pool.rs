//! Which overlay addresses the mesh has: IPv4 from a configured prefix, IPv6 from a ULA prefix of the network's own.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use warren_proto::keys::{NetworkId, NodeId};

/// The IPv4 addresses devices may get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressPool {
    first: u32,
    last: u32,
}

impl AddressPool {
    /// All host addresses of `prefix`; `None` when it has fewer than two.
    pub fn new(prefix: Ipv4Net) -> Option<Self> {
        let (network, broadcast) = (u32::from(prefix.network()), u32::from(prefix.broadcast()));
        (broadcast - network >= 3).then(|| Self { first: network + 1, last: broadcast - 1 })
    }

    /// How many addresses there are.
    pub fn size(self) -> usize {
        (self.last - self.first) as usize + 1
    }

    /// The address that random bits pick. Scattered, so that two meshes joined by one host seldom collide.
    pub fn pick(self, random: u64) -> Ipv4Addr {
        let span = u64::from(self.last - self.first) + 1;
        // the remainder fits: span is at most 2^32
        Ipv4Addr::from(self.first + (random % span) as u32)
    }

    /// The lowest address nobody has.
    pub fn lowest_free(self, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        (self.first..=self.last).map(Ipv4Addr::from).find(|address| !taken.contains(address))
    }
}

/// The network's own /48 of unique local addresses (RFC 4193 section 3.2): `fd`, then 40 bits of the network id.
pub fn ula_prefix(network: NetworkId) -> Ipv6Net {
    let id = network.as_bytes();
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&id[..5]);
    Ipv6Net::new(octets.into(), 48).expect("48 is a valid prefix length")
}

/// A device's address in the network's prefix: subnet 0 and the 64 random bits at the end of its UUIDv7.
pub fn v6_address(network: NetworkId, device: NodeId) -> Ipv6Addr {
    let mut octets = ula_prefix(network).network().octets();
    octets[8..].copy_from_slice(&device.as_bytes()[8..]);
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(prefix: &str) -> AddressPool {
        AddressPool::new(prefix.parse().unwrap()).unwrap()
    }

    #[test]
    fn any_random_bits_pick_a_host_address() {
        for random in [0, 1, 253, 254, u64::MAX] {
            let address = pool("10.9.8.0/24").pick(random);

            assert_eq!(address.octets()[..3], [10, 9, 8]);
            assert!((1..=254).contains(&address.octets()[3]));
        }
    }

    #[test]
    fn the_lowest_free_address_is_found_until_there_is_none() {
        let pool = pool("10.0.0.0/30");
        let mut taken = BTreeSet::new();

        assert_eq!(pool.size(), 2);
        while let Some(address) = pool.lowest_free(&taken) {
            taken.insert(address);
        }

        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
    }

    #[test]
    fn a_prefix_without_room_for_two_is_no_pool() {
        assert_eq!(AddressPool::new("10.0.0.0/31".parse().unwrap()), None);
        assert_eq!(AddressPool::new("10.0.0.0/32".parse().unwrap()), None);
        assert!(AddressPool::new("0.0.0.0/0".parse().unwrap()).is_some());
    }

    #[test]
    fn a_device_address_lies_in_its_networks_prefix() {
        let network = NetworkId::new([0xab; 16]);
        let address = v6_address(network, NodeId::new([7; 16]));

        assert!(ula_prefix(network).contains(&address));
        assert_eq!(address.to_string(), "fdab:abab:abab:0:707:707:707:707");
    }
}
