//! Why a pair uses the path it uses, in words and as a stable code, and what was tried.
//!
//! Codes are part of the public interface: they are added to, never renamed. Policy reasons are the caller's to state.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::score::Tier;
use crate::candidate::{Candidate, CandidateKind, CandidateSet, NatMapping, NatReport, PortSearch};
use crate::io::{Obstacle, Remote};

/// Why a pair uses the path it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub text: &'static str,
    /// What would make it better; empty if nothing needs to.
    pub remedy: &'static str,
}

/// What an explanation is made from.
pub(super) struct Facts<'a> {
    pub(super) tier: Option<Tier>,
    pub(super) peer_online: bool,
    /// Whether a session exists, and whether a round is on or about to be.
    pub(super) trying: bool,
    /// Whether the pair may use nothing but the relay.
    pub(super) relay_only: bool,
    /// Whether probes were turned away on the way by a rule.
    pub(super) forbidden: bool,
    pub(super) local: &'a CandidateSet,
    pub(super) remote: &'a CandidateSet,
}

impl Facts<'_> {
    pub(super) fn explain(&self) -> Explanation {
        match self.tier {
            Some(Tier::Lan) => SAME_LAN,
            Some(Tier::Direct) => DIRECT,
            Some(Tier::Hairpin) => HAIRPIN,
            Some(Tier::Relay) | None if !self.peer_online => PEER_OFFLINE,
            Some(Tier::Relay) | None if self.relay_only => RELAY_ONLY,
            Some(Tier::Relay) | None if self.trying => PROBING,
            Some(Tier::Relay) | None => self.explain_failure(),
        }
    }

    fn explain_failure(&self) -> Explanation {
        let dependent = |set: &CandidateSet| set.nat.mapping.is_dependent();
        let willing = |set: &CandidateSet| NatReport { searches: true, ..set.nat };
        let refused = !(self.local.nat.searches && self.remote.nat.searches)
            && PortSearch::between(&willing(self.local), &willing(self.remote)).is_some();
        match (dependent(self.local), dependent(self.remote)) {
            _ if refused => SEARCH_DISABLED,
            (true, true) => BOTH_SYMMETRIC,
            _ if has_no_common_family(families(self.local), families(self.remote)) => NO_COMMON_FAMILY,
            _ if is_unreachable(self.local) => UDP_BLOCKED_HERE,
            _ if is_unreachable(self.remote) => UDP_BLOCKED_THERE,
            _ if self.forbidden => UDP_FORBIDDEN,
            (true, false) | (false, true) => SYMMETRIC_VS_PORT_RESTRICTED,
            (false, false) => NO_ANSWER,
        }
    }
}

/// Whether a device that has told its addresses has none that the Internet could answer to.
pub(super) fn is_unreachable(set: &CandidateSet) -> bool {
    // servers that see a public IPv4 address of its own make it known that there is no NAT; of IPv6 they do not speak
    let public =
        |kind, addr: SocketAddr| kind != CandidateKind::Host || addr.is_ipv6() && !super::score::is_private(addr.ip());
    set.nat.mapping == NatMapping::Unknown
        && !set.candidates.is_empty()
        && !set.candidates.iter().any(|candidate| public(candidate.kind, candidate.addr))
}

/// Whether anything says that a device has IPv4, and IPv6, towards the outside.
fn families(set: &CandidateSet) -> [bool; 2] {
    let outside = |candidate: &&Candidate| {
        candidate.kind != CandidateKind::Host || !super::score::is_private(candidate.addr.ip())
    };
    let told = || set.candidates.iter().filter(outside);
    [told().any(|candidate| candidate.addr.is_ipv4()), told().any(|candidate| candidate.addr.is_ipv6())]
}

/// Whether each can be reached from outside, but one over IPv4 only and the other over IPv6 only.
fn has_no_common_family(local: [bool; 2], remote: [bool; 2]) -> bool {
    local[0] != local[1] && remote[0] != remote[1] && local != remote
}

const DIRECT: Explanation =
    Explanation { code: "direct", text: "Packets go straight from device to device.", remedy: "" };
const HAIRPIN: Explanation = Explanation {
    code: "direct",
    text: "Packets go straight from device to device, by way of the router that both sit behind.",
    remedy: "Let the devices reach each other inside the network (wireless client isolation often forbids it).",
};
const SAME_LAN: Explanation =
    Explanation { code: "same-lan", text: "Both devices are on one network and talk inside it.", remedy: "" };
