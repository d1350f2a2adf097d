//! What the coordinator promises, told as what it puts out after each event.

mod explained;
mod presence;
mod wishes;

use std::time::{Duration, Instant};

use warren_proto::candidate::{Allocation, Candidate, CandidateKind, NatMapping, NatReport};
use warren_proto::control::{CandidateSet, MAX_PEERS_PER_MAP, Map, PairOpened, PathReport, Start, ToAgent};
use warren_proto::keys::{IdentityPublic, NodeId, UnixTime};

use super::{Arrival, Coordinator, Ended, Member, Output, Presence, RosterChange};

#[test]
fn a_device_that_arrives_is_told_of_the_whole_mesh_and_the_others_of_it() {
    let mut world = World::with_members(3);
    world.arrive(1);

    let maps = world.arrive(2).maps_to(2);
    let told = world.settle().broadcasts();

    assert_eq!(maps.len(), 1);
    assert!(maps[0].full);
    assert_eq!(online(&maps[0]), [(1, true), (2, true), (3, false)]);
    assert_eq!(told.iter().flat_map(online).collect::<Vec<_>>(), [(1, true), (2, true)]);
}

#[test]
fn a_departure_is_told_soon_but_not_before_others_can_join_it() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).arrive(3).settle().outputs.clear();

    world.coordinator.handle_departure(id(1), world.now);
    world.coordinator.handle_departure(id(2), world.now);
    world.drain();
    assert_eq!(world.outputs, []);
    let told = world.settle().broadcasts();

    assert_eq!(told.len(), 1);
    assert_eq!(online(&told[0]), [(1, false), (2, false)]);
}

#[test]
fn a_device_with_a_fresh_map_of_a_large_mesh_is_told_what_changed_alone() {
    let count = MAX_PEERS_PER_MAP as u16 + 50;
    let mut world = World::with_members(count);
    world.arrive(7).settle();
    let held = world.coordinator.revision();
    world.coordinator.handle_roster_change(id(9), active(9, 2), held + 1, world.now);
    world.coordinator.handle_roster_change(id(8), RosterChange::Ended(Ended::Revoked), held + 2, world.now);
    world.settle();

    let maps = world.arrive_holding(1, held).maps_to(1);

    assert_eq!(maps.len(), 1);
    assert!(!maps[0].full);
    assert_eq!(maps[0].removed, [id(8)]);
    assert_eq!(online(&maps[0]), [(9, false)]);
    assert_eq!(maps[0].revision, held + 2);
}

#[test]
fn a_large_map_comes_in_parts_of_which_only_the_last_carries_the_revision() {
    let count = MAX_PEERS_PER_MAP as u16 * 2 + 1;
    let mut world = World::with_members(count);

    for held in [0, u64::MAX] {
        let maps = world.arrive_holding(1, held).maps_to(1);

        assert_eq!(maps.iter().map(|map| map.peers.len()).sum::<usize>(), usize::from(count));
        assert_eq!(maps.iter().map(|map| map.full).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(maps.iter().map(|map| map.revision).collect::<Vec<_>>(), [0, 0, u64::from(count)]);
        assert!(maps.iter().all(|map| map.peers.len() <= MAX_PEERS_PER_MAP));
    }
}

#[test]
fn a_revoked_device_is_cut_off_and_its_peers_are_told_at_once() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2).connect(1, 2);
    let revision = world.coordinator.revision() + 1;

    world.outputs.clear();
    world.coordinator.handle_roster_change(id(2), RosterChange::Ended(Ended::Revoked), revision, world.now);
    world.drain();

    assert!(matches!(
        &world.outputs[..],
        [Output::End { device, farewell: ToAgent::Refused(_) }, Output::CloseChannel(_), Output::Broadcast(ToAgent::Map(map))]
            if *device == id(2) && map.removed == [id(2)] && map.revision == revision
    ));
    assert_eq!(world.coordinator.presence(id(2)), None);
}

