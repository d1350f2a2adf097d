//! This machine: the TUN device, privileges, what the kernel does for speed, interfaces.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::net::UdpSocket;

use capctl::caps::{Cap, CapState};
use nix::sys::socket::{setsockopt, sockopt};

use super::Finding;

pub(super) fn look(daemon_runs: bool) -> Vec<Finding> {
    vec![kernel(), tun(daemon_runs), privileges(daemon_runs), offloads(), buffers(), interfaces()]
}

fn kernel() -> Finding {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let Ok(release) = release else {
        return Finding::warn("kernel", "the kernel does not say its version", "Expect Linux 5.4 or later.");
    };
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Finding::ok("kernel", format!("Linux {release}"));
    }
    Finding::warn(
        "kernel",
        format!("Linux {release} is older than what Warren is tried on"),
        "Upgrade to 5.4 or later.",
    )
}

fn tun(daemon_runs: bool) -> Finding {
    if daemon_runs {
        return Finding::ok("tun", "the daemon has its TUN device");
    }
    match OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Finding::ok("tun", "/dev/net/tun is there"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::warn(
            "tun",
            "/dev/net/tun is there, but not for this user",
            "Run `warren doctor` as root, or as the user that runs the daemon.",
        ),
        Err(error) => Finding::fail(
            "tun",
            format!("no TUN device: {error}"),
            "Run `modprobe tun`; in a container, pass it in: `--device /dev/net/tun`.",
        ),
    }
}

fn privileges(daemon_runs: bool) -> Finding {
    if daemon_runs {
        return Finding::ok("privileges", "the daemon has what it needs");
    }
    let held = CapState::get_current().is_ok_and(|state| state.permitted.has(Cap::NET_ADMIN));
    if held {
        return Finding::ok("privileges", "CAP_NET_ADMIN is held");
    }
    Finding::warn(
        "privileges",
        "CAP_NET_ADMIN is missing here",
        "The daemon needs it: start it by its systemd unit or as root; in a container `--cap-add NET_ADMIN`.",
    )
}

/// Segmentation is what makes one core enough for gigabits.
fn offloads() -> Finding {
    let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) else {
        return Finding::fail(
            "offloads",
            "no UDP socket can be opened",
            "Look at `ulimit -n` and at the memory of this host.",
        );
    };
    let cuts = setsockopt(&socket, sockopt::UdpGsoSegment, &1400).is_ok();
    let joins = setsockopt(&socket, sockopt::UdpGroSegment, &true).is_ok();
    if cuts && joins {
        return Finding::ok("offloads", "the kernel cuts and joins runs of UDP datagrams");
    }
    let lacks = if cuts { "join" } else { "cut" };
    Finding::warn(
        "offloads",
        format!("the kernel does not {lacks} runs of UDP datagrams: packets go one by one, slower"),
        "A kernel of 5.0 or later does.",
    )
}

fn buffers() -> Finding {
    let forced = UdpSocket::bind(("127.0.0.1", 0))
        .is_ok_and(|socket| setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_ok());
    if forced {
        return Finding::ok("udp-buffers", "UDP buffers may be as large as the daemon wants");
    }
    let limit = |name: &str| -> Option<usize> {
        fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?.trim().parse().ok()
    };
    let limits = [limit("rmem_max"), limit("wmem_max")];
    if limits.iter().all(|limit| limit.is_none_or(|limit| limit >= BUFFER)) {
        return Finding::ok("udp-buffers", "UDP buffers may be as large as the daemon wants");
    }
    let kib = limits.into_iter().flatten().min().unwrap_or(0) / 1024;
    Finding::warn(
        "udp-buffers",
        format!("without CAP_NET_ADMIN in the host's own namespace, UDP buffers end at {kib} KiB: bursts may be lost"),
        format!(
            "Run `sysctl -w net.core.rmem_max={BUFFER} net.core.wmem_max={BUFFER}`, if the daemon runs in a container."
        ),
    )
}

fn interfaces() -> Finding {
    let names = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let small = names.filter_map(|entry| {
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
        let name = entry.file_name().into_string().ok()?;
        let mtu: u32 = read("mtu")?.trim().parse().ok()?;
        let is_up = read("operstate")?.trim() == "up";
        let is_tunnel = entry.path().join("tun_flags").exists();
        (is_up && !is_tunnel && mtu < SMALLEST_MTU).then(|| format!("{name} ({mtu})"))
    });
    let small: Vec<String> = small.collect();
    if small.is_empty() {
        return Finding::ok("mtu", "every network interface takes packets of 1280 bytes and more");
    }
    Finding::warn(
        "mtu",
        format!("packets of less than {SMALLEST_MTU} bytes only, on {}", small.join(", ")),
        "Raise the interface's MTU: IPv6 needs 1280 bytes.",
    )
}

/// The oldest that the distributions of the day still maintain.
const OLDEST: (u32, u32) = (5, 4);
/// What the daemon asks for.
const BUFFER: usize = 4 << 20;
/// RFC 8200 section 5.
const SMALLEST_MTU: u32 = 1280;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn every_look_at_the_host_has_a_remedy_unless_it_is_well() {
        for finding in look(false) {
            assert_eq!(finding.remedy.is_none(), finding.verdict == Verdict::Ok, "{finding:?}");
        }
    }
}
