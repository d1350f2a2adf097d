//! Which reason is found for which two ends.

use warren_proto::candidate::{Candidate, CandidateKind, CandidateSet, NatMapping};
use warren_proto::control::{Attempt, AttemptReport, NatReport};
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
    ends[1].set.candidates.push(Candidate { addr: "[2001:db8::8]:4000".parse().unwrap(), kind: CandidateKind::Host });
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
    assert!(verdict(&ends).remedy.contains("daemon of `laptop` without --no-port-search"), "{}", verdict(&ends).remedy);
    ends[1].set.nat.searches = false;
    assert!(verdict(&ends).text.contains("both are set"), "{}", verdict(&ends).text);
    ends[0].set.nat.mapping = HARD;
    assert_eq!(code(&ends), "both-symmetric", "nothing to be searched for");
}

#[test]
fn who_is_told_that_udp_is_forbidden_is_named_unless_it_is_about_an_address_of_a_private_network() {
    let mut ends = ends([EASY, EASY]);
    let mut turned_away = |remote: &str| {
        let attempt = Attempt { remote: Some(remote.parse().unwrap()), ..attempt("forbidden", 0) };
        ends[0].report = Some(report("udp-relay", vec![attempt]));
        verdict(&ends)
    };

    let outside = turned_away("203.0.113.1:4000");

    assert_eq!(outside.code, "udp-forbidden");
    assert!(outside.text.starts_with("What `laptop` sends") && outside.remedy.contains("to 4002"), "{outside:?}");
    for inside in ["192.168.2.2:4002", "100.64.0.9:4000", "[fd00::1]:4000"] {
        assert_eq!(turned_away(inside).code, "no-answer", "{inside}");
    }
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
fn who_still_waits_for_an_answer_is_not_said_to_have_none() {
    let mut ends = ends([EASY, EASY]);
    ends[0].report = Some(report("udp-relay", vec![Attempt { attempt: 0, ..attempt("pending", 0) }]));

    assert_eq!((code(&ends), verdict(&ends).remedy.as_str()), ("probing", ""));
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
