//! Which of two paths is better: tier first, then round-trip time, with enough hysteresis that neither flaps.

use std::net::IpAddr;
use std::time::Duration;

use crate::candidate::CandidateKind;
use crate::candidate::CandidateSet;
use crate::io::Remote;

/// Kinds of path, best first. A better tier is taken at once, whatever its round-trip time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Tier {
    /// An address of the same site.
    Lan,
    /// Straight through whatever NATs there are.
    Direct,
    /// Out to our own NAT and back in.
    Hairpin,
    /// Through a relay.
    Relay,
}

impl Tier {
    /// The tier of a path to `remote`.
    pub(super) fn of(remote: Remote, site: &Site) -> Self {
        match remote.straight() {
            None => Self::Relay,
            // a carrier's own network (RFC 6598) is private and still nobody's LAN
            Some(addr) if is_private(addr.ip()) && !is_carriers(addr.ip()) => Self::Lan,
            Some(addr) if site.is_ours(addr.ip()) => Self::Hairpin,
            Some(_) => Self::Direct,
        }
    }
}

/// What the two candidate sets say of where the devices are.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    our_public: Vec<IpAddr>,
    /// Both were seen behind one public address.
    pub(super) shared: bool,
}

impl Site {
    pub(super) fn of(local: &CandidateSet, remote: &CandidateSet) -> Self {
        let our_public = public_addresses(local);
        let shared = public_addresses(remote).iter().any(|ip| our_public.contains(ip));
        Self { our_public, shared }
    }

    fn is_ours(&self, ip: IpAddr) -> bool {
        self.our_public.contains(&ip)
    }
}

fn public_addresses(set: &CandidateSet) -> Vec<IpAddr> {
    // a mapping may be what a server sees as well, and is then offered once, as the better of both
    let outside = |kind| matches!(kind, CandidateKind::Mapped | CandidateKind::Reflexive);
    let seen = set.candidates.iter().filter(|candidate| outside(candidate.kind));
    seen.map(|candidate| candidate.addr.ip()).filter(|ip| ip.is_ipv4()).collect()
}

/// Whether an address means nothing outside its own site: RFC 1918, RFC 6598 (inside of a carrier's NAT), RFC 4193.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private() || is_carriers(ip),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn is_carriers(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
}

/// A path's quality.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Score {
    tier: Tier,
    rtt: Duration,
}

impl Score {
    pub(super) fn new(tier: Tier, remote: Remote, rtt: Duration) -> Self {
        let bonus = match remote {
            Remote::Direct(addr) if addr.is_ipv6() => V6_BONUS,
            Remote::Auxiliary(_) | Remote::Direct(_) | Remote::Relay(_) => Duration::ZERO,
        };
        Self { tier, rtt: rtt.saturating_sub(bonus) }
    }

    /// Whether to leave `current` for `self`.
    pub(super) fn is_worth_leaving(&self, current: &Self) -> bool {
        if self.tier != current.tier {
            return self.tier < current.tier;
        }
        self.rtt + HYSTERESIS.max(current.rtt / 5) <= current.rtt
    }
}

/// IPv6 needs no NAT state, so it is preferred where it costs next to nothing.
const V6_BONUS: Duration = Duration::from_millis(3);
/// At least this much faster, or a fifth: what jitter alone does to a smoothed round-trip time stays below.
const HYSTERESIS: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::Candidate;
    use crate::io::RelayChannel;

    fn score(addr: &str, millis: u64) -> Score {
        let remote = Remote::Direct(addr.parse().unwrap());
        Score::new(Tier::of(remote, &Site::default()), remote, Duration::from_millis(millis))
    }

    fn relay(millis: u64) -> Score {
        let remote = Remote::Relay(RelayChannel { relay: "198.51.100.1:3480".parse().unwrap(), channel: 1 });
        Score::new(Tier::of(remote, &Site::default()), remote, Duration::from_millis(millis))
    }

    #[test]
    fn a_better_tier_wins_whatever_its_round_trip_time() {
        let (lan, direct) = (score("192.168.1.9:4000", 90), score("203.0.113.9:4000", 80));

        assert!(lan.is_worth_leaving(&direct));
        assert!(direct.is_worth_leaving(&relay(1)));
        assert!(!relay(1).is_worth_leaving(&direct));
    }

    #[test]
    fn near_equal_paths_do_not_replace_each_other() {
        let (a, b) = (score("203.0.113.9:4000", 100), score("203.0.113.9:5000", 85));

        assert!(!a.is_worth_leaving(&b));
        assert!(!b.is_worth_leaving(&a));
        assert!(score("203.0.113.9:5000", 79).is_worth_leaving(&a));
    }

    #[test]
    fn a_short_path_must_be_ten_milliseconds_better() {
        assert!(!score("203.0.113.9:5000", 3).is_worth_leaving(&score("203.0.113.9:4000", 12)));
        assert!(score("203.0.113.9:5000", 2).is_worth_leaving(&score("203.0.113.9:4000", 12)));
    }

    #[test]
    fn one_public_address_for_both_means_one_site_and_a_hairpin() {
        let set = |addr: &str| CandidateSet {
            candidates: vec![Candidate { addr: addr.parse().unwrap(), kind: CandidateKind::Reflexive }],
            ..CandidateSet::default()
        };

        let site = Site::of(&set("203.0.113.1:4000"), &set("203.0.113.1:5000"));

        assert!(site.shared);
        assert_eq!(Tier::of(Remote::Direct("203.0.113.1:5000".parse().unwrap()), &site), Tier::Hairpin);
        assert!(!Site::of(&set("203.0.113.1:4000"), &set("203.0.113.2:5000")).shared);
    }

    #[test]
    fn the_inside_of_a_carrier_is_better_than_its_hairpin_and_no_lan() {
        let tier = |addr: &str| Tier::of(Remote::Direct(addr.parse().unwrap()), &Site::default());

        assert_eq!(tier("100.64.0.9:4000"), Tier::Direct);
        assert_eq!(tier("10.64.0.9:4000"), Tier::Lan);
    }

    #[test]
    fn private_means_meaningless_elsewhere() {
        for private in ["10.0.0.1", "172.31.0.1", "192.168.0.1", "100.127.0.1", "fd00::1"] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["100.128.0.1", "172.32.0.1", "203.0.113.1", "2001:db8::1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}
