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

/// A packet device, read by one thread and written by another. Never blocks.
pub trait Tun: Send + Sync + 'static {
    /// Reads one IP packet into `buffer` and says what the host left undone; `WouldBlock` when there is none.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Offload)>;

    /// Hands one IP packet to the host: its parts in a row, the first of them the encoded virtio header.
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Whether packets may be handed over joined.
    fn joins(&self) -> Joins;

    /// Readable when a packet waits.
    fn descriptor(&self) -> BorrowedFd<'_>;
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

/// The longest IP packet.
pub const MAX_PACKET: usize = 65_535;
