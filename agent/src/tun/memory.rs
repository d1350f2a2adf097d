//! A TUN device without a kernel device: packets written at one end are read at the other.
//!
//! For tests of whole data planes in one process. Made of a socket pair, so that polling works as with the real one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::Tun;

/// The end that a data plane holds.
#[derive(Debug)]
pub struct MemoryTun(UnixDatagram);

/// The end that stands for the host: its applications send and receive here.
#[derive(Debug)]
pub struct HostEnd(UnixDatagram);

/// Makes both ends.
pub fn pair() -> io::Result<(MemoryTun, HostEnd)> {
    let (device, host) = UnixDatagram::pair()?;
    device.set_nonblocking(true)?;
    Ok((MemoryTun(device), HostEnd(host)))
}

impl Tun for MemoryTun {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.0.send(packet).map(drop)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl HostEnd {
    /// Sends a packet as an application of this host would.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.0.send(packet).map(drop)
    }

    /// Waits for the next packet to this host; `None` when none comes within `patience`.
    pub fn receive(&self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        self.0.set_read_timeout(Some(patience))?;
        let mut buffer = vec![0; super::MAX_PACKET];
        match self.0.recv(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                Ok(Some(buffer))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