#[test]
fn connecting_opens_a_channel_with_two_numbers_and_starts_both_once() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2);

    world.connect(1, 2);
    world.connect(2, 1);

    let (low, high) = (world.pair_opened_to(1), world.pair_opened_to(2));
    assert_ne!(low[0].channel, high[0].channel);
    assert!(low[0].channel != 0 && high[0].channel != 0);
    let opened = Output::OpenChannel([(id(1), low[0].channel), (id(2), high[0].channel)]);
    assert_eq!(world.outputs.iter().filter(|output| **output == opened).count(), 1);
    let (start_1, start_2) = (world.starts_to(1), world.starts_to(2));
    assert_eq!((start_1.len(), start_2.len()), (1, 1));
    assert_eq!(start_1[0].attempt, start_2[0].attempt);
    assert_eq!(start_1[0].attempt, low[0].attempt);
}

#[test]
fn a_device_hears_of_a_new_peer_before_it_hears_of_their_pair() {
    let mut world = World::with_members(2);
    world.arrive(1).settle();
    world.locate(1).arrive(2).locate(2);
    world.outputs.clear();

    world.connect(2, 1);

    let map = world.outputs.iter().position(|output| matches!(output, Output::Broadcast(ToAgent::Map(_))));
    let told = |output: &Output| matches!(output, Output::Send { to, message: ToAgent::PairOpened(_) } if *to == id(1));
    let pair = world.outputs.iter().position(told);
    assert!(map.is_some() && map < pair, "{:?}", world.outputs);
}

#[test]
fn a_pair_is_started_at_most_every_ten_seconds() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2).connect(1, 2);
    world.wait(Duration::from_secs(5));

    world.connect(1, 2).connect(2, 1);
    assert_eq!(world.starts_to(1).len(), 1);
    world.wait(Duration::from_secs(5));

    let starts = world.starts_to(1);
    assert_eq!(starts.len(), 2);
    assert_ne!(starts[0].attempt, starts[1].attempt);
    assert_eq!(world.coordinator.poll_timeout(), None);
}

#[test]
fn a_start_waits_for_the_candidates_of_both() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();

    world.connect(1, 2).locate(1);
    assert_eq!(world.starts_to(1).len(), 0);
    world.locate(2);

    assert_eq!(world.starts_to(1).len(), 1);
    assert_eq!(world.candidates_to(1).len(), 1);
    assert_eq!(world.candidates_to(2).len(), 1);
}

#[test]
fn a_wish_for_an_absent_peer_is_kept_until_it_arrives() {
    let mut world = World::with_members(2);
    world.arrive(1).settle();
    world.locate(1).connect(1, 2);
    assert_eq!(world.pair_opened_to(1), []);

    world.arrive(2).locate(2);

    assert_eq!(world.pair_opened_to(1).len(), 1);
    assert_eq!(world.starts_to(2).len(), 1);
}

#[test]
fn a_device_that_reconnects_finds_its_channel_as_it_left_it() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2).connect(1, 2);
    let before = world.pair_opened_to(1);
    world.coordinator.handle_departure(id(1), world.now);

    world.arrive(1).locate(1);

    let after = world.pair_opened_to(1);
    assert_eq!(before[0].channel, after[0].channel);
    assert_eq!(world.starts_to(2).len(), 0, "too soon after the last one");
    world.wait(Duration::from_secs(10));
    assert_eq!(world.starts_to(2).len(), 1);
}

#[test]
fn a_pair_with_nobody_left_is_closed() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2).connect(1, 2);

    world.coordinator.handle_departure(id(1), world.now);
    world.coordinator.handle_departure(id(2), world.now);
    world.drain();

    assert!(matches!(world.outputs.last(), Some(Output::CloseChannel(_))));
}

#[test]
fn candidates_always_include_the_address_we_see_and_older_ones_are_dropped() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.locate(1).locate(2).connect(1, 2);
    let before = world.candidates_to(2).len();

    let stale = CandidateSet { epoch: 0, ..CandidateSet::default() };
    world.coordinator.handle_candidates(id(1), stale, world.now);
    world.drain();

    let sets = world.candidates_to(2);
    assert_eq!(sets.len(), before);
    let observed = Candidate { addr: observed(1), kind: CandidateKind::Reflexive };
    assert!(sets[0].candidates.contains(&observed));
}

