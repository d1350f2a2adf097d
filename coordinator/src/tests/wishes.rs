//! Pings, another try and measuring, for somebody who looks at a pair.

use std::time::Duration;

use warren_proto::control::{PathReport, PingAnswer, Pinged, ToAgent};
use warren_proto::keys::{NodeId, UnixTime};

use super::super::{Ping, Ungranted};
use super::{World, id, report};

#[test]
fn both_ends_ping_five_times_a_second_apart_and_what_they_hear_is_shown() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();

    world.coordinator.ping_pair(id(1), id(2), world.now).unwrap();
    world.drain();
    assert_eq!([world.pings_to(1).len(), world.pings_to(2).len()], [1, 1]);
    world.answer(1, 2, 900);
    world.wait(Duration::from_secs(4));
    let shown = world.coordinator.ping_run(id(1), id(2), world.now).unwrap();

    assert_eq!([world.pings_to(1).len(), world.pings_to(2).len()], [5, 5]);
    assert_eq!(shown.ends[0][..2], [Ping::Answered(answer(900)), Ping::Waiting]);
    let turned = world.coordinator.ping_run(id(2), id(1), world.now).unwrap();
    assert_eq!(turned.ends, [shown.ends[1].clone(), shown.ends[0].clone()]);
    world.wait(Duration::from_secs(6));
    let over = world.coordinator.ping_run(id(1), id(2), world.now).unwrap();
    assert_eq!(
        (&over.ends[0][1..], &over.ends[1][..]),
        (&[const { Ping::Lost }; 4][..], &[const { Ping::Lost }; 5][..])
    );
    assert_eq!(world.coordinator.poll_timeout(), None);
}

#[test]
fn an_end_that_is_offline_takes_no_part_and_with_both_away_there_is_nothing_to_ping() {
    let mut world = World::with_members(2);
    assert_eq!(world.coordinator.ping_pair(id(1), id(2), world.now), Err(Ungranted::Offline));
    world.arrive(2).settle();

    world.coordinator.ping_pair(id(1), id(2), world.now).unwrap();
    world.wait(Duration::from_secs(20));

    let shown = world.coordinator.ping_run(id(1), id(2), world.now).unwrap();
    assert_eq!(shown.ends.map(|end| end.len()), [0, 5]);
    assert_eq!(world.pings_to(1).len(), 0);
    assert_eq!(world.coordinator.ping_pair(id(1), id(77), world.now), Err(Ungranted::Offline));
}

#[test]
fn a_ping_that_nobody_asked_for_or_that_cannot_be_true_is_not_shown() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).arrive(3).settle();
    assert!(!world.says(1, 2, 1, Some(answer(900))));
    world.coordinator.ping_pair(id(1), id(2), world.now).unwrap();
    let token = world.drain().pings_to(1)[0];

    assert!(!world.says(3, 2, token, Some(answer(900))));
    assert!(!world.says(1, 2, token + 1, Some(answer(900))), "not sent yet");
    assert!(world.says(1, 2, token, Some(answer(u64::MAX))));
    assert!(!world.says(1, 2, token, Some(answer(900))), "said already");

    let shown = world.coordinator.ping_run(id(1), id(2), world.now).unwrap();
    assert_eq!(shown.ends[0], [Ping::Lost]);
}

#[test]
fn wishes_are_granted_so_often_and_no_more() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();

    for _ in 0..3 {
        let _ = world.coordinator.ping_pair(id(1), id(2), world.now);
        let _ = world.coordinator.retry_pair(id(2), id(1), world.now);
        world.coordinator.watch_pair(id(1), id(2), world.now);
    }
    world.drain();

    assert_eq!(world.pings_to(1).len(), 1);
    assert_eq!(world.retries_to(1), [id(2)]);
    assert_eq!(world.retries_to(2), [id(1)]);
    assert_eq!(world.watches_to(2), [id(1)]);
    let again = world.coordinator.retry_again_in(id(1), id(2), world.now + Duration::from_secs(10));
    assert_eq!(again, Some(Duration::from_secs(30)));
    world.wait(Duration::from_secs(40));
    assert_eq!(world.coordinator.retry_pair(id(1), id(2), world.now), Ok(()));
}

#[test]
fn what_a_device_reports_is_brought_within_reason() {
    let mut world = World::with_members(2);
    world.arrive(1).settle();
    let lie = PathReport {
        rtt_us: u64::MAX,
        since_unix_ms: u64::MAX,
        probes: 3,
        probes_lost: 9,
        reason_code: "<b>".to_owned(),
        ..report(2, "direct")
    };

    world.coordinator.handle_path_report(id(1), lie, UnixTime::from_secs(7));

    let held = &world.coordinator.paths(id(1)).next().unwrap().report;
    assert_eq!((held.rtt_us, held.since_unix_ms, held.probes_lost), (60_000_000, 7_000, 3));
    assert_eq!(held.reason_code, "");
}

fn answer(rtt_us: u64) -> PingAnswer {
    PingAnswer { rtt_us, via: "ipv4".to_owned(), remote: None }
}

impl World {
    fn pings_to(&self, number: u16) -> Vec<u64> {
        self.sent(number, |message| if let ToAgent::Ping { token, .. } = message { Some(*token) } else { None })
    }

    fn retries_to(&self, number: u16) -> Vec<NodeId> {
        self.sent(number, |message| if let ToAgent::Retry(peer) = message { Some(*peer) } else { None })
    }

    fn watches_to(&self, number: u16) -> Vec<NodeId> {
        self.sent(number, |message| if let ToAgent::Watch { peer, .. } = message { Some(*peer) } else { None })
    }

    /// Answers the last ping that was sent to a device.
    fn answer(&mut self, number: u16, peer: u16, rtt_us: u64) {
        let token = *self.pings_to(number).last().unwrap();
        assert!(self.says(number, peer, token, Some(answer(rtt_us))));
    }

    fn says(&mut self, number: u16, peer: u16, token: u64, answer: Option<PingAnswer>) -> bool {
        self.coordinator.handle_pinged(id(number), Pinged { peer: id(peer), token, answer })
    }
}