const PEER_OFFLINE: Explanation = Explanation {
    code: "peer-offline",
    text: "The other device is not connected to the rendezvous.",
    remedy: "Check that it is switched on, has a network, and that `warren status` says connected there.",
};
const PROBING: Explanation = Explanation {
    code: "probing",
    text: "A direct path is being looked for; until one is found packets go through the relay.",
    remedy: "",
};
const RELAY_ONLY: Explanation = Explanation {
    code: "relay-only-policy",
    text: "One of the two devices is set to use the relay only.",
    remedy: "Take the setting back on the device's page of the dashboard, or start its daemon without --relay-only.",
};
const BOTH_SYMMETRIC: Explanation = Explanation {
    code: "both-symmetric",
    text: "Both devices sit behind NATs that use another port for every destination, so neither can be told where to reach the other.",
    remedy: "On one side: enable port mapping (PCP, NAT-PMP or UPnP) or forward the agent's UDP port, or use IPv6.",
};
const SYMMETRIC_VS_PORT_RESTRICTED: Explanation = Explanation {
    code: "symmetric-vs-port-restricted",
    text: "One NAT uses another port for every destination, and the other one only lets in what was asked for by port.",
    remedy: "On either side: enable port mapping (PCP, NAT-PMP or UPnP) or forward the agent's UDP port, or use IPv6.",
};
const SEARCH_DISABLED: Explanation = Explanation {
    code: "search-disabled",
    text: "The port by which the two would meet can be searched for, but one of them is set not to take part in searches.",
    remedy: "Start its daemon without --no-port-search.",
};
const NO_COMMON_FAMILY: Explanation = Explanation {
    code: "no-common-family",
    text: "One of the two devices has IPv6 only and the other IPv4 only.",
    remedy: "Give one of them both.",
};
const UDP_BLOCKED_HERE: Explanation = Explanation {
    code: "udp-blocked",
    text: "This device's network lets no UDP out, so the other one cannot answer it.",
    remedy: "Allow outgoing UDP on this network; `warren netcheck` shows whether it works.",
};
const UDP_BLOCKED_THERE: Explanation = Explanation {
    code: "udp-blocked",
    text: "The other device's network lets no UDP out.",
    remedy: "Allow outgoing UDP on its network; `warren netcheck` there shows whether it works.",
};
const UDP_FORBIDDEN: Explanation = Explanation {
    code: "udp-forbidden",
    text: "This device's packets to the other one are turned away on the way: a firewall answers that they are forbidden.",
    remedy: "Let the firewalls of this device and its network pass outgoing UDP to any address and port; if they do, those of \
             the other one incoming UDP to its agent's port.",
};
const NO_ANSWER: Explanation = Explanation {
    code: "no-answer",
    text: "No address of the other device answered, although both NATs look permissive; a firewall is the likeliest cause.",
    remedy: "Let the firewalls of both devices and networks pass UDP from and to the agent's port.",
};

/// One address tried once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// When it began.
    pub at: Instant,
    /// The number under which both ends log it; 0 if this end tried on its own.
    pub attempt: u64,
    /// How.
    pub technique: Technique,
    /// Where the peer saw us, if it answered.
    pub local: Option<SocketAddr>,
    /// What was tried.
    pub remote: Remote,
    /// Probes that went there; openers are none.
    pub probes: u32,
    /// Probes of the peer that came from there.
    pub heard: u32,
    /// What came of it.
    pub result: AttemptResult,
}

/// How an address is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Technique {
    /// Many sockets on one side, many ports tried by the other.
    Birthday,
    /// Probes to an address that should need no punching.
    Direct,
    /// Probes to a port mapping on the peer's gateway, inside the NAT that both gateways sit behind.
    Inner,
    /// Probes to a port mapping on the peer's gateway.
    Mapped,
    /// Probes to an address that probed us.
    PeerReflexive,
    /// Many sockets on both sides, each side's aimed at one port that the other's counting NAT gives out soon.
    Meeting,
    /// The ports that a counting NAT gives out next.
    Prediction,
    /// A low-TTL opener, then probes.
    Punch,
    /// Probes to an address that worked before.
    Recheck,
    /// The relay channel.
    Relay,
}

