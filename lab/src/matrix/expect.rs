//! What each pair of kinds must come to. The one place where that is written down.

use serde::{Deserialize, Serialize};

use super::results::Try;
use crate::nat::NatKind;

/// What must come of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// Direct: both probe what the rendezvous sees of the other, and take up with whoever probes them.
    Basic,
    /// Direct, after many sockets on one side have met many ports tried on the other.
    Birthday,
    /// Relayed: each NAT maps every destination anew and one of them at random, so neither can be told where to aim.
    BothSymmetric,
    /// Direct over IPv6, whatever becomes of IPv4.
    Ipv6,
    /// Direct inside the site.
    Lan,
    /// Relayed: one has IPv6 alone and the other IPv4 alone.
    NoCommonFamily,
    /// Relayed: both are behind the same NAT, which does not let them meet at its outer address.
    NoHairpin,
    /// Direct, after the ports that a counting NAT gives out next were tried.
    Prediction,
    /// Relayed over TCP: no UDP leaves one of the networks.
    UdpBlocked,
}

/// The kinds of the matrix, easy ones first: the order of the table below.
pub const KINDS: [NatKind; 14] = [
    NatKind::None,
    NatKind::FullCone,
    NatKind::AddressRestricted,
    NatKind::PortRestricted,
    NatKind::PortRestrictedOpen,
    NatKind::PortBlock,
    NatKind::CarrierGrade,
    NatKind::SymmetricSequential,
    NatKind::AddressDependent,
    NatKind::Symmetric,
    NatKind::DualStack,
    NatKind::Ipv6Only,
    NatKind::Blocked,
    NatKind::Rejected,
];

/// One letter a pair, half of the square. An address-dependent mapping says nothing of the port towards another address
/// and is to the peer as a random one.
///
/// ```text
/// B basic   P prediction   Y birthday   6 IPv6   R both symmetric   N no common family   X UDP blocked
/// ```
const TABLE: [&str; 14] = [
    // none fc ar pr open block cgn seq addr rnd dual v6 blk rej
    "B B B B B B B B B B B N X X", // none
    "B B B B B B B B B B N X X",   // full-cone
    "B B B B B B B B B N X X",     // address-restricted
    "B B B B P Y Y Y N X X",       // port-restricted
    "B B B P Y Y Y N X X",         // port-restricted-open
    "B B P Y Y Y N X X",           // port-block
    "B P Y Y Y N X X",             // carrier-grade
    "P R R R N X X",               // symmetric-sequential
    "R R R N X X",                 // address-dependent
    "R R N X X",                   // symmetric
    "6 6 X X",                     // dual-stack
    "6 X X",                       // ipv6-only
    "X X",                         // blocked
    "X",                           // rejected
];

/// What must come of these two, in either order. Kinds that are not in `KINDS` count as the one they are a variant of.
pub fn expected(left: NatKind, right: NatKind) -> Expectation {
    let (first, second) = (place(left).min(place(right)), place(left).max(place(right)));
    match TABLE[first].split(' ').nth(second - first) {
        Some("B") => Expectation::Basic,
        Some("P") => Expectation::Prediction,
        Some("Y") => Expectation::Birthday,
        Some("6") => Expectation::Ipv6,
        Some("N") => Expectation::NoCommonFamily,
        Some("X") => Expectation::UdpBlocked,
        _ => Expectation::BothSymmetric,
    }
}

fn place(kind: NatKind) -> usize {
    let variants = [(NatKind::CarrierGradeHairpin, NatKind::CarrierGrade), (NatKind::Hairpin, NatKind::FullCone)];
    let known = variants.iter().find(|(variant, _)| *variant == kind).map_or(kind, |(_, known)| *known);
    KINDS.iter().position(|place| *place == known).expect("every kind is in the table or a variant of one")
}

impl Expectation {
    /// Whether packets must end up going straight.
    pub const fn is_direct(self) -> bool {
        matches!(self, Self::Basic | Self::Birthday | Self::Ipv6 | Self::Lan | Self::Prediction)
    }

