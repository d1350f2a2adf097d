//! The device where inner packets come from and go to.
//!
//! The trait is what the data plane needs of it; `linux` is the kernel's TUN, `memory` a pair of ends in one process.
//! Addresses and routes are `netcfg`'s business, and where a packet goes the data plane's.

mod linux;
pub mod memory;

use std::io;
use std::os::fd::BorrowedFd;

pub use linux::{LinuxTun, OpenError};

/// A packet device, read by one thread and written by another. Never blocks.
pub trait Tun: Send + Sync + 'static {
    /// Reads one IP packet into `buffer`; `WouldBlock` when there is none.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Hands one IP packet to the host.
    fn send(&self, packet: &[u8]) -> io::Result<()>;

    /// Readable when a packet waits.
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// MTU of the device, and of a peer until its path is measured: the whole form over IPv6 still fits 1500 bytes, and
/// the transport form also the 1492 of PPPoE.
pub const INITIAL_MTU: u16 = 1420;

/// The longest IP packet.
pub const MAX_PACKET: usize = 65_535;