#[test]
fn an_inner_address_is_told_only_to_those_behind_the_same_outer_nat() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).arrive(3).settle();
    let inner = Candidate { addr: "100.64.0.9:40000".parse().unwrap(), kind: CandidateKind::Inner };
    // 1 and 2 are seen under one address
    world.coordinator.handle_measurement(id(3), elsewhere(3), Duration::from_millis(3));
    world.locate(2).locate(3).connect(1, 2).connect(1, 3);

    let set = CandidateSet { epoch: 1, candidates: vec![inner], ..CandidateSet::default() };
    world.coordinator.handle_candidates(id(1), set, world.now);
    world.drain();

    assert!(world.candidates_to(2).last().unwrap().candidates.contains(&inner));
    assert!(!world.candidates_to(3).last().unwrap().candidates.contains(&inner));
}

#[test]
fn whoever_turns_out_to_be_behind_the_same_outer_nat_is_told_the_inner_address() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    let inner = Candidate { addr: "100.64.0.9:40000".parse().unwrap(), kind: CandidateKind::Inner };
    world.coordinator.handle_measurement(id(2), elsewhere(2), Duration::from_millis(3));
    world.locate(2).connect(1, 2);
    let set = CandidateSet { epoch: 1, candidates: vec![inner], ..CandidateSet::default() };
    world.coordinator.handle_candidates(id(1), set, world.now);
    world.drain();
    assert!(!world.candidates_to(2).last().unwrap().candidates.contains(&inner));

    let seen = Candidate { addr: observed(1), kind: CandidateKind::Reflexive };
    let set = CandidateSet { epoch: 2, candidates: vec![seen], ..CandidateSet::default() };
    world.coordinator.handle_candidates(id(2), set, world.now);
    world.drain();

    assert!(world.candidates_to(2).last().unwrap().candidates.contains(&inner));
}

#[test]
fn strangers_and_nonsense_are_ignored() {
    let mut world = World::with_members(2);
    world.arrive(1).settle();
    world.outputs.clear();

    world.connect(1, 1).connect(1, 77).connect(77, 1);

    assert_eq!(world.outputs, []);
    assert!(!world.coordinator.handle_path_report(id(1), report(2, "teleport"), UnixTime::from_secs(1)));
    assert!(!world.coordinator.handle_path_report(id(1), report(77, "direct"), UnixTime::from_secs(1)));
    assert!(!world.coordinator.handle_path_report(id(2), report(1, "direct"), UnixTime::from_secs(1)));
    assert!(!world.coordinator.handle_path_report(id(1), report(1, "direct"), UnixTime::from_secs(1)));
    assert!(world.coordinator.handle_path_report(id(1), report(2, "direct"), UnixTime::from_secs(1)));
    assert_eq!(world.coordinator.paths(id(1)).count(), 1);
}

#[test]
fn a_search_starts_both_ends_once_and_tells_each_where_the_other_is_seen() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    world.behind(1, NatMapping::EndpointDependent).behind(2, NatMapping::EndpointIndependent).connect(1, 2);

    world.search(1, 2).search(2, 1);

    let searches = [1, 2].map(|number| world.searches_to(number));
    assert_eq!(searches, [vec![observed(2)], vec![observed(1)]]);
}

#[test]
fn nothing_is_searched_for_where_it_is_hopeless_needless_or_not_wanted() {
    use NatMapping::{EndpointDependent, EndpointIndependent, Unknown};
    for [first, second] in [
        [EndpointDependent, EndpointDependent],
        [EndpointIndependent, EndpointIndependent],
        [EndpointDependent, Unknown],
    ] {
        let mut world = World::with_members(2);
        world.arrive(1).arrive(2).settle();
        world.behind(1, first).behind(2, second).connect(1, 2);

        world.search(1, 2).wait(Duration::from_secs(60));

        assert_eq!(world.searches_to(1), []);
    }
}

#[test]
fn twenty_devices_behind_one_address_search_in_turn_within_a_common_budget() {
    let mut world = World::with_members(40);
    for number in 1..=40 {
        world.arrive(number);
    }
    world.settle();
    for number in 1..=20 {
        world.behind(number, NatMapping::EndpointDependent).behind(20 + number, NatMapping::EndpointIndependent);
        world.connect(number, 20 + number);
    }
    for number in 1..=20 {
        world.search(number, 20 + number);
    }

    // all are behind one address here; a birthday search costs 256 of 300
    for minute in 1..=5 {
        let granted: usize = (1..=20).map(|number| world.searches_to(number).len()).sum();
        assert_eq!(granted, minute);
        world.wait(Duration::from_secs(61));
    }
}

