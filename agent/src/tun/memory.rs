//! A TUN device without a kernel device: packets written at one end are read at the other.
//!
//! For tests of whole data planes in one process. Made of a socket pair that keeps packets apart, so that polling and
//! a full queue behave as with the real one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::unistd;

use super::{MAX_PACKET, Tun};

/// The end that a data plane holds.
#[derive(Debug)]
pub struct MemoryTun(OwnedFd);

/// The end that stands for the host: its applications send and receive here.
#[derive(Debug)]
pub struct HostEnd(OwnedFd);

/// Makes both ends.
pub fn pair() -> io::Result<(MemoryTun, HostEnd)> {
    let (device, host) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    fcntl(&device, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    for end in [&device, &host] {
        // beyond the system's limit only with privileges; without, tests that send much must read along
        let _ = setsockopt(end, sockopt::SndBufForce, &QUEUE_BYTES);
    }
    Ok((MemoryTun(device), HostEnd(host)))
}

impl Tun for MemoryTun {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match unistd::read(&self.0, buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => Ok(len),
        }
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        unistd::write(&self.0, packet)?;
        Ok(())
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl HostEnd {
    /// Sends a packet as an application of this host would; waits while the device's queue is full.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        unistd::write(&self.0, packet)?;
        Ok(())
    }

    /// Waits for the next packet to this host; `None` when none comes within `patience`.
    pub fn receive(&self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            outcome => outcome?,
        };
        let mut buffer = vec![0; MAX_PACKET];
        let len = unistd::read(&self.0, &mut buffer)?;
        buffer.truncate(len);
        Ok(Some(buffer))
    }
}

/// As much as the 500 packets that a kernel device queues.
const QUEUE_BYTES: usize = 4 << 20;
