//! What a NAT is in the terms of RFC 4787, measured with plain sockets: reflectors on the rendezvous's addresses, as a
//! STUN server has them, and a stranger who tries to get in.
//!
//! Whatever is concluded from how Warren gets through a NAT rests on this: that the NAT is what it is called.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::namespace::Namespace;
use crate::nat::NatKind;
use crate::topology::{Host, Internet, RENDEZVOUS, RENDEZVOUS_SECOND, RENDEZVOUS_V6};

/// How one host is seen and reached from outside, over IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// UDP leaves and comes back.
    Open {
        /// How the external port depends on the destination (RFC 4787 section 4.1).
        mapping: Mapping,
        /// Whether the external port is the host's own.
        preserves_port: bool,
        /// Distance between the ports of successive mappings, where it is always the same and small.
        step: Option<u16>,
        /// Who gets in (RFC 4787 section 5).
        filtering: Filtering,
    },
    /// No answer comes back.
    Closed,
}

/// Mapping behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// No NAT.
    None,
    /// One port for all destinations.
    EndpointIndependent,
    /// A port for each destination address.
    AddressDependent,
    /// A port for each destination address and port.
    AddressAndPortDependent,
}

/// Filtering behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// Anyone.
    EndpointIndependent,
    /// Addresses that were sent to, from any port.
    AddressDependent,
    /// Exactly what was sent to.
    AddressAndPortDependent,
}

impl Class {
    /// What a kind must turn out to be; whatever is behind a carrier is seen through both NATs.
    pub const fn expected(kind: NatKind) -> Self {
        use Filtering as F;
        use Mapping as M;

        match kind {
            NatKind::AddressDependent => Self::of(M::AddressDependent, false, F::AddressAndPortDependent),
            NatKind::AddressRestricted => Self::of(M::EndpointIndependent, true, F::AddressDependent),
            NatKind::Blocked | NatKind::Ipv6Only | NatKind::Rejected => Self::Closed,
            NatKind::CarrierGrade | NatKind::PortBlock => {
                Self::of(M::EndpointIndependent, false, F::AddressAndPortDependent)
            }
            // The home router still filters, whatever the carrier lets in.
            NatKind::CarrierGradeHairpin | NatKind::PortRestricted | NatKind::PortRestrictedOpen => {
                Self::of(M::EndpointIndependent, true, F::AddressAndPortDependent)
            }
            NatKind::DualStack | NatKind::Symmetric => {
                Self::of(M::AddressAndPortDependent, false, F::AddressAndPortDependent)
            }
            NatKind::FullCone | NatKind::Hairpin => Self::of(M::EndpointIndependent, true, F::EndpointIndependent),
            NatKind::None => Self::of(M::None, true, F::EndpointIndependent),
            NatKind::SymmetricSequential => Self::Open {
                mapping: M::AddressAndPortDependent,
                preserves_port: false,
                step: Some(1),
                filtering: F::AddressAndPortDependent,
            },
        }
    }

    const fn of(mapping: Mapping, preserves_port: bool, filtering: Filtering) -> Self {
        Self::Open { mapping, preserves_port, step: None, filtering }
    }
}

impl fmt::Display for Class {
    /// In the abbreviations of the field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Open { mapping, preserves_port, step, filtering } = self else {
            return f.write_str("no UDP over IPv4");
        };
        let mapping = match mapping {
            Mapping::None => "no NAT",
            Mapping::EndpointIndependent => "EIM",
            Mapping::AddressDependent => "ADM",
            Mapping::AddressAndPortDependent => "APDM",
        };
        let filtering = match filtering {
            Filtering::EndpointIndependent => "EIF",
            Filtering::AddressDependent => "ADF",
            Filtering::AddressAndPortDependent => "APDF",
        };
        let port = match (step, preserves_port) {
            (Some(step), _) => format!(", ports {step} apart"),
            (None, true) => ", keeps the port".to_owned(),
            (None, false) => ", other port".to_owned(),
        };
        write!(f, "{mapping}, {filtering}{port}")
    }
}

/// Finds out what lies before a host. Nothing else may use the rendezvous's STUN ports or the host's port 40000 meanwhile.
pub fn measure(internet: &Internet, host: &Host) -> Result<Class> {
    if host.address.is_unspecified() {
        return Ok(Class::Closed);
    }
    let socket = open(&host.namespace, PORT)?;
    let mut seen = Vec::new();
    for (address, port) in VANTAGE_POINTS {
        let reflector = Reflector::start(&internet.rendezvous, address, port)?;
        match reflector.ask(&socket)? {
            Some(mapped) => seen.push(mapped),
            None => return Ok(Class::Closed),
        }
    }
    let filtering = filtering(internet, &socket, seen[0])?;
    let ports: Vec<_> = seen.iter().map(SocketAddr::port).collect();
    Ok(Class::Open {
        mapping: mapping(host, &seen),
        preserves_port: ports.iter().all(|port| *port == PORT),
        step: step(&ports),
        filtering,
    })
}

