//! Which addresses a webhook may call (server-side request forgery).
//!
//! Whoever manages webhooks could otherwise have this server talk to what only this server reaches: its own loopback, its
//! link, a cloud's metadata service. Private networks are allowed, for that is where people's own servers are; a setting
//! allows more. Checked on the very address that is then connected to, so no name can point elsewhere in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Whether this address may be called; `allowed` are the prefixes that the operator permits.
pub(super) fn may_call(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = bare(address);
    allowed.iter().any(|prefix| prefix.contains(&address)) || !is_ours(address)
}

fn is_ours(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(ip) => {
                ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0
            }
            IpAddr::V6(ip) => {
                ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local()
            }
        }
}

/// The IPv4 address that an IPv6 one carries, where a router or the kernel would send to that.
fn bare(address: IpAddr) -> IpAddr {
    let IpAddr::V6(ip) = address.to_canonical() else { return address.to_canonical() };
    match ip.octets() {
        // IPv4-compatible (RFC 4291 section 2.5.5.1), but not :: and ::1; NAT64 (RFC 6052)
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if a != 0 => Ipv4Addr::new(a, b, c, d).into(),
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        // 6to4 (RFC 3056)
        [0x20, 0x02, a, b, c, d, ..] => Ipv4Addr::new(a, b, c, d).into(),
        _ => address,
    }
}

/// Metadata services that are not link-local: of two clouds, by their manuals.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_its_link_and_metadata_services_are_not_called() {
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!may_call(address.parse().unwrap(), &[]), "{address}");
        }
    }

    #[test]
    fn other_hosts_are_called_and_so_is_what_the_operator_allows() {
        for address in ["203.0.113.9", "192.168.1.9", "10.0.0.1", "100.64.0.7", "2001:db8::1", "fd12::1"] {
            assert!(may_call(address.parse().unwrap(), &[]), "{address}");
        }
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        assert!(may_call("127.0.0.1".parse().unwrap(), &allowed));
        assert!(may_call("::ffff:127.0.0.1".parse().unwrap(), &allowed));
        assert!(!may_call("::1".parse().unwrap(), &allowed));
    }
}
