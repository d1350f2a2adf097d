//! The sending half: chooses the form of each packet, gives it its number and seals it in place.
//!
//! A number is given out once and never taken back, so a packet that is dropped after sealing leaves a gap and no harm.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::crypto::Suite;
use crate::inner::{Form, Outline, Template};
use crate::io::Discard;
use crate::keys::{NodeId, Spi};
use crate::wire::esp::{Header, NextHeader};

use super::cipher::Cipher;
use super::signal::Signal;
use super::{SaParams, Sealed, template};

/// An association that this device sends on.
pub struct OutboundSa {
    cipher: Cipher,
    spi: Spi,
    suite: Suite,
    peer: NodeId,
    template: Template,
    /// The last sequence number given out.
    last: AtomicU64,
    signal: Signal,
}

impl OutboundSa {
    /// Sets the key up; the parameters' copy of it is cleared.
    ///
    /// # Panics
    /// When the two overlay addresses are of different families.
    pub fn new(params: SaParams) -> Self {
        Self {
            cipher: Cipher::new(params.suite, &params.key_material),
            spi: params.spi,
            suite: params.suite,
            peer: params.peer,
            template: template(params.local, params.remote, params.ttl),
            last: AtomicU64::new(0),
            signal: Signal::default(),
        }
    }

    /// Seals the IP packet `buffer[packet]` in place, without its header if the peer can rebuild it.
    ///
    /// # Panics
    /// Unless the buffer has [`HEADROOM`](super::HEADROOM) before the packet and [`TAILROOM`](super::TAILROOM) after.
    pub fn seal_packet(&self, buffer: &mut [u8], packet: Range<usize>) -> Result<Sealed, Discard> {
        let (outline, form) = self.template.classify(&buffer[packet.clone()])?;
        let (inside, next_header) = match form {
            Form::Transport => (outline.payload(), NextHeader::Transport(outline.protocol)),
            Form::Whole => (0..outline.len, NextHeader::Whole(outline.family)),
        };
        let payload = packet.start + inside.start..packet.start + inside.end;
        let datagram = self.number()?.seal(buffer, payload, next_header);
        Ok(Sealed { datagram, ecn: outline.ecn, form })
    }

    /// Seals what is no inner traffic: a control message or a dummy. Allocates, so it is for the slow path.
    pub fn seal_control(&self, next_header: NextHeader, payload: &[u8]) -> Result<Vec<u8>, Discard> {
        if payload.len() > MAX_CONTROL_LEN {
            return Err(Discard::Length);
        }
        let start = self.cipher.layout.prefix_len();
        let mut datagram = vec![0; start + payload.len() + super::TAILROOM];
        datagram[start..start + payload.len()].copy_from_slice(payload);
        let sealed = self.number()?.seal(&mut datagram, start..start + payload.len(), next_header);
        datagram.truncate(sealed.end);
        Ok(datagram)
    }

    /// Takes `count` sequence numbers in a row; fails once the association is used up or closed.
    pub fn reserve(&self, count: u32) -> Result<Numbers<'_>, Discard> {
        if self.signal.is_closed() {
            return Err(Discard::SaExpired);
        }
        let before = self.last.fetch_add(u64::from(count), Ordering::Relaxed);
        if before + u64::from(count) > SEALED_MAX {
            return Err(Discard::SaExpired);
        }
        // the limit is far below what 32 bits can count
        let first = u32::try_from(before + 1).map_err(|_| Discard::SaExpired)?;
        Ok(Numbers { sa: self, next: first, left: count })
    }

    fn number(&self) -> Result<Number<'_>, Discard> {
        self.reserve(1)?.next().ok_or(Discard::SaExpired)
    }

    /// What a packet with the header of `packet` is, and how it travels; lengths are the packet's own to check.
    pub fn classify(&self, packet: &[u8]) -> Result<(Outline, Form), Discard> {
        self.template.classify(packet)
    }

    /// Bytes that sealing writes before a payload.
    pub const fn prefix_len(&self) -> usize {
        self.cipher.layout.prefix_len()
    }

    /// How many sequence numbers have been given out.
    pub fn sealed(&self) -> u64 {
        self.last.load(Ordering::Relaxed).min(SEALED_MAX)
    }

    /// The peer's name for this association.
    pub const fn spi(&self) -> Spi {
        self.spi
    }

    /// The transform.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Who receives.
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Bytes of UDP payload that `payload_len` bytes become, whatever they are.
    pub const fn sealed_len(&self, payload_len: usize) -> usize {
        self.cipher.layout.packet_len(payload_len)
    }

    /// The largest inner packets that fit into `udp_payload` bytes: in transport form, and whole.
    pub fn inner_mtu(&self, udp_payload: usize) -> (usize, usize) {
        let whole = self.cipher.layout.payload_capacity(udp_payload).unwrap_or(0);
        (whole + self.template.header_len(), whole)
    }

    /// Asks that the next packet sealed be told to the slow path.
    pub fn arm_wake(&self) {
        self.signal.arm_wake();
    }

    /// Whether to tell the slow path of the packet just sealed; one relaxed load unless armed.
    pub fn take_wake(&self) -> bool {
        self.signal.take_wake()
    }

    /// Lets nothing be sealed any more.
    pub fn close(&self) {
        self.signal.close();
    }
}

