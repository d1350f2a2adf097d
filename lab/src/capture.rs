//! What passes a cable, as tcpdump wrote it, and the outer headers of what was captured.
//!
//! Only headers that a stranger can read: nothing is decrypted here.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::namespace::Namespace;
use crate::wait;

/// A capture that runs until it is stopped.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    /// Captures the UDP datagrams that pass the interface into a file, and returns once that has begun.
    pub fn start(namespace: &Namespace, interface: &str, file: &Path) -> Result<Self> {
        // Through our own file handle: a confined tcpdump may not open files where it likes.
        let output = File::create(file).context("make the capture file")?;
        let said = file.with_extension("stderr");
        let mut command: Command = namespace.command("tcpdump");
        command.args(["-i", interface, "-n", "-s", "0", "-U", "--immediate-mode", "-w", "-", "udp"]);
        let tcpdump = command.stdin(Stdio::null()).stdout(output).stderr(File::create(&said)?).spawn();
        let capture = Self { tcpdump: tcpdump.context("start tcpdump")?, file: file.to_owned() };
        wait::until("tcpdump to listen", Duration::from_secs(5), || {
            fs::read_to_string(&said).ok().filter(|text| text.contains("listening on"))
        })?;
        Ok(capture)
    }

    /// What has been captured so far.
    pub fn packets(&self) -> Result<Vec<Packet>> {
        read(&self.file)
    }

    /// Ends it; the file stays.
    pub fn stop(mut self) -> Result<Vec<Packet>> {
        kill(Pid::from_raw(self.tcpdump.id().cast_signed()), Signal::SIGTERM).context("stop tcpdump")?;
        self.tcpdump.wait().context("reap tcpdump")?;
        read(&self.file)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Already reaped when it was stopped in order.
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// One captured UDP datagram over IPv4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Since the epoch, by the machine's clock.
    pub at: Duration,
    /// From the first byte of the IPv4 header to the last its length field counts.
    pub ip: Vec<u8>,
}

impl Packet {
    /// Outer source.
    pub fn source(&self) -> SocketAddrV4 {
        self.endpoint(12, 0)
    }

    /// Outer destination.
    pub fn destination(&self) -> SocketAddrV4 {
        self.endpoint(16, 2)
    }

    /// Time to live as captured.
    pub fn ttl(&self) -> u8 {
        self.ip[8]
    }

    /// What the UDP datagram carries.
    pub fn payload(&self) -> &[u8] {
        &self.ip[self.header_len() + UDP_HEADER..]
    }

    /// SPI and sequence number, when the payload is ESP in UDP as Warren marks it (first two bits `10`) and long
    /// enough to be ESP at all.
    pub fn esp(&self) -> Option<(u32, u32)> {
        let (spi, rest) = self.payload().split_first_chunk::<4>()?;
        let sequence = rest.first_chunk::<4>()?;
        let marked = spi[0] >> 6 == 0b10 && self.payload().len() >= ESP_MIN;
        marked.then(|| (u32::from_be_bytes(*spi), u32::from_be_bytes(*sequence)))
    }

    fn header_len(&self) -> usize {
        usize::from(self.ip[0] & 0x0f) * 4
    }

    fn endpoint(&self, address: usize, port: usize) -> SocketAddrV4 {
        let octets = [self.ip[address], self.ip[address + 1], self.ip[address + 2], self.ip[address + 3]];
        let port = self.header_len() + port;
        SocketAddrV4::new(Ipv4Addr::from(octets), u16::from_be_bytes([self.ip[port], self.ip[port + 1]]))
    }

    /// From a captured Ethernet frame; `None` for anything but a whole, unfragmented UDP datagram over IPv4.
    fn from_frame(at: Duration, frame: &[u8]) -> Option<Self> {
        let (ethernet, ip) = frame.split_at_checked(ETHERNET_HEADER)?;
        let length = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
        let packet = Self { at, ip: ip.get(..length)?.to_vec() };
        let is_udp = ethernet[12..] == [0x08, 0x00] && *packet.ip.get(9)? == 17;
        let is_whole = u16::from_be_bytes([packet.ip[6], packet.ip[7]]) & 0x3fff == 0;
        (is_udp && is_whole && packet.ip.len() >= packet.header_len() + UDP_HEADER).then_some(packet)
    }
}

/// Reads a capture file (the classic format, little-endian, microseconds); a half-written last record is left out.
pub fn read(file: &Path) -> Result<Vec<Packet>> {
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    if bytes.len() < FILE_HEADER {
        return Ok(Vec::new());
    }
    ensure!(bytes[..4] == [0xd4, 0xc3, 0xb2, 0xa1], "{} is no capture file of this machine", file.display());
    let mut rest = &bytes[FILE_HEADER..];
    let mut packets = Vec::new();
    while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER>() {
        let word =
            |index: usize| u32::from_le_bytes([header[index], header[index + 1], header[index + 2], header[index + 3]]);
        let at = Duration::from_secs(word(0).into()) + Duration::from_micros(word(4).into());
        let Some((frame, tail)) = tail.split_at_checked(word(8) as usize) else { break };
        packets.extend(Packet::from_frame(at, frame));
        rest = tail;
    }
    Ok(packets)
}

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const ETHERNET_HEADER: usize = 14;
const UDP_HEADER: usize = 8;
/// SPI, sequence number, an empty payload padded to 4 bytes with its trailer, ICV.
const ESP_MIN: usize = 4 + 4 + 4 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_yields_its_outer_headers() {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 36, 0, 0, 0x40, 0, 61, 17, 0, 0]);
        frame.extend([198, 51, 100, 2, 203, 0, 113, 2, 0x9c, 0x40, 0x9c, 0x41, 0, 16, 0, 0]);
        frame.extend([0x80, 0xa1, 0xb2, 0xc8, 0, 0, 0, 1]);
        frame.extend([0; 6]);

        let packet = Packet::from_frame(Duration::ZERO, &frame).unwrap();

        assert_eq!(packet.source(), "198.51.100.2:40000".parse().unwrap());
        assert_eq!(packet.destination(), "203.0.113.2:40001".parse().unwrap());
        assert_eq!((packet.ttl(), packet.payload().len()), (61, 8), "the Ethernet padding is not payload");
        assert_eq!(packet.esp(), None, "eight bytes are too few for ESP");
    }

    #[test]
    fn a_cut_frame_yields_nothing() {
        for length in 0..ETHERNET_HEADER + 20 {
            assert_eq!(Packet::from_frame(Duration::ZERO, &vec![0x45; length]), None, "{length} bytes");
        }
    }
}
