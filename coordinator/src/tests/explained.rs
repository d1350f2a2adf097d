//! Reports of both ends, the verdicts that they are told, and pairs that are held to their relay.

use std::time::Duration;

use warren_proto::candidate::NatMapping;
use warren_proto::control::{Attempt, AttemptReport, Preferences, ToAgent, Verdict};

use super::{World, active, id, online};
use crate::{Member, RosterChange};

#[test]
fn both_ends_are_told_the_same_words_and_what_the_other_tried() {
    let mut world = pair();

    world.tell(1, 2, 5, "first").tell(2, 1, 5, "second");

    let [one, two] = [world.verdicts_to(1).remove(0), world.verdicts_to(2).remove(0)];
    assert_eq!((&one.code, &one.text, &one.remedy), (&two.code, &two.text, &two.remedy));
    assert_eq!((one.peer, one.attempt, one.attempts[0].technique.as_str()), (id(2), 5, "second"));
    assert_eq!((two.peer, two.attempt, two.attempts[0].technique.as_str()), (id(1), 5, "first"));
}

#[test]
fn a_verdict_waits_a_little_for_the_second_report_of_the_same_start() {
    let mut world = pair();
    world.tell(2, 1, 4, "of the start before").wait(Duration::from_secs(3)).outputs.clear();

    world.tell(1, 2, 5, "first").wait(Duration::from_millis(1900));
    assert_eq!(world.verdicts_to(1), []);
    world.wait(Duration::from_millis(200));

    let verdict = world.verdicts_to(1).remove(0);
    assert_eq!((verdict.attempt, verdict.attempts.len()), (0, 1));
    assert_eq!(world.coordinator.poll_timeout(), None);
}

#[test]
fn attempts_age_while_they_wait() {
    let mut world = pair();

    world.tell(1, 2, 5, "first").wait(Duration::from_millis(1500)).tell(2, 1, 5, "second");

    assert_eq!(world.verdicts_to(2)[0].attempts[0].ago_ms, 4000 + 1500);
}

#[test]
fn a_device_that_reports_all_the_time_does_not_flood_its_peer() {
    let mut world = pair();

    for _ in 0..1000 {
        world.tell(1, 2, 5, "first").tell(2, 1, 5, "second").wait(Duration::from_millis(10));
    }

    assert!((9..=11).contains(&world.verdicts_to(2).len()), "{}", world.verdicts_to(2).len());
}

#[test]
fn nobody_is_explained_to_a_stranger() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).settle();
    world.outputs.clear();

    world.tell(1, 2, 5, "no pair").tell(3, 1, 5, "offline").tell(1, 77, 5, "no member").wait(Duration::from_secs(5));

    assert_eq!(world.outputs, []);
    assert_eq!(world.coordinator.explain(id(1), id(77)), None);
}

#[test]
fn a_page_sees_the_reason_as_it_is_at_this_moment() {
    let mut world = pair();
    world.tell(1, 2, 5, "first").tell(2, 1, 5, "second");
    let explained = |world: &World| world.coordinator.explain(id(2), id(1)).unwrap();

    assert_eq!(explained(&world).reports[0].as_ref().unwrap().report.attempts[0].technique, "second");
    assert_ne!(explained(&world).verdict.code, "peer-offline");
    world.coordinator.handle_departure(id(1), world.now);

    let verdict = explained(&world).verdict;
    assert_eq!(
        (verdict.code, verdict.text.as_str()),
        ("peer-offline", "`device-1` is not connected to the rendezvous.")
    );
    world.coordinator.handle_departure(id(2), world.now);
    assert_eq!(explained(&world).reports, [None, None], "dropped with the pair");
}