#[test]
fn a_device_has_one_search_at_a_time_and_the_others_wait() {
    let mut world = World::with_members(3);
    world.arrive(1).arrive(2).arrive(3).settle();
    world.counting(1).behind(2, NatMapping::EndpointIndependent).behind(3, NatMapping::EndpointIndependent);
    world.connect(1, 2).connect(1, 3);

    world.search(1, 2).search(1, 3);
    assert_eq!(world.searches_to(1).len(), 1);
    world.wait(Duration::from_secs(17));

    assert_eq!(world.searches_to(1).len(), 2);
    assert_eq!(world.searches_to(3).len(), 1);
    assert_eq!(world.coordinator.poll_timeout(), None);
}

#[test]
fn a_device_that_comes_over_ipv6_is_searched_for_where_stun_vouches_for_it() {
    let mut world = World::with_members(2);
    world.arrive(1).arrive(2).settle();
    let over_v6 = "[2001:db8::2]:40002".parse().unwrap();
    world.coordinator.handle_measurement(id(2), over_v6, Duration::from_millis(20));
    world.behind(1, NatMapping::EndpointIndependent).behind(2, NatMapping::EndpointDependent).connect(1, 2);

    world.search(1, 2);
    assert_eq!(world.searches_to(1), []);
    world.coordinator.handle_vouched(id(2), elsewhere(2));
    world.search(1, 2);

    assert_eq!(world.searches_to(1), [elsewhere(2)]);
    assert_eq!(world.searches_to(2), [observed(1)]);
}

#[test]
fn a_device_whose_address_changed_is_told_the_new_one() {
    let mut world = World::with_members(1);
    world.arrive(1).settle();
    world.outputs.clear();

    world.coordinator.handle_measurement(id(1), observed(1), Duration::from_millis(3));
    world.coordinator.handle_measurement(id(1), observed(2), Duration::from_millis(3));
    world.drain();

    assert_eq!(world.outputs, [Output::Send { to: id(1), message: ToAgent::Observed(observed(2)) }]);
}

struct World {
    coordinator: Coordinator,
    outputs: Vec<Output>,
    now: Instant,
}

impl World {
    fn with_members(count: u16) -> Self {
        let now = Instant::now();
        let mut coordinator = Coordinator::new([7; 32]);
        for number in 1..=count {
            coordinator.handle_roster_change(id(number), active(number, 1), number.into(), now);
        }
        let mut world = Self { coordinator, outputs: Vec::new(), now };
        world.settle().outputs.clear();
        world
    }

    fn drain(&mut self) -> &mut Self {
        self.outputs.extend(std::iter::from_fn(|| self.coordinator.poll_output()));
        self
    }

    fn settle(&mut self) -> &mut Self {
        self.outputs.clear();
        self.wait(Duration::from_millis(100))
    }

