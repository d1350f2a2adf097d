//! The receiving half: cheap checks, then the ICV, then the replay window, and only then a look at the contents.
//!
//! A forged packet costs one decryption and changes nothing but a counter.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::inner::{self, Template};
use crate::io::{Discard, Ecn};
use crate::keys::{Family, NodeId, Spi};
use crate::wire::esp::{self, Header, NextHeader};

use super::cipher::Cipher;
use super::replay::ReplayGuard;
use super::signal::Signal;
use super::{Opened, SaParams, template};

/// An association that this device receives on.
pub struct InboundSa {
    cipher: Cipher,
    spi: Spi,
    peer: NodeId,
    /// The header of packets from the peer to us.
    template: Template,
    routes: Vec<(IpAddr, u8)>,
    replay: ReplayGuard,
    forged: AtomicU64,
    signal: Signal,
}

impl InboundSa {
    /// Sets the key up; the parameters' copy of it is cleared.
    ///
    /// # Panics
    /// When the two overlay addresses are of different families.
    pub fn new(params: SaParams) -> Self {
        Self {
            cipher: Cipher::new(params.suite, &params.key_material),
            spi: params.spi,
            peer: params.peer,
            template: template(params.remote, params.local, params.ttl),
            routes: params.routes,
            replay: ReplayGuard::default(),
            forged: AtomicU64::new(0),
            signal: Signal::default(),
        }
    }

    /// Opens the ESP datagram `buffer[datagram]` in place; `ecn` is what its outer IP header said.
    ///
    /// # Panics
    /// Unless the buffer has [`HEADROOM`](super::HEADROOM) before the datagram.
    pub fn open(&self, buffer: &mut [u8], datagram: Range<usize>, ecn: Ecn) -> Result<Opened, Discard> {
        let content = self.decrypt(buffer, datagram)?;
        self.replay.commit(content.sequence)?;
        let (kind, payload) = content.read(buffer)?;
        match kind {
            NextHeader::Control => Ok(Opened::Control(payload)),
            NextHeader::Dummy => Ok(Opened::Dummy),
            NextHeader::Transport(protocol) => {
                let start = payload.start - self.template.header_len();
                self.rebuild(&mut buffer[start..payload.start], protocol, ecn, payload.len())?;
                Ok(Opened::Packet(start..payload.end))
            }
            NextHeader::Whole(family) => {
                let len = self.accept_whole(&mut buffer[payload.clone()], family, ecn)?;
                Ok(Opened::Packet(payload.start..payload.start + len))
            }
        }
    }

    /// Opens a run of ESP datagrams in place and puts those that are authentic and new into `contents`, in order; the
    /// others are told to `refused`. The replay window is locked once.
    ///
    /// Nothing is rebuilt: [`Self::rebuild`] and [`Self::accept_whole`] make packets of the contents, so that segments
    /// of one flow can be joined under one header.
    pub fn open_run(
        &self,
        buffer: &mut [u8],
        datagrams: impl Iterator<Item = Range<usize>>,
        contents: &mut Vec<Content>,
        mut refused: impl FnMut(Discard),
    ) {
        contents.clear();
        for datagram in datagrams {
            match self.decrypt(buffer, datagram) {
                Ok(content) => contents.push(content),
                Err(reason) => refused(reason),
            }
        }
        self.replay.commit_all(contents, |content| content.sequence, refused);
    }

    /// Verifies a datagram and looks inside. Its number is not entered yet.
    fn decrypt(&self, buffer: &mut [u8], datagram: Range<usize>) -> Result<Content, Discard> {
        if self.signal.is_closed() {
            return Err(Discard::SaExpired);
        }
        let header = Header::decode(&buffer[datagram.clone()])?;
        if header.spi != self.spi {
            return Err(Discard::UnknownSpi);
        }
        self.replay.precheck(header.sequence)?;
        let plaintext = self.cipher.open(buffer, datagram, header).inspect_err(|reason| self.count_forgery(*reason))?;
        Ok(Content { sequence: header.sequence, plaintext })
    }

    /// How many packets have been authentic and new.
    pub fn opened(&self) -> u64 {
        self.replay.committed()
    }

    /// Our name for this association.
    pub const fn spi(&self) -> Spi {
        self.spi
    }

