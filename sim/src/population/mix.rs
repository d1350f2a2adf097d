//! Who stands where: the mix of NATs, as far as measurements tell (none is recent; see `docs/population.md`).

use std::fmt;

use rand_core::Rng;

use crate::link::{Link, chance};
use crate::nat::NatKind;
use crate::world::{Attachment, Place, World};

/// The network that one device is in. In the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Site {
    /// On the Internet.
    Public,
    /// Home router, full cone.
    FullCone,
    /// Home router, address-restricted.
    AddressRestricted,
    /// Home router, port-restricted: Linux.
    PortRestricted,
    /// The same, and it takes unasked packets for its own.
    Accepting,
    /// Home router behind a carrier's NAT.
    Carrier,
    /// Counts ports up for each destination.
    SymmetricSequential,
    /// Any port for each destination: a company's firewall.
    SymmetricRandom,
    /// Straight behind a cellular carrier's NAT of the stricter sort.
    Cellular,
    /// No UDP.
    Blocked,
}

impl Site {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Public,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Accepting,
        Self::Carrier,
        Self::SymmetricSequential,
        Self::SymmetricRandom,
        Self::Cellular,
        Self::Blocked,
    ];

    /// Of a thousand devices, how many are there. Four of five are not reachable, one in nine maps by destination (Halkes
    /// and Pouwelse 2011); 17 % of eyeball networks have carriers' NATs, 40 % of the cellular ones are symmetric, fewer
    /// than 2 % of home routers (Richter et al. 2016). What lets UDP through not at all is a guess.
    pub const fn per_mille(self) -> u32 {
        match self {
            Self::Public => 90,
            Self::FullCone => 80,
            Self::AddressRestricted => 50,
            Self::PortRestricted => 450,
            Self::Accepting => 50,
            Self::Carrier => 120,
            Self::SymmetricSequential => 20,
            Self::SymmetricRandom => 50,
            Self::Cellular => 60,
            Self::Blocked => 30,
        }
    }

    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let mut ticket = rng.next_u32() % 1000;
        for site in Self::ALL {
            match ticket.checked_sub(site.per_mille()) {
                Some(rest) => ticket = rest,
                None => return site,
            }
        }
        Self::PortRestricted
    }

    /// Builds the NATs before one device.
    pub(super) fn place(self, world: &mut World, link: Link, rng: &mut impl Rng) -> Place {
        let mut behind = |kind: NatKind| Attachment::Behind(world.add_nat_at(kind.with_linux_timers(), link.one_way));
        let v4 = match self {
            Self::Public => Attachment::Public,
            Self::FullCone => behind(NatKind::FULL_CONE),
            Self::AddressRestricted => behind(NatKind::ADDRESS_RESTRICTED),
            Self::PortRestricted => behind(NatKind::PORT_RESTRICTED),
            Self::Accepting => behind(NatKind::ACCEPTING),
            Self::Carrier => {
                let carrier = world.add_nat_at(NatKind::CARRIER.with_linux_timers(), link.one_way);
                Attachment::Behind(world.add_nat_behind(NatKind::PORT_RESTRICTED.with_linux_timers(), carrier))
            }
            Self::SymmetricSequential => behind(NatKind { noise_per_second: 1, ..NatKind::SYMMETRIC_SEQUENTIAL }),
            Self::SymmetricRandom => behind(NatKind::SYMMETRIC_RANDOM),
            Self::Cellular => behind(NatKind::CARRIER_SYMMETRIC),
            Self::Blocked => behind(NatKind::UDP_BLOCKED),
        };
        let v6 = match self {
            Self::Blocked => Attachment::Absent,
            _ if !chance(WITH_IPV6, rng) => Attachment::Absent,
            Self::Public => Attachment::Public,
            Self::FullCone
            | Self::AddressRestricted
            | Self::PortRestricted
            | Self::Accepting
            | Self::Carrier
            | Self::SymmetricSequential
            | Self::SymmetricRandom
            | Self::Cellular => Attachment::Behind(world.add_nat_at(NatKind::FIREWALL, link.one_way)),
        };
        Place { v4, v6, link }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "no NAT",
            Self::FullCone => "full cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Accepting => "port-restricted, WAN open",
            Self::Carrier => "home behind carrier",
            Self::SymmetricSequential => "symmetric, counting",
            Self::SymmetricRandom => "symmetric, random",
            Self::Cellular => "cellular, symmetric",
            Self::Blocked => "UDP blocked",
        })
    }
}

/// About half of the users of one large site come by IPv6.
const WITH_IPV6: u32 = 480;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_a_thousand() {
        assert_eq!(Site::ALL.iter().map(|site| site.per_mille()).sum::<u32>(), 1000);
    }
}