    /// Until everything that was to be told to everybody has been.
    fn rest(&mut self) -> &mut Self {
        self.outputs.clear();
        self.wait(Duration::from_secs(10))
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while let Some(at) = self.coordinator.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.coordinator.handle_timeout(self.now);
        }
        self.now = end;
        self.drain()
    }

    fn arrive(&mut self, number: u16) -> &mut Self {
        self.arrive_holding(number, 0)
    }

    fn arrive_holding(&mut self, number: u16, revision: u64) -> &mut Self {
        self.outputs.clear();
        let presence = Presence {
            since: UnixTime::from_secs(1),
            observed: observed(number),
            rtt: Duration::from_millis(u64::from(number) * 10),
        };
        let relay = Some("192.0.2.1:3480".parse().unwrap());
        self.coordinator.handle_arrival(Arrival { device: id(number), presence, relay, revision }, self.now);
        self.drain()
    }

    fn locate(&mut self, number: u16) -> &mut Self {
        let candidates = vec![Candidate { addr: "10.0.0.1:40000".parse().unwrap(), kind: CandidateKind::Host }];
        let set = CandidateSet { epoch: 1, candidates, ..CandidateSet::default() };
        self.coordinator.handle_candidates(id(number), set, self.now);
        self.drain()
    }

    fn behind(&mut self, number: u16, mapping: NatMapping) -> &mut Self {
        self.report(number, NatReport { mapping, searches: true, ..NatReport::default() })
    }

    fn counting(&mut self, number: u16) -> &mut Self {
        let allocation = Some(Allocation { delta: Some(1), last: 4004, lowest: 4001, highest: 4004 });
        let mapping = NatMapping::EndpointDependent;
        self.report(number, NatReport { mapping, allocation, searches: true, ..NatReport::default() })
    }

    fn report(&mut self, number: u16, nat: NatReport) -> &mut Self {
        let candidates = vec![Candidate { addr: "10.0.0.1:40000".parse().unwrap(), kind: CandidateKind::Host }];
        self.coordinator.handle_candidates(id(number), CandidateSet { epoch: 1, candidates, nat }, self.now);
        self.drain()
    }

    fn search(&mut self, from: u16, to: u16) -> &mut Self {
        self.coordinator.handle_search(id(from), id(to), self.now);
        self.drain()
    }

    fn searches_to(&self, number: u16) -> Vec<std::net::SocketAddr> {
        self.starts_to(number).into_iter().filter_map(|start| start.search).collect()
    }

    fn connect(&mut self, from: u16, to: u16) -> &mut Self {
        self.coordinator.handle_connect(id(from), id(to), self.now);
        self.drain()
    }

    fn sent<T>(&self, number: u16, pick: impl Fn(&ToAgent) -> Option<T>) -> Vec<T> {
        let pick = |output: &Output| {
            let Output::Send { to, message } = output else { return None };
            if *to == id(number) { pick(message) } else { None }
        };
        self.outputs.iter().filter_map(pick).collect()
    }

    fn maps_to(&self, number: u16) -> Vec<Map> {
        self.sent(number, |message| if let ToAgent::Map(map) = message { Some(map.clone()) } else { None })
    }

    fn pair_opened_to(&self, number: u16) -> Vec<PairOpened> {
        self.sent(number, |message| if let ToAgent::PairOpened(pair) = message { Some(pair.clone()) } else { None })
    }

    fn starts_to(&self, number: u16) -> Vec<Start> {
        self.sent(number, |message| if let ToAgent::Start(start) = message { Some(start.clone()) } else { None })
    }

    fn candidates_to(&self, number: u16) -> Vec<CandidateSet> {
        self.sent(
            number,
            |message| {
                if let ToAgent::PeerCandidates { set, .. } = message { Some(set.clone()) } else { None }
            },
        )
    }

    fn broadcasts(&self) -> Vec<Map> {
        let pick = |output: &Output| {
            if let Output::Broadcast(ToAgent::Map(map)) = output { Some(map.clone()) } else { None }
        };
        self.outputs.iter().filter_map(pick).collect()
    }
}

fn id(number: u16) -> NodeId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    NodeId::new(bytes)
}

/// A certificate that only says whose it is; the coordinator does not look inside.
fn active(number: u16, epoch: u8) -> RosterChange {
    let certificate = [&number.to_be_bytes()[..], &[epoch]].concat();
    RosterChange::Active(Member {
        name: format!("device-{number}"),
        certificate,
        identity_key: IdentityPublic::new([1; 32]),
        not_after: UnixTime::from_secs(9),
        relay_only: false,
    })
}

fn online(map: &Map) -> Vec<(u16, bool)> {
    let number = |certificate: &[u8]| u16::from_be_bytes([certificate[0], certificate[1]]);
    map.peers.iter().map(|peer| (number(&peer.certificate), peer.online)).collect()
}

fn observed(number: u16) -> std::net::SocketAddr {
    ([198, 51, 100, 1], 40000 + number).into()
}

fn elsewhere(number: u16) -> std::net::SocketAddr {
    ([203, 0, 113, 1], 40000 + number).into()
}

fn report(peer: u16, kind: &str) -> PathReport {
    PathReport {
        peer: id(peer),
        kind: kind.to_owned(),
        via: String::new(),
        remote: None,
        rtt_us: 1,
        mtu: 1,
        since_unix_ms: 1,
        rx_bytes: 1,
        tx_bytes: 1,
        reason_code: String::new(),
        rx_packets: 0,
        tx_packets: 0,
        probes: 0,
        probes_lost: 0,
    }
}