    /// Whether ports are guessed on the way there.
    pub const fn is_searched(self) -> bool {
        matches!(self, Self::Birthday | Self::Prediction)
    }

    /// As in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Birthday => "birthday",
            Self::BothSymmetric => "both-symmetric",
            Self::Ipv6 => "ipv6",
            Self::Lan => "lan",
            Self::NoCommonFamily => "no-common-family",
            Self::NoHairpin => "no-hairpin",
            Self::Prediction => "prediction",
            Self::UdpBlocked => "udp-blocked",
        }
    }

    /// The reason code that both ends must state.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Basic | Self::Birthday | Self::Ipv6 | Self::Prediction => "direct",
            Self::Lan => "same-lan",
            Self::BothSymmetric | Self::NoCommonFamily | Self::NoHairpin | Self::UdpBlocked => self.name(),
        }
    }

    /// The kind of path that must be in use.
    const fn via(self) -> &'static str {
        match self {
            Self::Basic | Self::Birthday | Self::Prediction => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Lan => "lan",
            Self::BothSymmetric | Self::NoCommonFamily | Self::NoHairpin => "udp-relay",
            Self::UdpBlocked => "websocket-relay",
        }
    }

    /// Techniques one of which must have found the path; empty where any may.
    const fn techniques(self) -> &'static [&'static str] {
        match self {
            Self::Birthday => &["birthday"],
            // Two that count meet at one port each.
            Self::Prediction => &["prediction", "meeting"],
            Self::Basic
            | Self::BothSymmetric
            | Self::Ipv6
            | Self::Lan
            | Self::NoCommonFamily
            | Self::NoHairpin
            | Self::UdpBlocked => &[],
        }
    }

    /// What is not as it must be; `None` when all is.
    pub fn complain(self, one: &Try) -> Option<String> {
        if let Some(failure) = &one.failure {
            return Some(failure.clone());
        }
        if one.first_byte_ms.is_none() {
            return Some("nothing came through".to_owned());
        }
        let Some(via) = one.via.as_deref() else { return Some("there is no path".to_owned()) };
        // An end whose UDP is free keeps its own leg of a relayed path on UDP.
        let relayed = self == Self::UdpBlocked && via == "udp-relay" && one.far_via.as_deref() == Some(self.via());
        if via != self.via() && !relayed {
            return Some(format!("the path is {via}, not {}; reason {}", self.via(), one.reasons.join(" and ")));
        }
        let techniques = self.techniques();
        if !techniques.is_empty() && !one.techniques.iter().any(|name| techniques.contains(&name.as_str())) {
            return Some(format!("found by {}, not by {}", one.techniques.join(" and "), techniques.join(" or ")));
        }
        let wrong = one.reasons.iter().find(|reason| *reason != self.reason());
        wrong.map(|reason| format!("the reason given is {reason}, not {}", self.reason()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_letter_for_every_pair() {
        for (index, row) in TABLE.iter().enumerate() {
            let letters: Vec<_> = row.split(' ').collect();
            assert_eq!(letters.len(), KINDS.len() - index, "row {index}");
            assert!(letters.iter().all(|letter| "BPY6RNX".contains(letter)), "row {index}");
        }
    }

    #[test]
    fn the_order_of_a_pair_does_not_matter() {
        assert_eq!(expected(NatKind::Symmetric, NatKind::PortRestricted), Expectation::Birthday);
        assert_eq!(expected(NatKind::PortRestricted, NatKind::Symmetric), Expectation::Birthday);
        assert_eq!(expected(NatKind::SymmetricSequential, NatKind::SymmetricSequential), Expectation::Prediction);
        assert_eq!(expected(NatKind::Symmetric, NatKind::SymmetricSequential), Expectation::BothSymmetric);
        assert_eq!(expected(NatKind::Ipv6Only, NatKind::None), Expectation::NoCommonFamily);
        assert_eq!(expected(NatKind::Rejected, NatKind::Rejected), Expectation::UdpBlocked);
        assert_eq!(expected(NatKind::Hairpin, NatKind::Symmetric), Expectation::Basic);
    }
}