#[test]
fn a_pair_held_to_the_relay_gets_a_channel_and_nothing_else() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.outputs.clear();
    world.coordinator.handle_preferences(id(1), Preferences { relay_only: true }, world.now);
    world.drain();
    let told = world.broadcasts();
    assert_eq!(told.iter().flat_map(online).collect::<Vec<_>>(), [(1, true)]);
    assert!(told[0].peers[0].relay_only);

    world.locate(1).locate(2).connect(2, 1).wait(Duration::from_secs(30));

    assert_eq!([world.pair_opened_to(1).len(), world.pair_opened_to(2).len()], [1, 1]);
    assert_eq!([world.candidates_to(1).len(), world.candidates_to(2).len()], [0, 0]);
    assert_eq!([world.starts_to(1).len(), world.starts_to(2).len()], [0, 0]);
    let verdict = world.coordinator.explain(id(1), id(2)).unwrap().verdict;
    assert_eq!(verdict.code, "relay-only-policy");
}

#[test]
fn a_search_that_waits_for_its_turn_is_told_from_one_that_found_nothing() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).arrive(3).settle();
    for number in [2, 3] {
        let from = ([203, 0, 113, number as u8], 40_000).into();
        world.coordinator.handle_measurement(id(number), from, Duration::from_millis(20));
        world.behind(number, NatMapping::EndpointIndependent);
    }
    world.behind(1, NatMapping::EndpointDependent).connect(1, 2).connect(1, 3);

    // two birthday searches are more than what one address is granted in a minute
    world.search(1, 2).search(1, 3);
    for peer in [2, 3] {
        world.tell(1, peer, 5, "punch").tell(peer, 1, 5, "punch");
    }

    let codes = [2, 3].map(|peer| world.coordinator.explain(id(1), id(peer)).unwrap().verdict.code);
    assert_eq!(codes, ["symmetric-vs-port-restricted", "search-budget"]);
}

#[test]
fn a_pair_that_may_leave_its_relay_again_is_started_at_once() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    let revision = world.coordinator.revision();
    world.coordinator.handle_roster_change(id(2), relay_only(2, true), revision + 1, world.now);
    world.locate(1).locate(2).connect(1, 2);
    assert_eq!(world.starts_to(1).len(), 0);
    world.outputs.clear();

    world.coordinator.handle_roster_change(id(2), relay_only(2, false), revision + 2, world.now);
    world.drain();

    assert_eq!([world.candidates_to(1).len(), world.candidates_to(2).len()], [1, 1]);
    assert_eq!([world.starts_to(1).len(), world.starts_to(2).len()], [1, 1]);
    let allowed = world.broadcasts();
    assert_eq!(allowed.iter().flat_map(|map| &map.peers).map(|peer| peer.relay_only).collect::<Vec<_>>(), [false]);
}

#[test]
fn an_owners_wish_ends_with_the_connection_and_an_administrators_does_not() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    let revision = world.coordinator.revision();
    world.coordinator.handle_preferences(id(1), Preferences { relay_only: true }, world.now);
    world.coordinator.handle_roster_change(id(2), relay_only(2, true), revision + 1, world.now);

    let maps = world.arrive(1).arrive(2).maps_to(2);

    let held: Vec<bool> = maps[0].peers.iter().map(|peer| peer.relay_only).collect();
    assert_eq!(held, [false, true]);
}

/// Two devices that want each other.
fn pair() -> World {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2).connect(1, 2);
    world
}

fn relay_only(number: u16, relay_only: bool) -> RosterChange {
    match active(number, 1) {
        RosterChange::Active(member) => RosterChange::Active(Member { relay_only, ..member }),
        ended @ RosterChange::Ended(_) => ended,
    }
}

impl World {
    fn tell(&mut self, from: u16, to: u16, attempt: u64, technique: &str) -> &mut Self {
        let tried = Attempt {
            technique: technique.to_owned(),
            local: None,
            remote: None,
            probes: 7,
            heard: 0,
            result: "no-answer".to_owned(),
            ago_ms: 4000,
            attempt,
        };
        let (via, attempts) = ("udp-relay".to_owned(), vec![tried]);
        let report = AttemptReport { peer: id(to), attempt, via, udp_blocked: false, attempts };
        self.coordinator.handle_attempt_report(id(from), report, self.now);
        self.drain()
    }

    fn verdicts_to(&self, number: u16) -> Vec<Verdict> {
        self.sent(number, |message| if let ToAgent::Verdict(verdict) = message { Some(verdict.clone()) } else { None })
    }
}