/// Sequence numbers in a row, each to be used once; what is not used leaves a gap.
pub struct Numbers<'a> {
    sa: &'a OutboundSa,
    next: u32,
    left: u32,
}

/// One sequence number of one association, which sealing uses up: no nonce can be made twice.
#[must_use]
pub struct Number<'a> {
    sa: &'a OutboundSa,
    sequence: u32,
}

impl<'a> Iterator for Numbers<'a> {
    type Item = Number<'a>;

    fn next(&mut self) -> Option<Number<'a>> {
        self.left = self.left.checked_sub(1)?;
        let sequence = self.next;
        self.next += 1;
        Some(Number { sa: self.sa, sequence })
    }
}

impl Number<'_> {
    /// Seals `buffer[payload]` where it lies and says where the datagram is. The caller has chosen the form:
    /// `NextHeader::Transport` only for what [`OutboundSa::classify`] finds canonical.
    ///
    /// # Panics
    /// Unless the buffer has [`OutboundSa::prefix_len`] bytes before the payload and
    /// [`TAILROOM`](super::TAILROOM) after.
    pub fn seal(self, buffer: &mut [u8], payload: Range<usize>, next_header: NextHeader) -> Range<usize> {
        let header = Header { spi: self.sa.spi, sequence: self.sequence };
        self.sa.cipher.seal(buffer, payload, next_header, header)
    }
}

/// Half of what a 32-bit sequence number can count: the nonce is made from it and must not wrap.
const SEALED_MAX: u64 = 1 << 31;

/// What still fits a UDP datagram with every header around it.
pub const MAX_CONTROL_LEN: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::params;

    #[test]
    fn sequence_numbers_start_at_one_and_come_in_rows() {
        let sa = OutboundSa::new(params());

        assert_eq!(row(&sa, 1), Ok(vec![1]));
        assert_eq!(row(&sa, 10), Ok((2..=11).collect()));
        assert_eq!(row(&sa, 1), Ok(vec![12]));
        assert_eq!(sa.sealed(), 12);
    }

    #[test]
    fn the_hard_limit_is_the_last_number_given_out() {
        let sa = OutboundSa::new(params());
        sa.last.store(SEALED_MAX - 1, Ordering::Relaxed);

        assert_eq!(row(&sa, 1), Ok(vec![1 << 31]));
        assert_eq!(row(&sa, 1), Err(Discard::SaExpired));
        assert_eq!(sa.seal_control(NextHeader::Dummy, &[]), Err(Discard::SaExpired));
        assert_eq!(sa.sealed(), SEALED_MAX);
    }

    #[test]
    fn a_row_that_would_cross_the_limit_is_refused_whole() {
        let sa = OutboundSa::new(params());
        sa.last.store(SEALED_MAX - 3, Ordering::Relaxed);

        assert_eq!(row(&sa, 4), Err(Discard::SaExpired));
    }

    #[test]
    fn a_closed_association_seals_nothing() {
        let sa = OutboundSa::new(params());

        sa.close();

        assert_eq!(sa.seal_control(NextHeader::Dummy, &[]), Err(Discard::SaExpired));
        assert_eq!(sa.sealed(), 0);
    }

    fn row(sa: &OutboundSa, count: u32) -> Result<Vec<u32>, Discard> {
        Ok(sa.reserve(count)?.map(|number| number.sequence).collect())
    }
}