/// Whether a host can reach another one's IPv6 address unasked, and whether it gets an answer of who was asked.
pub fn measure_v6(internet: &Internet, host: &Host) -> Result<Option<Filtering>> {
    let Some(address) = host.address_v6 else { return Ok(None) };
    let socket = open_at(&host.namespace, std::net::Ipv6Addr::UNSPECIFIED.into(), PORT)?;
    let reflector = Reflector::start(&internet.rendezvous, RENDEZVOUS_V6.into(), 3478)?;
    let seen = reflector.ask(&socket)?.context("no answer over IPv6")?;
    ensure!(seen == SocketAddr::new(address.into(), PORT), "the host at {address} is seen as {seen}");
    let other = open_at(&internet.rendezvous, RENDEZVOUS_V6.into(), 5000)?;
    other.send_to(b"another port", seen)?;
    let unasked = hears(&socket)?.is_some();
    Ok(Some(if unasked { Filtering::AddressDependent } else { Filtering::AddressAndPortDependent }))
}

fn mapping(host: &Host, seen: &[SocketAddr]) -> Mapping {
    let different: BTreeSet<_> = seen.iter().collect();
    match different.len() {
        1 if seen[0].ip() == host.address => Mapping::None,
        1 => Mapping::EndpointIndependent,
        2 if seen[0] == seen[1] && seen[2] == seen[3] => Mapping::AddressDependent,
        _ => Mapping::AddressAndPortDependent,
    }
}

/// The distance between successive ports, if it is one and small.
fn step(ports: &[u16]) -> Option<u16> {
    let steps: BTreeSet<_> = ports.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    steps.first().copied().filter(|step| steps.len() == 1 && (1..=16).contains(step))
}

/// Sends to the host's mapping from a port of an address that was asked, and from an address that was not.
fn filtering(internet: &Internet, socket: &UdpSocket, mapped: SocketAddr) -> Result<Filtering> {
    let same_address = open_at(&internet.rendezvous, RENDEZVOUS.into(), 5000)?;
    same_address.send_to(b"another port", mapped)?;
    let same_address = hears(socket)?.is_some();
    let stranger = open(&internet.core, 5000)?;
    stranger.send_to(b"a stranger", mapped)?;
    let stranger = hears(socket)?.is_some();
    ensure!(same_address || !stranger, "a stranger gets in, and another port of an address asked does not");
    Ok(match (same_address, stranger) {
        (_, true) => Filtering::EndpointIndependent,
        (true, false) => Filtering::AddressDependent,
        (false, false) => Filtering::AddressAndPortDependent,
    })
}

/// Tells whoever asks which address it sees.
#[derive(Debug)]
pub struct Reflector {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Reflector {
    /// Begins to listen at an address of the namespace.
    pub fn start(namespace: &Namespace, address: IpAddr, port: u16) -> Result<Self> {
        Ok(Self { socket: open_at(namespace, address, port)?, at: SocketAddr::new(address, port) })
    }

    /// The socket's address as this reflector sees it, if it sees it; then the way back must be there as well.
    pub fn ask(&self, socket: &UdpSocket) -> Result<Option<SocketAddr>> {
        // What a router rejects comes back as an error of the next call: it is as lost as what is dropped.
        let _ = socket.send_to(b"who am I?", self.at);
        let Some(seen) = hears(&self.socket)? else { return Ok(None) };
        self.socket.send_to(b"an answer", seen)?;
        ensure!(hears(socket)? == Some(self.at), "the answer of {} did not come back", self.at);
        Ok(Some(seen))
    }
}

/// A socket on all IPv4 addresses.
pub fn open(namespace: &Namespace, port: u16) -> Result<UdpSocket> {
    open_at(namespace, Ipv4Addr::UNSPECIFIED.into(), port)
}

/// A socket that does not wait long.
pub fn open_at(namespace: &Namespace, address: IpAddr, port: u16) -> Result<UdpSocket> {
    let socket = namespace.inside(|| UdpSocket::bind((address, port)))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Who sent the next datagram, if one comes.
pub fn hears(socket: &UdpSocket) -> Result<Option<SocketAddr>> {
    match socket.recv_from(&mut [0; 64]) {
        Ok((_, from)) => Ok(Some(from)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The local port of a host that is measured: a NAT that keeps ports shows it outside.
pub const PORT: u16 = 40_000;
/// In the order asked: by address, then by port.
const VANTAGE_POINTS: [(IpAddr, u16); 4] = [
    (IpAddr::V4(RENDEZVOUS), 3478),
    (IpAddr::V4(RENDEZVOUS), 3479),
    (IpAddr::V4(RENDEZVOUS_SECOND), 3478),
    (IpAddr::V4(RENDEZVOUS_SECOND), 3479),
];
/// A datagram crosses the whole lab in well under a millisecond.
const PATIENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_a_step_apart_only_if_always() {
        assert_eq!(step(&[40_000, 40_001, 40_002, 40_003]), Some(1));
        assert_eq!(step(&[40_000, 40_001, 40_003, 40_004]), None);
        assert_eq!(step(&[40_000, 40_000, 40_000, 40_000]), None);
        assert_eq!(step(&[1000, 30_000, 59_000, 22_464]), None);
    }
}