impl Technique {
    /// The stable word used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Birthday => "birthday",
            Self::Direct => "direct",
            Self::Inner => "inner",
            Self::Mapped => "mapped",
            Self::PeerReflexive => "peer-reflexive",
            Self::Meeting => "meeting",
            Self::Prediction => "prediction",
            Self::Punch => "punch",
            Self::Recheck => "recheck",
            Self::Relay => "relay",
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttemptResult {
    /// Answered, and fit for data.
    Answered(Duration),
    /// The answers came from another address than the one asked: something on the way changes it.
    Elsewhere,
    /// Given up: this host or a router on the way said that a rule forbids it.
    Forbidden,
    /// Worked, and died later.
    Lost,
    /// Not answered.
    NoAnswer,
    /// Given up: this host or a router on the way knows no way there.
    NoRoute,
    /// Not asked: the address had cost as much as one that does not answer may.
    OverBudget,
    /// Under way.
    Pending,
    /// Answered small probes only.
    TooNarrow,
}

impl AttemptResult {
    /// The stable word used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Elsewhere => "answered-elsewhere",
            Self::Forbidden => "forbidden",
            Self::Lost => "lost",
            Self::NoAnswer => "no-answer",
            Self::NoRoute => "no-route",
            Self::OverBudget => "over-budget",
            Self::Pending => "pending",
            Self::TooNarrow => "too-narrow",
        }
    }
}

/// What was tried lately; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Log(VecDeque<Record>);

/// An attempt, and what was noted of it while it was under way.
#[derive(Debug)]
struct Record {
    attempt: Attempt,
    /// A pong to one of its pings came from elsewhere.
    strayed: bool,
    /// The budget refused one of its pings.
    refused: bool,
    /// Why it was given up early.
    obstacle: Option<Obstacle>,
}

impl Record {
    /// What came of it, when no answer did.
    fn failure(&self) -> AttemptResult {
        let search = [Technique::Birthday, Technique::Meeting, Technique::Prediction].contains(&self.attempt.technique);
        match (self.strayed, self.obstacle) {
            (true, _) => AttemptResult::Elsewhere,
            (false, Some(Obstacle::Forbidden)) => AttemptResult::Forbidden,
            (false, Some(Obstacle::NoRoute)) => AttemptResult::NoRoute,
            (false, None) if self.refused && (search || self.attempt.probes == 0) => AttemptResult::OverBudget,
            (false, None) => AttemptResult::NoAnswer,
        }
    }
}

impl Log {
    /// Begins a record, unless that remote's last one is still open under the same number.
    pub(super) fn open(&mut self, attempt: u64, technique: Technique, remote: Remote, now: Instant) {
        let open = self.open_record(remote).is_some_and(|record| record.attempt.attempt == attempt);
        if open {
            return;
        }
        self.give_up(remote);
        if self.0.len() == LOG_MAX {
            self.0.pop_front();
        }
        let (local, probes, heard, result) = (None, 0, 0, AttemptResult::Pending);
        let attempt = Attempt { at: now, attempt, technique, local, remote, probes, heard, result };
        self.0.push_back(Record { attempt, strayed: false, refused: false, obstacle: None });
    }

    /// Ends the open record of a remote, if there is one.
    pub(super) fn close(&mut self, remote: Remote, result: AttemptResult, local: Option<SocketAddr>) {
        if let Some(record) = self.open_record(remote) {
            (record.attempt.result, record.attempt.local) = (result, local);
        }
    }

    /// More is known of a remote than when its open record was begun: a guess turned out to be a port mapping.
    pub(super) fn retitle(&mut self, remote: Remote, technique: Technique) {
        let punched = [Technique::Direct, Technique::Inner, Technique::Mapped, Technique::Punch];
        if let Some(record) = self.open_record(remote).filter(|record| punched.contains(&record.attempt.technique)) {
            record.attempt.technique = technique;
        }
    }

    /// Ends the open record of a remote that did not answer.
    pub(super) fn give_up(&mut self, remote: Remote) {
        if let Some(record) = self.open_record(remote) {
            record.attempt.result = record.failure();
        }
    }

    /// A probe left for a remote.
    pub(super) fn sent(&mut self, remote: Remote) {
        if let Some(record) = self.open_record(remote) {
            record.attempt.probes += 1;
        }
    }

    /// A probe to a remote was refused by the budget.
    pub(super) fn refused(&mut self, remote: Remote) {
        if let Some(record) = self.open_record(remote) {
            record.refused = true;
        }
    }

    /// A remote is given up, for its probes get no further than this.
    pub(super) fn obstructed(&mut self, remote: Remote, obstacle: Obstacle) {
        if let Some(record) = self.open_record(remote) {
            record.obstacle = Some(obstacle);
        }
    }

    /// Whether the newest try of any address outside was forbidden, and none answered.
    pub(super) fn is_forbidden(&self) -> bool {
        let outside = |record: &&Record| {
            record.attempt.remote.straight().is_some_and(|addr| !super::score::is_private(addr.ip()))
        };
        let newest = self.0.iter().filter(outside).map(|record| record.attempt.attempt).next_back();
        let mut last = self.0.iter().filter(outside).filter(|record| Some(record.attempt.attempt) == newest);
        last.any(|record| record.attempt.result == AttemptResult::Forbidden)
    }

