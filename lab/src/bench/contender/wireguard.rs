//! Any userspace WireGuard: they share a command line, and the configuration socket of the cross-platform interface.
//!
//! The socket is written directly: WireGuard's own tools are not needed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Tunnel;
use crate::bench::pair::Pair;
use crate::host::Daemon;
use crate::topology::Host;
use crate::wait;

/// Starts the program on both hosts and makes them each other's only peer.
pub(super) fn start(pair: &Pair, program: &Path) -> Result<Tunnel> {
    let [sender, receiver] = pair.hosts();
    let mut daemons = Vec::new();
    for (index, (host, peer)) in [(sender, receiver), (receiver, sender)].into_iter().enumerate() {
        let daemon = start_end(pair, host, program)?;
        configure(&daemon, &KEYS[index], &KEYS[1 - index], (peer.address, ADDRESSES[1 - index]))
            .with_context(|| format!("configure it: {}", daemon.output().trim()))?;
        host.namespace.ip(&["addr", "add", &format!("{}/24", ADDRESSES[index]), "dev", INTERFACE])?;
        host.namespace.ip(&["link", "set", INTERFACE, "up", "mtu", MTU])?;
        daemons.push(daemon);
    }
    Ok(Tunnel::of_daemons(ADDRESSES, daemons))
}

fn start_end(pair: &Pair, host: &Host, program: &Path) -> Result<Daemon> {
    // All of them put their socket into one directory of the machine. A process in a network namespace has a mount
    // namespace of its own already: an empty /run there keeps the two ends apart and leaves nothing behind.
    let mut command = host.namespace.command("sh");
    command.args(["-c", "mount -t tmpfs tmpfs /run && mkdir /run/wireguard && exec \"$0\" \"$@\""]);
    command.arg(program).args(["-f", INTERFACE]).current_dir("/");
    // Asks boringtun not to become the user who logged in: nobody may have.
    command.env("WG_SUDO", "true").env("WG_LOG_LEVEL", "error");
    let log = pair.records().join(format!("wireguard-{}.log", host.label));
    Daemon::start(&mut command, &log)
}

/// Sets keys, port and peer (the outer address it is at, the inner one that is its).
fn configure(daemon: &Daemon, own: &Keys, peer: &Keys, (at, inner): (Ipv4Addr, Ipv4Addr)) -> Result<()> {
    let socket = format!("/proc/{}/root/run/wireguard/{INTERFACE}.sock", daemon.pid());
    let mut stream = wait::until("its socket", SOCKET_LIMIT, || UnixStream::connect(&socket).ok())?;
    stream.set_read_timeout(Some(SOCKET_LIMIT))?;
    let request = format!(
        "set=1\nprivate_key={}\nlisten_port={PORT}\npublic_key={}\nendpoint={at}:{PORT}\nallowed_ip={inner}/32\n\n",
        own.private, peer.public
    );
    stream.write_all(request.as_bytes()).context("write the configuration")?;
    let mut answer = String::new();
    let mut buffer = [0; 256];
    while !answer.contains("errno=") {
        let length = stream.read(&mut buffer).context("read the answer")?;
        ensure!(length > 0, "it closed its socket without an answer");
        answer += &String::from_utf8_lossy(&buffer[..length]);
    }
    ensure!(answer.contains("errno=0"), "it refused the configuration: {}", answer.trim());
    // The connection has served; an error in closing it changes nothing.
    let _ = stream.shutdown(Shutdown::Both);
    Ok(())
}

struct Keys {
    private: &'static str,
    public: &'static str,
}

/// The key pairs of RFC 7748, section 6.1: nothing here is secret, and no program is needed to make them.
const KEYS: [Keys; 2] = [
    Keys {
        private: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        public: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    },
    Keys {
        private: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        public: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    },
];
const INTERFACE: &str = "wg0";
const PORT: u16 = 51820;
/// What wg-quick chooses on a path of 1500.
const MTU: &str = "1420";
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 45, 0, 1), Ipv4Addr::new(10, 45, 0, 2)];
const SOCKET_LIMIT: Duration = Duration::from_secs(5);
