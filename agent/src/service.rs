//! What systemd wants to know of a service (sd_notify(3)), and what it tells: without it, nothing here does anything.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::config::variable;

/// Tells that commands are taken from now on.
pub fn ready() {
    notify("READY=1");
}

/// Tells that the end has begun.
pub fn stopping() {
    notify("STOPPING=1");
}

/// Tells that we are still alive; worth saying only by the one who does the work.
pub fn alive() {
    notify("WATCHDOG=1");
}

/// Whether anybody waits to hear that.
pub fn is_watched() -> bool {
    let limit = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok()).map(Duration::from_micros);
    limit.is_some_and(|limit| !limit.is_zero())
        && variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string())
}

/// Whether standard error is the journal's (systemd.exec(5)).
pub fn logs_to_journal() -> bool {
    let Some(stream) = variable("JOURNAL_STREAM") else { return false };
    let Ok(status) = nix::sys::stat::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", status.st_dev, status.st_ino)
}

fn notify(message: &str) {
    let Some(socket) = variable("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, message) {
        tracing::debug!(%error, "cannot tell systemd");
    }
}

fn send(socket: &str, message: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_told_by_its_path_and_by_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("warren-agent-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();

        send(path.to_str().unwrap(), "READY=1").unwrap();
        send(&format!("@{name}"), "STOPPING=1").unwrap();

        let mut buffer = [0; 64];
        let length = by_path.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        let length = by_name.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
    }
}