    /// A probe to a remote was answered from elsewhere.
    pub(super) fn strayed(&mut self, remote: Remote) {
        if let Some(record) = self.open_record(remote) {
            record.strayed = true;
        }
    }

    /// A probe of the peer came from a remote: it counts for the newest record, also when that is closed, for who heard
    /// whom is what the two ends compare.
    pub(super) fn heard(&mut self, remote: Remote) {
        if let Some(record) = self.newest(remote) {
            record.attempt.heard = record.attempt.heard.saturating_add(1);
        }
    }

    /// Says of the newest record of a remote that what it found is gone.
    pub(super) fn lost(&mut self, remote: Remote) {
        if let Some(record) = self.newest(remote) {
            record.attempt.result = AttemptResult::Lost;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.0.iter().map(|record| &record.attempt)
    }

    fn newest(&mut self, remote: Remote) -> Option<&mut Record> {
        self.0.iter_mut().rev().find(|record| record.attempt.remote == remote)
    }

    fn open_record(&mut self, remote: Remote) -> Option<&mut Record> {
        self.newest(remote).filter(|record| record.attempt.result == AttemptResult::Pending)
    }
}

/// Two full rounds.
pub(super) const LOG_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::start;

    fn set(mapping: NatMapping, candidates: &[(&str, CandidateKind)]) -> CandidateSet {
        let candidate = |(addr, kind): &(&str, CandidateKind)| Candidate { addr: addr.parse().unwrap(), kind: *kind };
        CandidateSet {
            epoch: 1,
            candidates: candidates.iter().map(candidate).collect(),
            nat: NatReport { mapping, preserves_port: true, searches: true, ..NatReport::default() },
        }
    }

