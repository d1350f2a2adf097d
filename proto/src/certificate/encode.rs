//! Certificates as bytes: one layout, and one encoding for one meaning. Knows nothing of signatures or time.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 16 | network id |
//! | 17 | 16 | node id |
//! | 33 | 32 | X25519 static public key |
//! | 65 | 32 | Ed25519 identity public key |
//! | 97 | 4 | overlay IPv4 address |
//! | 101 | 16 | overlay IPv6 address |
//! | 117 | 8 | not before: seconds since 1970, big-endian as all numbers here |
//! | 125 | 8 | not after |
//! | 133 | 8 | epoch |
//! | 141 | 1 | N, length of the name: 1 to 63 |
//! | 142 | N | name |
//! | 142+N | 1 | R, number of routes: 0 to 32 |
//! | 143+N | | R routes: family 1 (4 or 6), prefix length 1, address 4 or 16 with zero host bits |
//! | end | 64 | Ed25519 signature over "warren certificate v1" and all the above |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Certificate, CertificateError, is_valid_name};
use crate::keys::{IdentityPublic, NetworkId, NodeId, StaticPublic, UnixTime};

/// Longest signed certificate: the longest name and 32 IPv6 routes make 846 bytes.
pub const MAX_CERTIFICATE: usize = 1024;
/// Most routes in one certificate, so that it stays below [`MAX_CERTIFICATE`].
pub const MAX_ROUTES: usize = 32;

/// The bytes to be signed.
pub(super) fn encode(certificate: &Certificate) -> Result<Vec<u8>, CertificateError> {
    if !is_valid_name(&certificate.name) {
        return Err(CertificateError::Name);
    }
    if certificate.routes.len() > MAX_ROUTES || !certificate.routes.iter().all(is_prefix) {
        return Err(CertificateError::Route);
    }
    let mut bytes = Vec::with_capacity(MAX_CERTIFICATE);
    bytes.push(VERSION);
    bytes.extend_from_slice(certificate.network.as_bytes());
    bytes.extend_from_slice(certificate.node.as_bytes());
    bytes.extend_from_slice(certificate.static_key.as_bytes());
    bytes.extend_from_slice(certificate.identity_key.as_bytes());
    bytes.extend_from_slice(&certificate.v4.octets());
    bytes.extend_from_slice(&certificate.v6.octets());
    bytes.extend_from_slice(&certificate.not_before.as_secs().to_be_bytes());
    bytes.extend_from_slice(&certificate.not_after.as_secs().to_be_bytes());
    bytes.extend_from_slice(&certificate.epoch.to_be_bytes());
    bytes.push(u8::try_from(certificate.name.len()).expect("a valid name has at most 63 bytes"));
    bytes.extend_from_slice(certificate.name.as_bytes());
    bytes.push(u8::try_from(certificate.routes.len()).expect("checked against MAX_ROUTES"));
    certificate.routes.iter().for_each(|route| encode_route(route, &mut bytes));
    Ok(bytes)
}

/// Reads the signed bytes, all of them, and applies the rules of `encode`.
pub(super) fn decode(bytes: &[u8]) -> Result<Certificate, CertificateError> {
    let mut reader = Reader(bytes);
    if reader.byte()? != VERSION {
        return Err(CertificateError::Encoding);
    }
    let certificate = Certificate {
        network: NetworkId::new(reader.take()?),
        node: NodeId::new(reader.take()?),
        static_key: StaticPublic::new(reader.take()?),
        identity_key: IdentityPublic::new(reader.take()?),
        v4: Ipv4Addr::from(reader.take::<4>()?),
        v6: Ipv6Addr::from(reader.take::<16>()?),
        not_before: UnixTime::from_secs(reader.number()?),
        not_after: UnixTime::from_secs(reader.number()?),
        epoch: reader.number()?,
        name: decode_name(&mut reader)?,
        routes: decode_routes(&mut reader)?,
    };
    if reader.0.is_empty() { Ok(certificate) } else { Err(CertificateError::Encoding) }
}

fn decode_name(reader: &mut Reader<'_>) -> Result<String, CertificateError> {
    let length = usize::from(reader.byte()?);
    let name = str::from_utf8(reader.slice(length)?).map_err(|_| CertificateError::Name)?;
    if is_valid_name(name) { Ok(name.to_owned()) } else { Err(CertificateError::Name) }
}

fn decode_routes(reader: &mut Reader<'_>) -> Result<Vec<(IpAddr, u8)>, CertificateError> {
    let count = usize::from(reader.byte()?);
    if count > MAX_ROUTES {
        return Err(CertificateError::Route);
    }
    (0..count).map(|_| decode_route(reader)).collect()
}

fn encode_route((address, prefix): &(IpAddr, u8), bytes: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            bytes.extend_from_slice(&[FAMILY_V4, *prefix]);
            bytes.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.extend_from_slice(&[FAMILY_V6, *prefix]);
            bytes.extend_from_slice(&v6.octets());
        }
    }
}

fn decode_route(reader: &mut Reader<'_>) -> Result<(IpAddr, u8), CertificateError> {
    let [family, prefix] = reader.take()?;
    let address = match family {
        FAMILY_V4 => IpAddr::from(reader.take::<4>()?),
        FAMILY_V6 => IpAddr::from(reader.take::<16>()?),
        _ => return Err(CertificateError::Route),
    };
    let route = (address, prefix);
    if is_prefix(&route) { Ok(route) } else { Err(CertificateError::Route) }
}

/// Whether the length fits the address and no host bit is set, so that equal routes are equal values.
fn is_prefix((address, prefix): &(IpAddr, u8)) -> bool {
    let prefix = u32::from(*prefix);
    match address {
        IpAddr::V4(v4) => prefix <= 32 && v4.to_bits().checked_shl(prefix).unwrap_or(0) == 0,
        IpAddr::V6(v6) => prefix <= 128 && v6.to_bits().checked_shl(prefix).unwrap_or(0) == 0,
    }
}

/// What is left to read; every step fails rather than reads past the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], CertificateError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(CertificateError::Encoding)?;
        self.0 = rest;
        Ok(head)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CertificateError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(CertificateError::Encoding)?;
        self.0 = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, CertificateError> {
        self.take().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u64, CertificateError> {
        self.take().map(u64::from_be_bytes)
    }
}

const VERSION: u8 = 1;
const FAMILY_V4: u8 = 4;
const FAMILY_V6: u8 = 6;
