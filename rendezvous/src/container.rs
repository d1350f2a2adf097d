//! Whether we live in a container with a network of its own: then our own addresses are nobody's business, and the world
//! reaches us by what the host publishes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// The bridge that a container is behind: the gateway of its only network. `None` for a program of the host, or of a
/// container that shares the host's network.
pub fn bridge() -> Option<Ipv4Addr> {
    if !MARKS.iter().any(|mark| Path::new(mark).exists()) || !is_apart() {
        return None;
    }
    gateway(&fs::read_to_string("/proc/net/route").ok()?)
}

/// Whether every interface is the end of a cable whose other end is elsewhere.
fn is_apart() -> bool {
    let Ok(interfaces) = fs::read_dir("/sys/class/net") else { return false };
    let mut interfaces = interfaces.flatten().filter(|interface| interface.file_name() != "lo").peekable();
    let number = |path: &Path| fs::read_to_string(path).ok();
    interfaces.peek().is_some()
        && interfaces.all(|interface| {
            let path = interface.path();
            number(&path.join("ifindex")) != number(&path.join("iflink"))
        })
}

/// The default route's gateway in the kernel's table (proc(5)): little-endian hexadecimal words.
fn gateway(routes: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && gateway != 0).then(|| Ipv4Addr::from(gateway.to_le_bytes()))
    })
}

/// What Docker and Podman leave in every container's root.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_is_where_the_default_route_leads() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                      eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                      eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";

        assert_eq!(gateway(routes), Some(Ipv4Addr::new(172, 18, 0, 1)));
        assert_eq!(gateway(""), None);
    }
}
