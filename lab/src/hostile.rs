//! A sender without manners: any UDP datagram from any source address, as fast as asked.

use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket};

use crate::namespace::Namespace;
use crate::transfer::next;

/// Sends from a router on the way, so that nobody checks its source addresses.
#[derive(Debug)]
pub struct Forger {
    raw: OwnedFd,
}

impl Forger {
    /// Stands in that namespace.
    pub fn new(namespace: &Namespace) -> Result<Self> {
        let open = || socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw);
        Ok(Self { raw: namespace.inside(open)?.context("open a raw socket")? })
    }

    /// Sends the payload in the name of another.
    pub fn send(&self, source: SocketAddrV4, target: SocketAddrV4, payload: &[u8]) -> Result<()> {
        let packet = forge(source, target, payload);
        match sendto(self.raw.as_raw_fd(), &packet, &SockaddrIn::from(target), MsgFlags::empty()) {
            // A full queue is the network's way to say that this is too fast.
            Ok(_) | Err(nix::errno::Errno::ENOBUFS) => Ok(()),
            Err(error) => Err(error).context("send a forged datagram"),
        }
    }

    /// Keeps sending what `make` yields at that rate for that long; how many went out.
    pub fn flood(
        &self,
        rate: u32,
        duration: Duration,
        mut make: impl FnMut(&mut u64) -> (SocketAddrV4, SocketAddrV4, Vec<u8>),
    ) -> Result<u64> {
        let (start, mut sent, mut random) = (Instant::now(), 0, SEED);
        while start.elapsed() < duration {
            let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
            while sent < due {
                let (source, target, payload) = make(&mut random);
                self.send(source, target, &payload)?;
                sent += 1;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(sent)
    }
}

/// Random bytes of a random length up to the largest datagram of the lab.
pub fn noise(random: &mut u64) -> Vec<u8> {
    let length = (next(random) % 1400) as usize;
    (0..length).map(|_| (next(random) >> 32) as u8).collect()
}

/// The datagram with one bit turned.
pub fn damaged(datagram: &[u8], random: &mut u64) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    let bit = next(random) as usize % (bytes.len().max(1) * 8);
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    bytes
}

/// The datagram, cut anywhere.
pub fn cut(datagram: &[u8], random: &mut u64) -> Vec<u8> {
    datagram[..next(random) as usize % datagram.len().max(1)].to_vec()
}

/// One of several.
pub fn any<'a, T>(choices: &'a [T], random: &mut u64) -> &'a T {
    &choices[next(random) as usize % choices.len()]
}

/// IPv4 and UDP around the payload; the kernel fills in the IPv4 checksum, a UDP checksum of zero means none.
fn forge(source: SocketAddrV4, target: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = |extra: usize| u16::try_from(extra + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x45, 0];
    packet.extend(length(28));
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(target.ip().octets());
    packet.extend(source.port().to_be_bytes());
    packet.extend(target.port().to_be_bytes());
    packet.extend(length(8));
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

/// The same noise in every run.
const SEED: u64 = 0x1234_5678_9abc_def1;
