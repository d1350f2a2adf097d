//! What a gateway does to the packets of the hosts behind it: which kinds there are, and how one is put to work.
//!
//! What a kind amounts to in the terms of RFC 4787 is measured by `classify`, not believed. The rules themselves are in
//! `rules`; addresses and cables are `topology`'s.

mod rules;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::nft;
use crate::shell;

/// The kinds of NAT, or of what a host has in place of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum NatKind {
    /// Another random port for each destination address, but one for all ports of it; filtering by address and port.
    AddressDependent,
    /// Endpoint-independent mapping; whoever has been sent to gets in, from any of its ports.
    AddressRestricted,
    /// Lets no UDP through, and says nothing.
    Blocked,
    /// A port-restricted home router behind a carrier's NAT, which gives each subscriber a block of ports. Each host has
    /// a home router of its own.
    CarrierGrade,
    /// The same behind a carrier's NAT that keeps ports and lets subscribers meet at its outer address.
    CarrierGradeHairpin,
    /// IPv6 behind a stateful firewall, beside IPv4 behind a symmetric NAT.
    DualStack,
    /// Mapping and filtering both independent of the other end: whoever knows the address gets in.
    FullCone,
    /// A full cone whose hosts cannot see each other, but meet at its outer address (RFC 4787 section 6).
    Hairpin,
    /// IPv6 alone, behind a stateful firewall.
    Ipv6Only,
    /// No gateway at all: the host itself has the public address.
    None,
    /// As port-restricted, with one random port of a block in place of the host's own.
    PortBlock,
    /// Endpoint-independent mapping that keeps the port, filtering by address and port: the usual home router.
    PortRestricted,
    /// The same with a router that accepts for itself what belongs to no mapping: a probe that arrives too early takes
    /// the port away from the host behind.
    PortRestrictedOpen,
    /// Lets no UDP through but DNS, and says so by ICMP.
    Rejected,
    /// Another random port for each destination, filtering by address and port.
    Symmetric,
    /// The next port for each new destination, filtering by address and port.
    SymmetricSequential,
}

impl NatKind {
    /// Every kind, for tests that must cover all.
    pub const ALL: [Self; 16] = [
        Self::AddressDependent,
        Self::AddressRestricted,
        Self::Blocked,
        Self::CarrierGrade,
        Self::CarrierGradeHairpin,
        Self::DualStack,
        Self::FullCone,
        Self::Hairpin,
        Self::Ipv6Only,
        Self::None,
        Self::PortBlock,
        Self::PortRestricted,
        Self::PortRestrictedOpen,
        Self::Rejected,
        Self::Symmetric,
        Self::SymmetricSequential,
    ];

    /// For programs, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddressDependent => "address-dependent",
            Self::AddressRestricted => "address-restricted",
            Self::Blocked => "blocked",
            Self::CarrierGrade => "carrier-grade",
            Self::CarrierGradeHairpin => "carrier-grade-hairpin",
            Self::DualStack => "dual-stack",
            Self::FullCone => "full-cone",
            Self::Hairpin => "hairpin",
            Self::Ipv6Only => "ipv6-only",
            Self::None => "none",
            Self::PortBlock => "port-block",
            Self::PortRestricted => "port-restricted",
            Self::PortRestrictedOpen => "port-restricted-open",
            Self::Rejected => "rejected",
            Self::Symmetric => "symmetric",
            Self::SymmetricSequential => "symmetric-sequential",
        }
    }

    /// For people.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::AddressDependent => "NAT with a random port for each address",
            Self::AddressRestricted => "address-restricted NAT",
            Self::Blocked => "UDP dropped",
            Self::CarrierGrade => "home NAT behind a carrier's",
            Self::CarrierGradeHairpin => "home NAT behind a carrier's that hairpins",
            Self::DualStack => "IPv6 behind a firewall, IPv4 behind a symmetric NAT",
            Self::FullCone => "full-cone NAT",
            Self::Hairpin => "full-cone NAT that hairpins",
            Self::Ipv6Only => "IPv6 alone, behind a firewall",
            Self::None => "no NAT",
            Self::PortBlock => "port-restricted NAT that changes the port",
            Self::PortRestricted => "port-restricted NAT",
            Self::PortRestrictedOpen => "port-restricted NAT that accepts strays itself",
            Self::Rejected => "UDP rejected",
            Self::Symmetric => "symmetric NAT with random ports",
            Self::SymmetricSequential => "symmetric NAT that counts ports up",
        }
    }

    /// Whether its hosts have IPv4.
    pub const fn has_ipv4(self) -> bool {
        !matches!(self, Self::Ipv6Only)
    }

    /// Whether its hosts have IPv6.
    pub const fn has_ipv6(self) -> bool {
        matches!(self, Self::DualStack | Self::Ipv6Only)
    }

    /// Whether each host has a home router of its own, and this is what lies behind it.
    pub const fn is_carrier(self) -> bool {
        matches!(self, Self::CarrierGrade | Self::CarrierGradeHairpin)
    }

    /// Whether hosts behind one gateway are kept from seeing each other.
    pub const fn isolates(self) -> bool {
        matches!(self, Self::Hairpin)
    }
}

/// Makes the namespace a gateway of that kind between `lan0` and `wan0`, replacing what it was before.
pub fn install(gateway: &Namespace, kind: NatKind, wan: Ipv4Addr) -> Result<()> {
    nft::load(gateway, &rules::write(kind, wan))
}

/// Forgets every mapping, as a gateway does that was switched off and on.
pub fn flush(gateway: &Namespace) -> Result<()> {
    shell::run(gateway.command("conntrack").arg("-F")).context("flush the NAT's state")?;
    Ok(())
}

/// The gateway's UDP mappings, one line each, as conntrack prints them.
pub fn mappings(gateway: &Namespace) -> Result<Vec<String>> {
    let listing = shell::run(gateway.command("conntrack").args(["-L", "-p", "udp"])).context("list the NAT's state")?;
    Ok(listing.lines().map(str::to_owned).collect())
}

/// How many mappings for UDP over IPv4 the gateway has made since it was installed.
pub fn mappings_made(gateway: &Namespace) -> Result<u64> {
    nft::counted(gateway, "ip", rules::TABLE, rules::MADE)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_kind_is_listed_under_its_name_on_the_command_line() {
        assert_eq!(NatKind::ALL.as_slice(), NatKind::value_variants());
        for kind in NatKind::ALL {
            assert_eq!(kind.to_possible_value().expect("none is hidden").get_name(), kind.name());
        }
    }
}
