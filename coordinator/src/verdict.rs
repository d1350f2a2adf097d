//! Why two devices are not directly connected, from what both of them saw: a decision table.
//!
//! The first row that matches decides. A row names the side it blames, so that the remedy can say where to do what. Codes
//! are part of the public interface: they are added to, never renamed.

use std::net::{IpAddr, Ipv4Addr};

use warren_proto::candidate::{Candidate, CandidateKind, CandidateSet, NatMapping, NatReport, PortSearch};
use warren_proto::control::{Attempt, AttemptReport};

/// What both ends' reports say together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Stable, for programs.
    pub code: &'static str,
    /// Why, in one sentence.
    pub text: String,
    /// What would help, and on which side; empty if nothing needs to.
    pub remedy: String,
}

/// One end of a pair, as it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) name: &'a str,
    pub(super) online: bool,
    pub(super) relay_only: bool,
    /// With its address as this server sees it.
    pub(super) set: Option<&'a CandidateSet>,
    pub(super) report: Option<&'a AttemptReport>,
    /// Whether a search for a port of the pair waits for its turn.
    pub(super) waits: bool,
}

/// Who is to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blame {
    Both,
    First,
    Second,
}

/// A row of the table. In its words `{a}` is the side to blame, `{b}` the other one, `{port}` and `{port_b}` are the UDP
/// ports of their agents.
struct Row {
    code: &'static str,
    when: fn(&[Side<'_>; 2]) -> Option<Blame>,
    text: &'static str,
    /// In place of `text`, when both are to blame.
    text_both: &'static str,
    remedy: &'static str,
    remedy_both: &'static str,
}

/// Puts the two sides together.
pub(super) fn judge(sides: &[Side<'_>; 2]) -> Verdict {
    let found = TABLE.iter().find_map(|row| (row.when)(sides).map(|blame| (row, blame)));
    let (row, blame) = found.unwrap_or((&NO_ANSWER, Blame::Both));
    let [a, b] = if blame == Blame::Second { [&sides[1], &sides[0]] } else { [&sides[0], &sides[1]] };
    let (text, remedy) = if blame == Blame::Both { (row.text_both, row.remedy_both) } else { (row.text, row.remedy) };
    let fill = |words: &str| {
        let words = words.replace("{a}", &format!("`{}`", a.name)).replace("{b}", &format!("`{}`", b.name));
        words.replace("{port}", &a.port_words()).replace("{port_b}", &b.port_words())
    };
    Verdict { code: row.code, text: fill(text), remedy: fill(remedy) }
}

const TABLE: &[Row] = &[
    Row {
        code: "peer-offline",
        when: |sides| one(sides, |side| !side.online),
        text: "{a} is not connected to the rendezvous.",
        text_both: "{a} and {b} are not connected to the rendezvous.",
        remedy: "Check that {a} is switched on, has a network, and that `warren status` says connected there.",
        remedy_both: "Check that they are switched on, have a network, and that `warren status` says connected there.",
    },
    Row {
        code: "relay-only-policy",
        when: |sides| one(sides, |side| side.relay_only),
        text: "{a} is set to use the relay only.",
        text_both: "{a} and {b} are set to use the relay only.",
        remedy: "Take the setting back on the page of {a} in the dashboard, or start its daemon without --relay-only.",
        remedy_both: "Take the setting back on the pages of both in the dashboard, or start their daemons without \
                      --relay-only.",
    },
    Row {
        code: "same-lan",
        when: |sides| both(sides, |side| side.via() == "lan"),
        text: "",
        text_both: "{a} and {b} are on one network and talk inside it.",
        remedy: "",
        remedy_both: "",
    },
    Row {
        code: "direct",
        when: |sides| both(sides, Side::is_direct),
        text: "",
        text_both: "Packets go straight from device to device.",
        remedy: "",
        remedy_both: "",
    },
    Row {
        code: "probing",
        when: |sides| both(sides, |side| side.report.is_none()),
        text: "",
        text_both: "A direct path is being looked for; until one is found packets go through the relay.",
        remedy: "",
        remedy_both: "",
    },
    Row {
        code: "no-common-family",
        when: have_no_family,
        text: "",
        text_both: "One of {a} and {b} has IPv6 only and the other IPv4 only.",
        remedy: "",
        remedy_both: "Give one of them both: IPv6 at the one without, or IPv4 at the other.",
    },
    Row {
        code: "udp-blocked",
        when: |sides| one(sides, Side::is_udp_blocked),
        text: "The network of {a} lets no UDP out, so {b} cannot be reached from there but through the relay.",
        text_both: "The networks of {a} and of {b} let no UDP out, so neither can reach the other but through the relay.",
        remedy: "Allow outgoing UDP on the network of {a}; `warren netcheck` there shows whether it works.",
        remedy_both: "Allow outgoing UDP on both networks; `warren netcheck` shows whether it works.",
    },
    Row {
        code: "mtu",
        when: |sides| one(sides, |side| !side.is_direct() && side.any(|attempt| attempt.result == "too-narrow")),
        text: "Small packets pass straight from {a} to {b}, but none that is large enough for data.",
        text_both: "Small packets pass straight between {a} and {b}, but none that is large enough for data.",
        remedy: "Let fragments and the ICMP message \"fragmentation needed\" pass the firewall of {a}, or raise the MTU of the \
                 link that it uses.",
        remedy_both: "Let fragments and the ICMP message \"fragmentation needed\" pass the firewalls, or raise the MTU of \
                      the links that the two use.",
    },
    Row {
        code: "firewall-inbound",
        when: |sides| deaf(sides).filter(|blame| blamed(sides, *blame).is_some_and(|side| !side.has_nat())),
        text: "What {a} sends reaches {b}, but nothing that {b} sends gets in to {a}, not even answers.",
        text_both: "",
        remedy: "Let the firewall of {a} pass incoming UDP to {port}, from any address.",
        remedy_both: "",
    },
    Row {
        code: "one-sided",
        when: deaf,
        text: "What {a} sends reaches {b}, but nothing that {b} sends reaches {a}: something between them lets UDP pass in one \
               direction only.",
        text_both: "",
        remedy: "Let the firewalls before {b} pass outgoing UDP to any address and port; if they do, let those before {a} pass \
                 incoming UDP to {port}.",
        remedy_both: "",
    },
    Row {
        code: "no-hairpin",
        when: |sides| is_one_address(sides).filter(|_| are_apart(sides)),
        text: "",
        text_both: "{a} and {b} are in different networks behind one public address, most likely a carrier's NAT, and it does \
                    not pass packets from one of its subscribers to another.",
        remedy: "",
        remedy_both: "On the routers of both: enable UPnP, NAT-PMP or PCP, by which they can meet inside the carrier's \
                      network. IPv6 on both sides, or a public IPv4 address for one, helps as well.",
    },
    Row {
        code: "no-hairpin",
        when: is_one_address,
        text: "",
        text_both: "{a} and {b} are behind one public address, but cannot reach each other inside, and the router does not turn \
                    packets around.",
        remedy: "",
        remedy_both: "Let them reach each other inside: switch off the isolation of wireless clients or guests, or allow UDP \
                      between their networks. A router that supports hairpinning (NAT loopback) helps as well.",
    },
    Row {
        code: "search-disabled",
        when: refuse_search,
        text: "The port by which the two would meet can be searched for, but {a} is set not to take part in searches.",
        text_both: "The port by which {a} and {b} would meet can be searched for, but both are set not to take part in searches.",
        remedy: "Start the daemon of {a} without --no-port-search; where it was not set, update {a}.",
        remedy_both: "Start the daemons of both without --no-port-search; where it was not set, update them.",
    },
    Row {
        code: "both-symmetric",
        when: |sides| both(sides, Side::is_symmetric),
        text: "",
        text_both: "The NATs of {a} and of {b} both use another port for every destination, so neither can be told where to reach \
                    the other.",
        remedy: "",
        remedy_both: "On the router of one of them: enable UPnP, NAT-PMP or PCP, or forward a UDP port ({port} to {a}, or \
                      {port_b} to {b}). IPv6 on both sides helps as well.",
    },
    Row {
        code: "search-budget",
        when: |sides| both(sides, |side| side.waits),
        text: "",
        text_both: "The port by which {a} and {b} would meet is to be searched for, and the search waits for its turn: only so many \
                    are made behind one address in a minute.",
        remedy: "",
        remedy_both: "It begins by itself. To need no search: on the router of one of them, enable UPnP, NAT-PMP or PCP, or \
                      forward a UDP port ({port} to {a}, or {port_b} to {b}).",
    },
    Row {
        code: "search-budget",
        when: |sides| one(sides, Side::is_symmetric).filter(|_| any(sides, |attempt| attempt.result == "over-budget")),
        text: "The NAT of {a} uses another port for every destination, and the search for the right one was stopped before it \
               could burden the network.",
        text_both: "",
        remedy: "It goes on by itself after a pause. To need no search: on the router of {a}, enable UPnP, NAT-PMP or PCP, or \
                 forward UDP port {port} to it.",
        remedy_both: "",
    },
    Row {
        code: "symmetric-vs-port-restricted",
        when: |sides| one(sides, Side::is_symmetric),
        text: "The NAT of {a} uses another port for every destination, and the one before {b} only lets in what {b} asked for, \
               port by port.",
        text_both: "",
        remedy: "On the router of {a}: enable UPnP, NAT-PMP or PCP, or forward UDP port {port} to it. The same for {b} (port \
                 {port_b}), or IPv6 on both sides, helps as well.",
        remedy_both: "",
    },
    Row {
        code: "firewall-inbound",
        when: |sides| one(sides, |side| side.report.is_some() && !side.has_nat()),
        text: "{a} has a public address, but nothing that {b} sends gets in to it: a firewall is the likeliest cause.",
        text_both: "{a} and {b} have public addresses, but nothing that one sends gets in to the other: a firewall is the \
                    likeliest cause.",
        remedy: "Let the firewall of {a} pass incoming UDP to {port}, from any address.",
        remedy_both: "Let the firewalls pass incoming UDP, from any address, to {port} at {a} or to {port_b} at {b}.",
    },
];

/// What is left when nothing more is known.
const NO_ANSWER: Row = Row {
    code: "no-answer",
    when: |_| None,
    text: "",
    text_both: "No address of either device answered the other, although both NATs look permissive: a firewall on the way is the \
                likeliest cause.",
    remedy: "",
    remedy_both: "Let the firewalls of both networks pass UDP to and from any address at the agents' ports: {port} at {a}, \
                  {port_b} at {b}.",
};

impl Side<'_> {
    fn via(&self) -> &str {
        self.report.map_or("", |report| &report.via)
    }

    fn is_direct(&self) -> bool {
        DIRECT.contains(&self.via())
    }

    fn is_udp_blocked(&self) -> bool {
        // who is seen by STUN goes through a WebSocket for the relay's sake alone
        let unseen = self.mapping() == NatMapping::Unknown;
        self.report.is_some_and(|report| report.udp_blocked) || unseen && self.via() == "websocket-relay"
    }

    fn mapping(&self) -> NatMapping {
        self.set.map_or(NatMapping::Unknown, |set| set.nat.mapping)
    }

    fn is_symmetric(&self) -> bool {
        self.mapping().is_dependent()
    }

    fn has_nat(&self) -> bool {
        self.mapping() != NatMapping::None
    }

    /// Whether any attempt of the last common start, straight to an address, is so.
    fn any(&self, so: impl Fn(&Attempt) -> bool) -> bool {
        let Some(report) = self.report else { return false };
        report
            .attempts
            .iter()
            .any(|attempt| attempt.attempt == report.attempt && attempt.technique != "relay" && so(attempt))
    }

    fn heard(&self) -> bool {
        self.is_direct() || self.any(|attempt| attempt.heard > 0 || attempt.result == "answered")
    }

    fn addresses(&self, kind: CandidateKind) -> impl Iterator<Item = Ipv4Addr> {
        let candidates = self.set.into_iter().flat_map(|set| &set.candidates);
        let of_kind = candidates.filter(move |candidate| candidate.kind == kind);
        of_kind.filter_map(|candidate| match candidate.addr.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    }

    /// Whether anything says that it has IPv4, and IPv6, towards the outside.
    fn families(&self) -> [bool; 2] {
        let outside = |candidate: &Candidate| match (candidate.addr.ip(), candidate.kind) {
            (_, CandidateKind::Inner) => false,
            (IpAddr::V4(ip), CandidateKind::Host) => !ip.is_private(),
            (IpAddr::V6(ip), _) => !ip.is_unique_local(),
            (IpAddr::V4(_), _) => true,
        };
        let told = || self.set.into_iter().flat_map(|set| &set.candidates).filter(|candidate| outside(candidate));
        [told().any(|candidate| candidate.addr.is_ipv4()), told().any(|candidate| candidate.addr.is_ipv6())]
    }

    fn has_inner(&self) -> bool {
        self.addresses(CandidateKind::Inner).next().is_some()
    }

    fn is_seen_at(&self, ip: Ipv4Addr) -> bool {
        self.addresses(CandidateKind::Reflexive).any(|seen| seen == ip)
    }

    /// "port 41641" as a person needs it, or what stands for it.
    fn port_words(&self) -> String {
        let candidates = self.set.into_iter().flat_map(|set| &set.candidates);
        let mut own = candidates.filter(|candidate| candidate.kind == CandidateKind::Host);
        own.next().map_or_else(|| "of the agent".to_owned(), |candidate| candidate.addr.port().to_string())
    }
}

/// The side, or both, of which something is true.
fn one<'a>(sides: &[Side<'a>; 2], so: impl Fn(&Side<'a>) -> bool) -> Option<Blame> {
    match [so(&sides[0]), so(&sides[1])] {
        [true, true] => Some(Blame::Both),
        [true, false] => Some(Blame::First),
        [false, true] => Some(Blame::Second),
        [false, false] => None,
    }
}

fn both<'a>(sides: &[Side<'a>; 2], so: impl Fn(&Side<'a>) -> bool) -> Option<Blame> {
    one(sides, so).filter(|blame| *blame == Blame::Both)
}

fn any(sides: &[Side<'_>; 2], so: impl Fn(&Attempt) -> bool) -> bool {
    sides.iter().any(|side| side.any(&so))
}

fn blamed<'a, 'b>(sides: &'a [Side<'b>; 2], blame: Blame) -> Option<&'a Side<'b>> {
    match blame {
        Blame::Both => None,
        Blame::First => Some(&sides[0]),
        Blame::Second => Some(&sides[1]),
    }
}

/// Who does not take part in a search that the two NATs would allow.
fn refuse_search(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let nats = sides.each_ref().map(|side| side.set.map(|set| set.nat).unwrap_or_default());
    let [first, second] = nats.map(|nat| NatReport { searches: true, ..nat });
    PortSearch::between(&first, &second)?;
    match nats.map(|nat| nat.searches) {
        [true, true] => None,
        [false, true] => Some(Blame::First),
        [true, false] => Some(Blame::Second),
        [false, false] => Some(Blame::Both),
    }
}

/// The one that hears nothing although the other hears it. Only reports of one start can be compared.
fn deaf(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let [Some(first), Some(second)] = [sides[0].report, sides[1].report] else { return None };
    let comparable = first.attempt == second.attempt && first.attempt != 0;
    one(sides, |side| comparable && !side.heard()).filter(|blame| *blame != Blame::Both)
}

/// Whether each can be reached from outside, but one over IPv4 only and the other over IPv6 only.
fn have_no_family(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let [first, second] = sides.each_ref().map(Side::families);
    let apart = first[0] != first[1] && second[0] != second[1] && first != second;
    apart.then_some(Blame::Both)
}

/// Whether the outside sees both at one IPv4 address.
fn is_one_address(sides: &[Side<'_>; 2]) -> Option<Blame> {
    let [first, second] = sides;
    let mut seen = first.addresses(CandidateKind::Reflexive);
    seen.any(|ip| second.is_seen_at(ip) && first.has_nat() && second.has_nat()).then_some(Blame::Both)
}

/// Whether two devices behind one public address are surely not in one local network: a gateway has another NAT before
/// it, or no address of one is in a network of the other.
fn are_apart(sides: &[Side<'_>; 2]) -> bool {
    let [first, second] = sides;
    let network = |ip: Ipv4Addr| u32::from(ip) & LOCAL_NETWORK;
    let near = |ip: Ipv4Addr| second.addresses(CandidateKind::Host).any(|other| network(other) == network(ip));
    first.has_inner() || second.has_inner() || !first.addresses(CandidateKind::Host).any(near)
}

/// The values of `via` that are no relay.
const DIRECT: [&str; 3] = ["ipv4", "ipv6", "lan"];
/// What most local networks share of an address: its first 24 bits.
const LOCAL_NETWORK: u32 = 0xffff_ff00;

#[cfg(test)]
mod tests {
    use warren_proto::control::NatReport;
    use warren_proto::keys::NodeId;

    use super::*;

    /// One end: what its NAT does, where it is, and what it reports.
    struct End {
        online: bool,
        relay_only: bool,
        set: CandidateSet,
        report: Option<AttemptReport>,
    }

    /// Two ends that tried each other under one number and heard nothing.
    fn ends(mappings: [NatMapping; 2]) -> [End; 2] {
        let places = [("198.51.100.1:4000", "192.168.1.2:4001"), ("203.0.113.1:4000", "192.168.2.2:4002")];
        let mut number = 0;
        mappings.map(|mapping| {
            let (outside, inside) = places[number];
            number += 1;
            let candidates = [(inside, CandidateKind::Host), (outside, CandidateKind::Reflexive)]
                .map(|(addr, kind)| Candidate { addr: addr.parse().unwrap(), kind });
            let nat = NatReport { mapping, searches: true, ..NatReport::default() };
            End {
                online: true,
                relay_only: false,
                set: CandidateSet { epoch: 1, candidates: candidates.to_vec(), nat },
                report: Some(report("udp-relay", vec![attempt("no-answer", 0)])),
            }
        })
    }

    fn report(via: &str, attempts: Vec<Attempt>) -> AttemptReport {
        AttemptReport { peer: NodeId::new([1; 16]), attempt: 7, via: via.to_owned(), udp_blocked: false, attempts }
    }

    fn attempt(result: &str, heard: u32) -> Attempt {
        Attempt {
            technique: "punch".to_owned(),
            local: None,
            remote: None,
            probes: 7,
            heard,
            result: result.to_owned(),
            ago_ms: 0,
            attempt: 7,
        }
    }

    fn verdict(ends: &[End; 2]) -> Verdict {
        let side = |index: usize, name| Side {
            name,
            online: ends[index].online,
            relay_only: ends[index].relay_only,
            set: Some(&ends[index].set),
            report: ends[index].report.as_ref(),
            waits: false,
        };
        judge(&[side(0, "laptop"), side(1, "desktop")])
    }

    fn code(ends: &[End; 2]) -> &'static str {
        verdict(ends).code
    }

    use NatMapping::{EndpointDependent as HARD, EndpointIndependent as EASY, None as OPEN};

    #[test]
    fn whoever_is_offline_explains_everything_else() {
        let mut ends = ends([HARD, HARD]);
        ends[1].online = false;

        let verdict = verdict(&ends);

        assert_eq!(verdict.code, "peer-offline");
        assert!(verdict.text.starts_with("`desktop`"), "{}", verdict.text);
    }

    #[test]
    fn a_device_that_is_held_to_the_relay_is_named() {
        let mut ends = ends([EASY, EASY]);
        ends[1].relay_only = true;

        assert_eq!(verdict(&ends).text, "`desktop` is set to use the relay only.");
        ends[0].relay_only = true;
        assert_eq!(verdict(&ends).text, "`laptop` and `desktop` are set to use the relay only.");
        assert_eq!(code(&ends), "relay-only-policy");
    }

    #[test]
    fn what_is_direct_needs_no_remedy() {
        let mut ends = ends([EASY, EASY]);
        for (via, expected) in [("lan", "same-lan"), ("ipv4", "direct"), ("ipv6", "direct")] {
            ends.iter_mut().for_each(|end| end.report = Some(report(via, Vec::new())));

            assert_eq!((code(&ends), verdict(&ends).remedy.as_str()), (expected, ""));
        }
    }

    #[test]
    fn nobody_is_judged_before_anybody_reported() {
        let mut ends = ends([EASY, EASY]);
        ends.iter_mut().for_each(|end| end.report = None);

        assert_eq!(code(&ends), "probing");
    }

    #[test]
    fn udp_that_is_blocked_is_blamed_on_the_side_where_it_is() {
        let mut ends = ends([EASY, HARD]);
        ends[1].report.as_mut().unwrap().udp_blocked = true;

        assert_eq!(code(&ends), "udp-blocked");
        assert!(verdict(&ends).remedy.contains("the network of `desktop`"), "{}", verdict(&ends).remedy);
        ends[0].report = Some(report("websocket-relay", Vec::new()));
        assert!(!verdict(&ends).remedy.contains("both networks"), "the relay alone is out of reach");
        ends[0].set.nat.mapping = NatMapping::Unknown;
        assert!(verdict(&ends).remedy.contains("both networks"));
    }

    #[test]
    fn a_path_for_small_packets_only_is_a_matter_of_size() {
        let mut ends = ends([EASY, EASY]);
        ends[0].report = Some(report("udp-relay", vec![attempt("too-narrow", 3)]));

        assert_eq!(code(&ends), "mtu");
    }

    #[test]
    fn who_is_heard_and_hears_nothing_has_something_before_it() {
        let mut ends = ends([EASY, EASY]);
        ends[1].report = Some(report("udp-relay", vec![attempt("no-answer", 3)]));

        assert_eq!(code(&ends), "one-sided");
        assert!(verdict(&ends).text.starts_with("What `laptop` sends reaches `desktop`"), "{}", verdict(&ends).text);
        ends[0].set.nat.mapping = OPEN;
        assert_eq!(code(&ends), "firewall-inbound");
        assert!(verdict(&ends).remedy.contains("the firewall of `laptop` pass incoming UDP to 4001"));
    }

    #[test]
    fn reports_of_two_starts_are_not_compared() {
        let mut ends = ends([EASY, EASY]);
        ends[1].report = Some(AttemptReport { attempt: 6, ..report("udp-relay", vec![attempt("no-answer", 3)]) });

        assert_eq!(code(&ends), "no-answer");
    }

    #[test]
    fn a_device_without_ipv4_and_one_without_ipv6_have_nothing_in_common() {
        let mut ends = ends([EASY, EASY]);
        for candidate in &mut ends[0].set.candidates {
            candidate.addr = "[2001:db8::7]:4000".parse().unwrap();
        }

        assert_eq!(code(&ends), "no-common-family");
        ends[1]
            .set
            .candidates
            .push(Candidate { addr: "[2001:db8::8]:4000".parse().unwrap(), kind: CandidateKind::Host });
        assert_ne!(code(&ends), "no-common-family");
    }

    #[test]
    fn two_networks_behind_one_address_are_a_carriers() {
        let mut ends = ends([EASY, EASY]);
        ends[1].set.candidates[1].addr = "198.51.100.1:5000".parse().unwrap();

        assert_eq!(code(&ends), "no-hairpin");
        assert!(verdict(&ends).text.contains("a carrier's NAT"));
    }

    #[test]
    fn one_network_behind_one_address_lacks_a_way_inside() {
        let mut ends = ends([EASY, EASY]);
        ends[1].set.candidates[1].addr = "198.51.100.1:5000".parse().unwrap();
        ends[1].set.candidates[0].addr = "192.168.1.3:4002".parse().unwrap();

        assert_eq!(code(&ends), "no-hairpin");
        assert!(verdict(&ends).remedy.contains("wireless clients"));
        let inner = Candidate { addr: "100.64.0.7:4001".parse().unwrap(), kind: CandidateKind::Inner };
        ends[0].set.candidates.push(inner);
        assert!(
            verdict(&ends).text.contains("a carrier's NAT"),
            "a gateway with a private address outside has another NAT before it"
        );
    }

    #[test]
    fn two_nats_that_map_every_destination_anew_name_both_ports() {
        let verdict = verdict(&ends([HARD, HARD]));

        assert_eq!(verdict.code, "both-symmetric");
        assert!(verdict.remedy.contains("(4001 to `laptop`, or 4002 to `desktop`)"), "{}", verdict.remedy);
    }

    #[test]
    fn a_search_that_was_stopped_is_told_from_one_that_failed() {
        let mut ends = ends([EASY, HARD]);

        assert_eq!(code(&ends), "symmetric-vs-port-restricted");
        assert!(verdict(&ends).text.starts_with("The NAT of `desktop`"), "{}", verdict(&ends).text);
        ends[0].report = Some(report("udp-relay", vec![attempt("over-budget", 0)]));
        assert_eq!(code(&ends), "search-budget");
    }

    #[test]
    fn who_takes_no_part_in_searches_is_named_where_one_would_help() {
        let mut ends = ends([EASY, HARD]);
        ends[0].set.nat.searches = false;

        assert_eq!(code(&ends), "search-disabled");
        assert!(
            verdict(&ends).remedy.contains("daemon of `laptop` without --no-port-search"),
            "{}",
            verdict(&ends).remedy
        );
        ends[1].set.nat.searches = false;
        assert!(verdict(&ends).text.contains("both are set"), "{}", verdict(&ends).text);
        ends[0].set.nat.mapping = HARD;
        assert_eq!(code(&ends), "both-symmetric", "nothing to be searched for");
    }

    #[test]
    fn a_port_for_each_address_is_as_bad_as_one_for_each_endpoint() {
        assert_eq!(code(&ends([NatMapping::AddressDependent, HARD])), "both-symmetric");
        assert_eq!(code(&ends([NatMapping::AddressDependent, EASY])), "symmetric-vs-port-restricted");
    }

    #[test]
    fn a_public_address_that_nothing_reaches_has_a_firewall() {
        let verdict = verdict(&ends([EASY, OPEN]));

        assert_eq!(verdict.code, "firewall-inbound");
        assert!(verdict.remedy.contains("`desktop` pass incoming UDP to 4002"), "{}", verdict.remedy);
    }

    #[test]
    fn what_nothing_explains_is_no_answer() {
        let verdict = verdict(&ends([EASY, EASY]));

        assert_eq!(verdict.code, "no-answer");
        assert!(verdict.remedy.contains("4001 at `laptop`, 4002 at `desktop`"), "{}", verdict.remedy);
    }

    #[test]
    fn no_row_leaves_a_gap_in_its_words() {
        for row in TABLE.iter().chain([&NO_ANSWER]) {
            for words in [row.text, row.text_both, row.remedy, row.remedy_both] {
                let filled = words.replace("{a}", "").replace("{b}", "").replace("{port}", "").replace("{port_b}", "");
                assert!(!filled.contains(['{', '}']) && !words.contains("  "), "{words}");
                assert!(words.is_empty() || words.ends_with('.'), "{words}");
                assert!(words.len() + 4 * 63 <= warren_proto::control::MAX_SENTENCE, "{words}");
            }
        }
    }
}
