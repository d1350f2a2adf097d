//! The four handshake messages as bytes. Numbers are big-endian.
//!
//! Every message opens with 8 bytes: type 1, version 1, flags 2, and an SPI base 4 that also names the handshake.
//!
//! | INIT | 168 | RESP | 112 |
//! |---|---|---|---|
//! | 0 | type 0x08, version, flags 0 | 0 | type 0x09, version, flags (bit 0: psk used) |
//! | 4 | initiator's SPI base | 4 | responder's SPI base |
//! | 8 | ephemeral key 32 | 8 | initiator's SPI base, echoed |
//! | 40 | sealed static key 32+16 | 12 | ephemeral key 32 |
//! | 88 | sealed payload 32+16 | 44 | sealed payload 20+16 |
//! | 136 | mac1 16 | 80 | mac1 16 |
//! | 152 | mac2 16, zero or the proof that was asked for | 96 | mac2 16, zero and not read |
//!
//! | CONFIRM | 24 | COOKIE | 64 |
//! |---|---|---|---|
//! | 0 | type 0x0A, version, flags 0 | 0 | type 0x0B, version, flags (bit 0: a challenge to a stale INIT) |
//! | 4 | responder's SPI base | 4 | initiator's SPI base |
//! | 8 | tag 16 | 8 | nonce 24 |
//! | | | 32 | sealed cookie 16+16 |
//!
//! No message is longer than the one it answers. Unknown flags are not refused: those of INIT, RESP and COOKIE are
//! covered by what is sealed, so that nobody on the way can set one. What the sealed parts mean is left to `handshake`.

use crate::io::Discard;
use crate::keys::{SpiBase, StaticPublic};

/// Length of INIT.
pub const INIT_LEN: usize = 168;
/// Length of RESP.
pub const RESPONSE_LEN: usize = 112;
/// Length of CONFIRM.
pub const CONFIRM_LEN: usize = 24;
/// Length of COOKIE.
pub const COOKIE_LEN: usize = 64;

/// A handshake message, by its first byte.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// The responder is asked for a session.
    Init(Init<'a>),
    /// The answer to INIT.
    Response(Response<'a>),
    /// The initiator has the keys.
    Confirm(Confirm<'a>),
    /// INIT is to be sent again, with a proof.
    Cookie(CookieReply<'a>),
}

impl<'a> Message<'a> {
    /// Reads one message; nothing of it is authenticated.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Discard> {
        match datagram.first() {
            Some(&INIT_TYPE) => Init::parse(datagram).map(Self::Init),
            Some(&RESPONSE_TYPE) => Response::parse(datagram).map(Self::Response),
            Some(&CONFIRM_TYPE) => Confirm::parse(datagram).map(Self::Confirm),
            Some(&COOKIE_TYPE) => CookieReply::parse(datagram).map(Self::Cookie),
            _ => Err(Discard::Unclassified),
        }
    }
}

/// An INIT.
#[derive(Clone, Copy, Debug)]
pub struct Init<'a> {
    /// The initiator's SPI base, which the answer must name.
    pub spi_i: SpiBase,
    pub(crate) header: &'a [u8; 8],
    pub(crate) ephemeral: StaticPublic,
    pub(crate) sealed_static: &'a [u8; 48],
    pub(crate) sealed_payload: &'a [u8; 48],
    pub(crate) macs: Macs<'a>,
}

impl<'a> Init<'a> {
    /// Reads an INIT.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Discard> {
        let bytes: &[u8; INIT_LEN] = datagram.try_into().map_err(|_| Discard::Length)?;
        let mut rest = bytes.as_slice();
        let header = take(&mut rest)?;
        let (_, spi_i) = read_header(INIT_TYPE, header)?;
        Ok(Self {
            spi_i,
            header,
            ephemeral: StaticPublic::new(*take(&mut rest)?),
            sealed_static: take(&mut rest)?,
            sealed_payload: take(&mut rest)?,
            macs: Macs::of(bytes),
        })
    }

    pub(crate) const fn header(spi_i: SpiBase) -> [u8; 8] {
        header(INIT_TYPE, 0, spi_i)
    }

    /// The message with both macs zero.
    pub(crate) fn encode(
        header: &[u8; 8],
        ephemeral: &StaticPublic,
        sealed_static: &[u8; 48],
        sealed_payload: &[u8; 48],
    ) -> Vec<u8> {
        [header, &ephemeral.as_bytes()[..], sealed_static, sealed_payload, &[0; MACS_LEN]].concat()
    }
}

/// A RESP.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The initiator's SPI base: which INIT it answers.
    pub spi_i: SpiBase,
    /// The responder's SPI base.
    pub spi_r: SpiBase,
    /// Whether the responder mixed a pre-shared key in.
    pub psk_used: bool,
    pub(crate) header: &'a [u8; 12],
    pub(crate) ephemeral: StaticPublic,
    pub(crate) sealed_payload: &'a [u8; 36],
    pub(crate) macs: Macs<'a>,
}

