//! The kernel's TUN device: made at start, gone when the daemon ends, however it ends.
//!
//! With offloads one read or write is up to 64 KiB of one flow, behind a virtio header; without, one packet.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use nix::libc;
use tun_rs::{DeviceBuilder, SyncDevice};

use super::virtio::{self, Offload};
use super::{INITIAL_MTU, Joins, MAX_QUEUES, Tun};

/// A TUN device of this process.
pub struct LinuxTun {
    /// One descriptor for each queue; at least one.
    queues: Vec<SyncDevice>,
    name: String,
    index: u32,
    /// Whether each packet has a virtio header before it.
    has_header: bool,
}

/// Why there is no TUN device; each has its own remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel has no TUN support, or a container was not given the device node.
    #[error(
        "/dev/net/tun is missing: load the module with `modprobe tun`, or give the container the device /dev/net/tun"
    )]
    DeviceMissing,
    /// The name is too long or has characters that interface names cannot have.
    #[error("{0:?} cannot be an interface name: use 1 to 15 letters, digits, `-`, `_` or `.`")]
    NameInvalid(String),
    /// Another program holds it, or it is an interface of another kind.
    #[error("the interface name {0:?} is taken: choose another with --tun")]
    NameTaken(String),
    /// The process may not make interfaces.
    #[error("no permission to make a TUN device: run as root or with CAP_NET_ADMIN")]
    Permission,
    /// Anything else the kernel says.
    #[error("cannot make the TUN device: {0}")]
    Other(#[source] io::Error),
}

impl LinuxTun {
    /// Makes the device `name`, down and without addresses, with [`INITIAL_MTU`].
    ///
    /// A persistent TUN device of that name which nobody holds is taken over; `netcfg` clears what is left on it.
    /// `offload` asks for segmentation and checksum offload, as far as the kernel has them; of `queues` there are fewer
    /// when the device was made with one.
    pub fn open(name: &str, offload: bool, queues: usize) -> Result<Self, OpenError> {
        check_name(name)?;
        if !Path::new(TUN_NODE).exists() {
            return Err(OpenError::DeviceMissing);
        }
        let queues = open_queues(name, offload, queues.clamp(1, MAX_QUEUES)).or_else(|error| {
            // a persistent device of a single queue refuses to be opened as one of several
            if error.raw_os_error() == Some(libc::EINVAL) { open_queues(name, offload, 1) } else { Err(error) }
        });
        let queues = queues.map_err(|error| OpenError::of(error, name))?;
        let first = queues.first().ok_or(OpenError::DeviceMissing)?;
        let index = first.if_index().map_err(OpenError::Other)?;
        let has_header = first.tcp_gso();
        Ok(Self { queues, name: name.to_owned(), index, has_header })
    }

    /// The interface name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface index, for `netcfg`.
    pub const fn index(&self) -> u32 {
        self.index
    }
}

impl Tun for LinuxTun {
    fn queues(&self) -> usize {
        self.queues.len()
    }

    fn receive(&self, queue: usize, buffer: &mut [u8]) -> io::Result<(usize, Offload)> {
        let device = &self.queues[queue];
        if !self.has_header {
            return Ok((device.recv(buffer)?, Offload::default()));
        }
        let mut header = [0; virtio::HEADER_LEN];
        let len = device.recv_vectored(&mut [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)])?;
        let offload = Offload::decode(header).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok((len.saturating_sub(virtio::HEADER_LEN), offload))
    }

    fn send(&self, queue: usize, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let parts = if self.has_header { parts } else { parts.get(1..).unwrap_or_default() };
        self.queues[queue].send_vectored(parts).map(drop)
    }

    fn joins(&self) -> Joins {
        Joins { tcp: self.has_header, udp: self.has_header && self.queues[0].udp_gso() }
    }

    fn descriptor(&self, queue: usize) -> BorrowedFd<'_> {
        // SAFETY: the device owns the descriptor and lives as long as the borrow of self
        unsafe { BorrowedFd::borrow_raw(self.queues[queue].as_raw_fd()) }
    }
}

fn open_queues(name: &str, offload: bool, count: usize) -> io::Result<Vec<SyncDevice>> {
    let builder = DeviceBuilder::new().name(name).mtu(INITIAL_MTU).inherit_enable_state().offload(offload);
    let mut queues = vec![builder.multi_queue(count > 1).build_sync()?];
    while queues.len() < count {
        queues.push(queues[0].try_clone()?);
    }
    queues.iter().try_for_each(|queue| queue.set_nonblocking(true))?;
    Ok(queues)
}

impl OpenError {
    fn of(error: io::Error, name: &str) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => Self::DeviceMissing,
            Some(libc::EACCES | libc::EPERM) => Self::Permission,
            // EBUSY: a TUN that somebody holds. EINVAL: an interface of another kind.
            Some(libc::EBUSY | libc::EEXIST | libc::EINVAL) => Self::NameTaken(name.to_owned()),
            Some(_) | None => Self::Other(error),
        }
    }
}

/// What the kernel accepts (`dev_valid_name`), less what a shell or `ip` would stumble over.
fn check_name(name: &str) -> Result<(), OpenError> {
    let length_ok = (1..=MAX_NAME_LEN).contains(&name.len());
    let bytes_ok = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_dots = name == "." || name == "..";
    if length_ok && bytes_ok && !is_dots { Ok(()) } else { Err(OpenError::NameInvalid(name.to_owned())) }
}

const TUN_NODE: &str = "/dev/net/tun";

/// IFNAMSIZ less the terminating zero.
const MAX_NAME_LEN: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_can_have_is_refused_before_the_kernel_is_asked() {
        for bad in ["", ".", "..", "a name", "sixteen-bytes-xy", "a/b", "%d", "ü"] {
            assert!(matches!(check_name(bad), Err(OpenError::NameInvalid(_))), "{bad:?}");
        }
        assert!(check_name("warren0").is_ok());
    }
}
