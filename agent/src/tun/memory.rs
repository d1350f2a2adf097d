//! A TUN device without a kernel device: packets written at one end are read at the other.
//!
//! For tests of whole data planes in one process. Made of a socket pair that keeps packets apart, so that polling and
//! a full queue behave as with the real one. Packets have the virtio header of a device with offloads; whether the
//! device takes joined packets is chosen when it is made.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::uio::{readv, writev};

use super::virtio::{self, Offload};
use super::{Joins, MAX_PACKET, Tun};

/// The end that a data plane holds.
#[derive(Debug)]
pub struct MemoryTun {
    end: OwnedFd,
    joins: Joins,
}

/// The end that stands for the host: its applications send and receive here.
#[derive(Debug)]
pub struct HostEnd(OwnedFd);

/// Makes both ends, of a device that takes joined packets as `joins` says.
pub fn pair(joins: Joins) -> io::Result<(MemoryTun, HostEnd)> {
    let (device, host) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    fcntl(&device, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    for end in [&device, &host] {
        // beyond the system's limit only with privileges; without, tests that send much must read along
        let _ = setsockopt(end, sockopt::SndBufForce, &QUEUE_BYTES);
    }
    Ok((MemoryTun { end: device, joins }, HostEnd(host)))
}

impl Tun for MemoryTun {
    fn queues(&self) -> usize {
        1
    }

    fn receive(&self, _: usize, buffer: &mut [u8]) -> io::Result<(usize, Offload)> {
        match read_packet(&self.end, buffer)? {
            None => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(received) => Ok(received),
        }
    }

    fn send(&self, _: usize, parts: &[IoSlice<'_>]) -> io::Result<()> {
        writev(&self.end, parts)?;
        Ok(())
    }

    fn joins(&self) -> Joins {
        self.joins
    }

    fn descriptor(&self, _: usize) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl HostEnd {
    /// Sends a packet as an application of this host would; waits while the device's queue is full.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.send_unfinished(&Offload::default(), packet)
    }

    /// Sends a packet of which the device is to do a part.
    pub fn send_unfinished(&self, offload: &Offload, packet: &[u8]) -> io::Result<()> {
        writev(&self.0, &[IoSlice::new(&offload.encode()), IoSlice::new(packet)])?;
        Ok(())
    }

    /// Waits for the next packet to this host; `None` when none comes within `patience`.
    pub fn receive(&self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        Ok(self.receive_joined(patience)?.map(|(packet, _)| packet))
    }

    /// Waits for the next packet to this host, and what it was joined from.
    pub fn receive_joined(&self, patience: Duration) -> io::Result<Option<(Vec<u8>, Offload)>> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            outcome => outcome?,
        };
        let mut buffer = vec![0; MAX_PACKET];
        let Some((len, offload)) = read_packet(&self.0, &mut buffer)? else { return Ok(None) };
        buffer.truncate(len);
        Ok(Some((buffer, offload)))
    }
}

/// One packet and its header; `None` when the other end is gone.
fn read_packet(end: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<(usize, Offload)>> {
    let mut header = [0; virtio::HEADER_LEN];
    let len = readv(end, &mut [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)])?;
    let Some(len) = len.checked_sub(virtio::HEADER_LEN) else { return Ok(None) };
    Ok(Some((len, Offload::decode(header).unwrap_or_default())))
}

/// As much as the 500 packets that a kernel device queues.
const QUEUE_BYTES: usize = 4 << 20;