impl<'a> Response<'a> {
    /// Reads a RESP.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Discard> {
        let bytes: &[u8; RESPONSE_LEN] = datagram.try_into().map_err(|_| Discard::Length)?;
        let mut rest = bytes.as_slice();
        let header: &[u8; 12] = take(&mut rest)?;
        let [first @ .., i0, i1, i2, i3] = header;
        let (flags, spi_r) = read_header(RESPONSE_TYPE, first)?;
        let spi_i = SpiBase::new(u32::from_be_bytes([*i0, *i1, *i2, *i3])).ok_or(Discard::Malformed)?;
        Ok(Self {
            spi_i,
            spi_r,
            psk_used: flags & PSK_USED != 0,
            header,
            ephemeral: StaticPublic::new(*take(&mut rest)?),
            sealed_payload: take(&mut rest)?,
            macs: Macs::of(bytes),
        })
    }

    pub(crate) fn header(spi_r: SpiBase, spi_i: SpiBase, psk_used: bool) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&header(RESPONSE_TYPE, if psk_used { PSK_USED } else { 0 }, spi_r));
        bytes[8..].copy_from_slice(&spi_i.get().to_be_bytes());
        bytes
    }

    /// The message with both macs zero.
    pub(crate) fn encode(header: &[u8; 12], ephemeral: &StaticPublic, sealed_payload: &[u8; 36]) -> Vec<u8> {
        [header, &ephemeral.as_bytes()[..], sealed_payload, &[0; MACS_LEN]].concat()
    }
}

/// A CONFIRM.
#[derive(Clone, Copy, Debug)]
pub struct Confirm<'a> {
    /// The responder's SPI base: which RESP it confirms.
    pub spi_r: SpiBase,
    pub(crate) bytes: &'a [u8; CONFIRM_LEN],
}

impl<'a> Confirm<'a> {
    /// Reads a CONFIRM.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Discard> {
        let bytes: &[u8; CONFIRM_LEN] = datagram.try_into().map_err(|_| Discard::Length)?;
        let (_, spi_r) = read_header(CONFIRM_TYPE, take(&mut bytes.as_slice())?)?;
        Ok(Self { spi_r, bytes })
    }

    pub(crate) const fn header(spi_r: SpiBase) -> [u8; 8] {
        header(CONFIRM_TYPE, 0, spi_r)
    }

    pub(crate) fn encode(header: &[u8; 8], tag: &[u8; 16]) -> Vec<u8> {
        [&header[..], tag].concat()
    }
}

/// A COOKIE.
#[derive(Clone, Copy, Debug)]
pub struct CookieReply<'a> {
    /// The initiator's SPI base: which INIT it answers.
    pub spi_i: SpiBase,
    /// Whether it challenges a stale INIT rather than asks for a proof of address.
    pub stale: bool,
    pub(crate) header: &'a [u8; 8],
    pub(crate) nonce: &'a [u8; 24],
    pub(crate) sealed: &'a [u8; 16],
    pub(crate) tag: &'a [u8; 16],
}

impl<'a> CookieReply<'a> {
    /// Reads a COOKIE.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Discard> {
        let bytes: &[u8; COOKIE_LEN] = datagram.try_into().map_err(|_| Discard::Length)?;
        let mut rest = bytes.as_slice();
        let header = take(&mut rest)?;
        let (flags, spi_i) = read_header(COOKIE_TYPE, header)?;
        Ok(Self {
            spi_i,
            stale: flags & STALE != 0,
            header,
            nonce: take(&mut rest)?,
            sealed: take(&mut rest)?,
            tag: take(&mut rest)?,
        })
    }

    pub(crate) const fn header(spi_i: SpiBase, stale: bool) -> [u8; 8] {
        header(COOKIE_TYPE, if stale { STALE } else { 0 }, spi_i)
    }

    pub(crate) fn encode(header: &[u8; 8], nonce: &[u8; 24], sealed: &[u8; 16], tag: &[u8; 16]) -> Vec<u8> {
        [&header[..], nonce, sealed, tag].concat()
    }
}

/// The last 32 bytes of INIT and RESP, and what each mac covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Macs<'a> {
    pub(crate) before_mac1: &'a [u8],
    pub(crate) mac1: &'a [u8; 16],
    pub(crate) before_mac2: &'a [u8],
    pub(crate) mac2: &'a [u8; 16],
}

impl<'a> Macs<'a> {
    fn of<const N: usize>(message: &'a [u8; N]) -> Self {
        let (before_mac2, mac2) = message.split_last_chunk().expect("a message with macs is longer than 32 bytes");
        let (before_mac1, mac1) = before_mac2.split_last_chunk().expect("a message with macs is longer than 32 bytes");
        Self { before_mac1, mac1, before_mac2, mac2 }
    }
}

/// mac1 and mac2.
pub(crate) const MACS_LEN: usize = 32;

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], Discard> {
    let (head, tail) = rest.split_first_chunk().ok_or(Discard::Length)?;
    *rest = tail;
    Ok(head)
}

fn read_header(kind: u8, bytes: &[u8; 8]) -> Result<(u16, SpiBase), Discard> {
    let [first, version, f0, f1, s0, s1, s2, s3] = *bytes;
    if first != kind || version != VERSION {
        return Err(Discard::Malformed);
    }
    let spi = SpiBase::new(u32::from_be_bytes([s0, s1, s2, s3])).ok_or(Discard::Malformed)?;
    Ok((u16::from_be_bytes([f0, f1]), spi))
}

const fn header(kind: u8, flags: u16, spi: SpiBase) -> [u8; 8] {
    let [f0, f1] = flags.to_be_bytes();
    let [s0, s1, s2, s3] = spi.get().to_be_bytes();
    [kind, VERSION, f0, f1, s0, s1, s2, s3]
}

const INIT_TYPE: u8 = 0x08;
const RESPONSE_TYPE: u8 = 0x09;
const CONFIRM_TYPE: u8 = 0x0a;
const COOKIE_TYPE: u8 = 0x0b;
const VERSION: u8 = 1;
/// Flag of RESP.
const PSK_USED: u16 = 1;
/// Flag of COOKIE.
const STALE: u16 = 1;
