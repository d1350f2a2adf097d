//! A peer that means harm, an attacker on the way, and input without any meaning.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::world::{World, channel, port_restricted};
use super::{ESP_OVERHEAD, start};
use crate::candidate::CandidateSet;
use crate::candidate::{Candidate, CandidateKind};
use crate::io::{Discard, Remote};
use crate::path::budget::BUDGET;
use crate::path::{Agent, Probe, ProbeBody, Settings};
use crate::wire::path_probe::{PONG_LENGTH, Ping, Pong, ProbeId};

const SECOND: Duration = Duration::from_secs(1);
const SETTINGS: Settings = Settings { we_keepalive: true, keepalive: Duration::from_secs(22) };

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn offer(epoch: u64, addrs: &[SocketAddr]) -> CandidateSet {
    let candidate = |addr: &SocketAddr| Candidate { addr: *addr, kind: CandidateKind::Reflexive };
    CandidateSet { epoch, candidates: addrs.iter().map(candidate).collect(), ..CandidateSet::default() }
}

/// An agent with a session and a relay that has begun a round towards `peer`.
fn probing(peer: SocketAddr, now: Instant) -> Agent {
    let mut agent = Agent::new(1, SETTINGS, now);
    agent.set_relay(Some(channel(0)), now);
    agent.set_remote_candidates(&offer(1, &[peer]), now);
    agent.session_ready(ESP_OVERHEAD, now);
    agent.handle_start(1, Duration::ZERO, None, now);
    agent
}

fn pings(agent: &mut Agent) -> Vec<(Remote, Ping)> {
    let probes = std::iter::from_fn(|| agent.poll_probe());
    probes
        .filter_map(|probe| match probe.body {
            ProbeBody::Ping(ping) => Some((probe.to, ping)),
            ProbeBody::Knock | ProbeBody::Opener | ProbeBody::Pong(_) => None,
        })
        .collect()
}

fn direct_ping(agent: &mut Agent, peer: SocketAddr, now: Instant) -> Ping {
    agent.handle_timeout(now);
    let (_, ping) = pings(agent).into_iter().find(|(to, _)| *to == Remote::Direct(peer)).expect("a ping");
    ping
}

#[test]
fn a_pong_from_another_address_proves_neither() {
    let now = start();
    let (peer, elsewhere) = (addr("203.0.113.9:4000"), addr("203.0.113.66:4000"));
    let mut agent = probing(peer, now);
    let then = now + Duration::from_millis(50);
    let ping = direct_ping(&mut agent, peer, then);
    let pong = Pong { id: ping.id, seen: None };

    assert_eq!(agent.handle_pong(Remote::Direct(elsewhere), &pong, then), Err(Discard::ProbeUnmatched));

    let asked: Vec<(Remote, Ping)> = pings(&mut agent);
    assert_eq!(asked.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [Remote::Direct(elsewhere)], "asked itself, small");
    assert_eq!(usize::from(asked[0].1.length), PONG_LENGTH);
    assert!(matches!(agent.selection().unwrap().remote, Remote::Relay(_)));
    assert_eq!(agent.handle_pong(Remote::Direct(peer), &pong, then), Ok(()), "the right one still counts");
}

#[test]
fn a_made_up_or_late_pong_counts_for_nothing() {
    let now = start();
    let peer = addr("203.0.113.9:4000");
    let mut agent = probing(peer, now);
    let ping = direct_ping(&mut agent, peer, now + Duration::from_millis(50));
    let made_up = Pong { id: ProbeId([9; 12]), seen: None };
    let late = Pong { id: ping.id, seen: None };

    assert_eq!(agent.handle_pong(Remote::Direct(peer), &made_up, now + SECOND), Err(Discard::ProbeUnmatched));
    assert_eq!(agent.handle_pong(Remote::Direct(peer), &late, now + 6 * SECOND), Err(Discard::ProbeUnmatched));

    assert!(matches!(agent.selection().unwrap().remote, Remote::Relay(_)));
}