    fn failure(local: NatMapping, remote: NatMapping) -> &'static str {
        let reflexive = [("203.0.113.1:4000", CandidateKind::Reflexive)];
        let (local, remote) = (set(local, &reflexive), set(remote, &reflexive));
        Facts {
            tier: Some(Tier::Relay),
            peer_online: true,
            trying: false,
            relay_only: false,
            forbidden: false,
            local: &local,
            remote: &remote,
        }
        .explain()
        .code
    }

    #[test]
    fn a_relayed_pair_is_explained_by_both_nats() {
        use NatMapping::{EndpointDependent, EndpointIndependent, None};

        assert_eq!(failure(EndpointDependent, EndpointDependent), "both-symmetric");
        assert_eq!(failure(EndpointIndependent, EndpointDependent), "symmetric-vs-port-restricted");
        assert_eq!(failure(EndpointDependent, EndpointIndependent), "symmetric-vs-port-restricted");
        assert_eq!(failure(EndpointIndependent, None), "no-answer");
    }

    #[test]
    fn who_takes_no_part_in_searches_is_told_where_one_would_help() {
        let reflexive = [("203.0.113.1:4000", CandidateKind::Reflexive)];
        let code = |mapping| {
            let (mut local, remote) = (set(mapping, &reflexive), set(NatMapping::EndpointDependent, &reflexive));
            local.nat.searches = false;
            let (tier, peer_online, trying, relay_only) = (Some(Tier::Relay), true, false, false);
            Facts { tier, peer_online, trying, relay_only, forbidden: false, local: &local, remote: &remote }
                .explain()
                .code
        };

        assert_eq!(code(NatMapping::EndpointIndependent), "search-disabled");
        assert_eq!(code(NatMapping::EndpointDependent), "both-symmetric");
    }

    #[test]
    fn a_device_that_nobody_outside_ever_saw_has_no_udp() {
        let inside = set(NatMapping::Unknown, &[("192.168.1.2:4000", CandidateKind::Host)]);
        let outside = set(NatMapping::Unknown, &[("203.0.113.1:4000", CandidateKind::Reflexive)]);
        let public = set(NatMapping::Unknown, &[("203.0.113.1:4000", CandidateKind::Host)]);
        let over_v6 = set(NatMapping::Unknown, &[("[2001:db8::1]:4000", CandidateKind::Host)]);
        let facts = |local, remote| {
            Facts {
                tier: Some(Tier::Relay),
                peer_online: true,
                trying: false,
                relay_only: false,
                forbidden: false,
                local,
                remote,
            }
            .explain()
        };

        assert_eq!(facts(&inside, &outside).code, "udp-blocked");
        assert_eq!(facts(&outside, &inside).code, "udp-blocked");
        assert_eq!(facts(&public, &outside).code, "udp-blocked", "an address of its own helps nobody who is not heard");
        assert!(!is_unreachable(&over_v6));
        assert_ne!(facts(&outside, &inside).text, facts(&inside, &outside).text);
    }

    #[test]
    fn one_with_ipv4_only_and_one_with_ipv6_only_have_nothing_in_common() {
        let v4 = set(NatMapping::EndpointIndependent, &[("203.0.113.1:4000", CandidateKind::Reflexive)]);
        let v6 = set(NatMapping::Unknown, &[("[2001:db8::1]:4000", CandidateKind::Host)]);
        let facts = |local, remote| {
            let (tier, peer_online, trying, relay_only) = (Some(Tier::Relay), true, false, false);
            Facts { tier, peer_online, trying, relay_only, forbidden: false, local, remote }.explain().code
        };

        assert_eq!((facts(&v4, &v6), facts(&v6, &v4)), ("no-common-family", "no-common-family"));
        assert_eq!((facts(&v4, &v4), facts(&v6, &v6)), ("no-answer", "no-answer"));
    }

    #[test]
    fn whoever_is_offline_is_not_blamed_on_the_nat() {
        let nothing = CandidateSet::default();
        let facts = |tier, peer_online, trying| {
            Facts { tier, peer_online, trying, relay_only: false, forbidden: false, local: &nothing, remote: &nothing }
                .explain()
                .code
        };

        assert_eq!(facts(None, false, true), "peer-offline");
        assert_eq!(facts(None, true, true), "probing");
        assert_eq!(facts(Some(Tier::Direct), false, false), "direct");
        assert_eq!(facts(Some(Tier::Lan), true, false), "same-lan");
    }

    #[test]
    fn a_policy_is_named_before_a_search_that_never_comes() {
        let nothing = CandidateSet::default();
        let facts = |peer_online| Facts {
            tier: Some(Tier::Relay),
            peer_online,
            trying: true,
            relay_only: true,
            forbidden: false,
            local: &nothing,
            remote: &nothing,
        };

        assert_eq!(facts(true).explain().code, "relay-only-policy");
        assert_eq!(facts(false).explain().code, "peer-offline");
    }

    #[test]
    fn what_was_noted_on_the_way_says_how_an_attempt_failed() {
        let now = start();
        let mut log = Log::default();
        let remote = |port| Remote::Direct(([203, 0, 113, 1], port).into());
        (1..=4).for_each(|port| log.open(1, Technique::Punch, remote(port), now));

        log.sent(remote(1));
        log.heard(remote(1));
        log.sent(remote(2));
        log.strayed(remote(2));
        log.refused(remote(3));
        log.sent(remote(4));
        log.refused(remote(4));
        (1..=4).for_each(|port| log.give_up(remote(port)));

        let results: Vec<_> =
            log.iter().map(|attempt| (attempt.result.name(), attempt.probes, attempt.heard)).collect();
        let expected = [("no-answer", 1, 1), ("answered-elsewhere", 1, 0), ("over-budget", 0, 0), ("no-answer", 1, 0)];
        assert_eq!(results, expected);
    }

    #[test]
    fn a_guess_that_turns_out_to_be_a_port_mapping_is_told_as_one() {
        let now = start();
        let remote = |port| Remote::Direct(SocketAddr::from(([203, 0, 113, 1], port)));
        let mut log = Log::default();
        log.open(1, Technique::Punch, remote(4000), now);
        log.open(1, Technique::PeerReflexive, remote(5000), now);
        log.open(1, Technique::Punch, remote(6000), now);
        log.give_up(remote(6000));

        [4000, 5000, 6000].into_iter().for_each(|port| log.retitle(remote(port), Technique::Mapped));

        let told: Vec<Technique> = log.iter().map(|attempt| attempt.technique).collect();
        assert_eq!(told, [Technique::Mapped, Technique::PeerReflexive, Technique::Punch]);
    }

    #[test]
    fn the_log_is_bounded_and_keeps_one_open_record_per_remote() {
        let now = start();
        let mut log = Log::default();
        let remote = |port| Remote::Direct(([203, 0, 113, 1], port).into());

        log.open(1, Technique::Punch, remote(4000), now);
        log.open(1, Technique::Punch, remote(4000), now);
        assert_eq!(log.iter().count(), 1);
        log.open(2, Technique::Punch, remote(4000), now);
        assert_eq!(log.iter().next().unwrap().result, AttemptResult::NoAnswer);
        (0..100).for_each(|port| log.open(3, Technique::Direct, remote(5000 + port), now));

        assert_eq!(log.iter().count(), LOG_MAX);
    }
}
