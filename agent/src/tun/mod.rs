//! The device where inner packets come from and go to.
//!
//! The trait is what the data plane needs of it; `linux` is the kernel's TUN, `memory` a pair of ends in one process.
//! Addresses and routes are `netcfg`'s business, and where a packet goes the data plane's.

mod linux;
pub mod memory;
pub mod virtio;

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

pub use linux::{LinuxTun, OpenError};
pub use virtio::Offload;

/// A packet device of one or more queues. Each is read by one thread and written by another; nothing blocks.
///
/// The host puts the packets of a flow into the queue by which that flow's own packets came, or into one it draws by the
/// flow's hash: so flows do not wait for each other, and none is split.
pub trait Tun: Send + Sync + 'static {
    /// How many queues there are; 1 to [`MAX_QUEUES`].
    fn queues(&self) -> usize;

    /// Reads one IP packet of a queue into `buffer` and says what the host left undone; `WouldBlock` when there is none.
    fn receive(&self, queue: usize, buffer: &mut [u8]) -> io::Result<(usize, Offload)>;

    /// Hands one IP packet to the host by a queue: its parts in a row, the first of them the encoded virtio header.
    fn send(&self, queue: usize, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Whether packets may be handed over joined.
    fn joins(&self) -> Joins;

    /// Readable when a packet waits in a queue.
    fn descriptor(&self, queue: usize) -> BorrowedFd<'_>;
}

/// Which joined packets a device takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Joins {
    /// TCP segments of one flow.
    pub tcp: bool,
    /// UDP datagrams of one flow; Linux has it since 6.2.
    pub udp: bool,
}

/// MTU of the device, and of a peer until its path is measured: the whole form over IPv6 still fits 1500 bytes, and
/// the transport form also the 1492 of PPPoE.
pub const INITIAL_MTU: u16 = 1420;

/// As many as a thread can watch with one short call.
pub const MAX_QUEUES: usize = 16;

/// The longest IP packet.
pub const MAX_PACKET: usize = 65_535;