#[test]
fn no_large_probe_goes_to_an_address_before_it_answered_a_small_one() {
    let now = start();
    let peer = addr("203.0.113.9:4000");
    let mut agent = probing(peer, now);
    for millis in (0..60_000).step_by(50) {
        agent.handle_timeout(now + Duration::from_millis(millis));

        for (to, ping) in pings(&mut agent) {
            assert!(matches!(to, Remote::Relay(_)) || usize::from(ping.length) == PONG_LENGTH);
        }
    }
}

#[test]
fn a_victim_named_as_candidate_gets_no_more_than_the_budget() {
    let mut world = World::new(1, port_restricted());
    world.connect();
    world.link.cut = true;
    let victims: Vec<SocketAddr> = (1..=40).map(|last| addr(&format!("192.0.2.{last}:5000"))).collect();

    for epoch in 0..58 {
        let set = offer(100 + epoch, &victims[..12]);
        let now = world.now;
        world.hosts[0].agent.set_remote_candidates(&set, now);
        world.send_start();
        world.run(SECOND);
    }

    for victim in &victims {
        let bytes = world.strays.get(victim).copied().unwrap_or_default();
        assert!(bytes <= BUDGET, "{victim}: {bytes}");
    }
}

#[test]
fn an_hour_of_retries_costs_a_silent_address_no_more_than_the_budget() {
    let mut world = World::new(2, port_restricted());
    let victim = addr("192.0.2.1:5000");
    world.connect();
    world.link.cut = true;
    let now = world.now;
    world.hosts[0].agent.set_remote_candidates(&offer(100, &[victim]), now);

    world.run(3500 * SECOND);

    let bytes = world.strays[&victim];
    assert!(bytes > 448 && bytes <= BUDGET, "{bytes}");
}

#[test]
fn a_private_address_of_another_site_gets_three_probes() {
    let mut world = World::new(1, port_restricted());
    world.link.cut = true;
    world.connect();
    world.run(8 * SECOND);

    let stranger = world.hosts[1].inside;

    assert_eq!(world.strays[&stranger], 3 * 64);
}

#[test]
fn pings_from_ever_new_addresses_neither_fill_the_table_nor_move_the_path() {
    let now = start();
    let peer = addr("203.0.113.9:4000");
    let mut agent = probing(peer, now);
    for port in 2000..4000 {
        let id = ProbeId([u8::try_from(port % 256).unwrap(); 12]);
        let from = Remote::Direct(SocketAddr::new(addr("192.0.2.1:1").ip(), port));

        agent.handle_ping(from, &Ping { id, length: 36 }, now + SECOND);

        let answers = std::iter::from_fn(|| agent.poll_probe()).collect::<Vec<Probe>>();
        assert!(answers.iter().any(|probe| probe.to == from && matches!(probe.body, ProbeBody::Pong(_))));
    }

    assert!(matches!(agent.selection().unwrap().remote, Remote::Relay(_)));
    assert!(agent.attempts().count() <= 32);
}

