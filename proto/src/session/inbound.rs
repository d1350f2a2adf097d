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
        if self.signal.is_closed() {
            return Err(Discard::SaExpired);
        }
        let header = Header::decode(&buffer[datagram.clone()])?;
        if header.spi != self.spi {
            return Err(Discard::UnknownSpi);
        }
        self.replay.precheck(header.sequence)?;
        let plaintext = self.cipher.open(buffer, datagram, header).inspect_err(|reason| self.count_forgery(*reason))?;
        self.replay.commit(header.sequence)?;

        let (payload_len, next_header) = esp::read_trailer(&buffer[plaintext.clone()])?;
        let payload = plaintext.start..plaintext.start + payload_len;
        match next_header {
            NextHeader::Control => Ok(Opened::Control(payload)),
            NextHeader::Dummy => Ok(Opened::Dummy),
            NextHeader::Transport(protocol) => self.rebuild(buffer, payload, protocol, ecn),
            NextHeader::Whole(family) => self.accept_whole(buffer, payload, family, ecn),
        }
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

    /// Puts the header that was not sent before a segment.
    fn rebuild(&self, buffer: &mut [u8], segment: Range<usize>, protocol: u8, ecn: Ecn) -> Result<Opened, Discard> {
        if !inner::is_upper_layer(protocol) {
            return Err(Discard::Malformed);
        }
        let start = segment.start - self.template.header_len();
        // RFC 4301 section 5.1.2.1 binds tunnels; in transport form the outer bits are the packet's only ones
        self.template.rebuild(&mut buffer[start..segment.start], protocol, ecn, segment.len())?;
        Ok(Opened::Packet(start..segment.end))
    }

    /// Checks a packet that came with its own header, which the peer may have written as it liked.
    fn accept_whole(
        &self,
        buffer: &mut [u8],
        payload: Range<usize>,
        family: Family,
        outer: Ecn,
    ) -> Result<Opened, Discard> {
        let packet = &mut buffer[payload.clone()];
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
        // what follows the inner packet is traffic-flow-confidentiality padding (RFC 4303 section 2.7)
        Ok(Opened::Packet(payload.start..payload.start + outline.len))
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