    /// Who sends.
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Asks that the next packet opened be told to the slow path.
    pub fn arm_wake(&self) {
        self.signal.arm_wake();
    }

    /// Whether to tell the slow path of the packet just opened; one relaxed load unless armed.
    pub fn take_wake(&self) -> bool {
        self.signal.take_wake()
    }

    /// Lets nothing be opened any more.
    pub fn close(&self) {
        self.signal.close();
    }

    /// Bytes of the header that [`Self::rebuild`] writes.
    pub const fn header_len(&self) -> usize {
        self.template.header_len()
    }

    /// Writes the header that was not sent with `payload_len` bytes of `protocol`.
    ///
    /// # Panics
    /// Unless `header` has [`Self::header_len`] bytes.
    pub fn rebuild(&self, header: &mut [u8], protocol: u8, ecn: Ecn, payload_len: usize) -> Result<(), Discard> {
        // RFC 4301 section 5.1.2.1 binds tunnels; in transport form the outer bits are the packet's only ones
        self.template.rebuild(header, protocol, ecn, payload_len)
    }

    /// Checks a packet that came with its own header, which the peer may have written as it liked, and gives its length.
    /// What follows it is traffic-flow-confidentiality padding (RFC 4303 section 2.7).
    pub fn accept_whole(&self, packet: &mut [u8], family: Family, outer: Ecn) -> Result<usize, Discard> {
        let outline = inner::parse(packet)?;
        if outline.family != family || family != self.template.family() {
            return Err(Discard::InnerMalformed);
        }
        let addresses = inner::addresses(packet)?;
        if !self.may_send_from(addresses.source) || addresses.destination != self.template.destination() {
            return Err(Discard::InnerAddress);
        }
        let ecn = inner::decapsulate_ecn(outline.ecn, outer)?;
        if ecn != outline.ecn {
            inner::set_ecn(packet, ecn);
        }
        Ok(outline.len)
    }

    fn may_send_from(&self, source: IpAddr) -> bool {
        source == self.template.source() || self.routes.iter().any(|route| covers(*route, source))
    }

    fn count_forgery(&self, reason: Discard) {
        if reason == Discard::Authentication && self.forged.fetch_add(1, Ordering::Relaxed) >= FORGERIES_MAX {
            self.close();
        }
    }
}

/// What an authentic datagram of a run held: a place in the buffer that [`InboundSa::open_run`] decrypted in.
#[derive(Debug)]
pub struct Content {
    sequence: u32,
    plaintext: Range<usize>,
}

impl Content {
    /// Its kind and where its payload lies. An error is the peer's own doing.
    pub fn read(&self, buffer: &[u8]) -> Result<(NextHeader, Range<usize>), Discard> {
        let start = self.plaintext.start;
        let (payload_len, kind) = esp::read_trailer(&buffer[self.plaintext.clone()])?;
        match kind {
            NextHeader::Transport(protocol) if !inner::is_upper_layer(protocol) => Err(Discard::Malformed),
            NextHeader::Control | NextHeader::Dummy | NextHeader::Transport(_) | NextHeader::Whole(_) => {
                Ok((kind, start..start + payload_len))
            }
        }
    }
}

/// Whether `address` lies in the prefix.
fn covers((network, prefix_len): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differing = network.to_bits() ^ address.to_bits();
            differing.leading_zeros() >= u32::from(prefix_len)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differing = network.to_bits() ^ address.to_bits();
            differing.leading_zeros() >= u32::from(prefix_len)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// A 128-bit tag tried this often is still forged with a chance below 2^-90; nobody honest gets here.
const FORGERIES_MAX: u64 = 1 << 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_its_network_and_nothing_beside_it() {
        let subnet = ("10.1.2.0".parse().unwrap(), 23);

        assert!(covers(subnet, "10.1.3.255".parse().unwrap()));
        assert!(!covers(subnet, "10.1.4.0".parse().unwrap()));
        assert!(covers(("0.0.0.0".parse().unwrap(), 0), "203.0.113.1".parse().unwrap()));
        assert!(!covers(("0.0.0.0".parse().unwrap(), 0), "fd00::1".parse().unwrap()));
        assert!(covers(("fd00::1".parse().unwrap(), 128), "fd00::1".parse().unwrap()));
        assert!(!covers(("fd00::1".parse().unwrap(), 129), "fd00::1".parse().unwrap()));
    }
}