/// Anything that can happen to an agent.
#[derive(Clone, Debug)]
enum Input {
    Answer(usize),
    Candidates(u64, Vec<Candidate>),
    Local(Vec<Candidate>),
    NetworkChange,
    Ping(Remote),
    Pong(Remote),
    Relay(bool),
    Request,
    Retry,
    SessionLost,
    SessionReady,
    Start(u64, u64),
    Timeout,
    Traffic(u64, u64),
    Wait(u64),
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (0..30_u8).prop_map(|last| SocketAddr::from(([203, 0, 113, last], 4000))),
        (0..5_u8).prop_map(|last| SocketAddr::from(([192, 168, 1, last], 4000))),
        (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let kind = prop_oneof![
        Just(CandidateKind::Host),
        Just(CandidateKind::Static),
        Just(CandidateKind::Mapped),
        Just(CandidateKind::Reflexive),
        Just(CandidateKind::Guessed),
    ];
    (any_addr(), kind).prop_map(|(addr, kind)| Candidate { addr, kind })
}

fn any_remote() -> impl Strategy<Value = Remote> {
    prop_oneof![4 => any_addr().prop_map(Remote::Direct), 1 => (0..2_usize).prop_map(|index| Remote::Relay(channel(index)))]
}

fn any_input() -> impl Strategy<Value = Input> {
    let candidates = || proptest::collection::vec(any_candidate(), 0..20);
    prop_oneof![
        8 => (0..64_usize).prop_map(Input::Answer),
        2 => (0..6_u64, candidates()).prop_map(|(epoch, set)| Input::Candidates(epoch, set)),
        1 => candidates().prop_map(Input::Local),
        1 => Just(Input::NetworkChange),
        4 => any_remote().prop_map(Input::Ping),
        1 => any_remote().prop_map(Input::Pong),
        1 => any::<bool>().prop_map(Input::Relay),
        1 => Just(Input::Request),
        1 => Just(Input::Retry),
        1 => Just(Input::SessionLost),
        3 => Just(Input::SessionReady),
        2 => (any::<u64>(), 0..10_000_u64).prop_map(|(attempt, delay)| Input::Start(attempt, delay)),
        6 => Just(Input::Timeout),
        2 => (0..9_u64, 0..9_u64).prop_map(|(sent, received)| Input::Traffic(sent, received)),
        6 => (0..40_000_u64).prop_map(Input::Wait),
    ]
}

/// Feeds one input; `asked` are the pings sent so far, of which `Answer` answers one.
fn feed(agent: &mut Agent, input: Input, asked: &[(Remote, ProbeId)], now: &mut Instant) {
    let at = *now;
    match input {
        Input::Answer(index) => {
            if let Some((from, id)) = asked.get(index).copied() {
                let _ = agent.handle_pong(from, &Pong { id, seen: None }, at);
            }
        }
        Input::Candidates(epoch, candidates) => {
            agent.set_remote_candidates(&CandidateSet { epoch, candidates, ..CandidateSet::default() }, at);
        }
        Input::Local(candidates) => agent.set_local(&CandidateSet { candidates, ..CandidateSet::default() }, at),
        Input::NetworkChange => agent.handle_network_change(at),
        Input::Ping(from) => agent.handle_ping(from, &Ping { id: ProbeId([3; 12]), length: 36 }, at),
        Input::Pong(from) => _ = agent.handle_pong(from, &Pong { id: ProbeId([4; 12]), seen: None }, at),
        Input::Relay(open) => agent.set_relay(open.then(|| channel(0)), at),
        Input::Request => _ = agent.request_ping(1, at),
        Input::Retry => agent.retry_now(at),
        Input::SessionLost => agent.session_lost(at),
        Input::SessionReady => agent.session_ready(ESP_OVERHEAD, at),
        Input::Start(attempt, delay) => agent.handle_start(attempt, Duration::from_millis(delay), None, at),
        Input::Timeout => {
            *now = agent.poll_timeout().map_or(at, |next| next.max(at));
            agent.handle_timeout(*now);
        }
        Input::Traffic(sent, received) => agent.note_traffic(sent, received, at),
        Input::Wait(millis) => *now += Duration::from_millis(millis),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_every_limit_holds(inputs in proptest::collection::vec(any_input(), 1..120)) {
        let mut now = start();
        let mut agent = Agent::new(7, SETTINGS, now);
        let mut asked = Vec::new();
        for input in inputs {
            feed(&mut agent, input, &asked, &mut now);
            while let Some(probe) = agent.poll_probe() {
                if let ProbeBody::Ping(ping) = probe.body {
                    prop_assert!((36..=1472).contains(&ping.length));
                    asked.push((probe.to, ping.id));
                }
            }
            let events = std::iter::from_fn(|| agent.poll_event()).count();
            prop_assert!(events <= 18);
            prop_assert!(agent.attempts().count() <= 32);
            agent.handle_timeout(now);
            prop_assert!(agent.poll_timeout().is_none_or(|at| at > now));
            prop_assert!(agent.hedge().is_none() || agent.selection().is_some());
        }
    }
}
