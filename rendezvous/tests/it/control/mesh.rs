//! What connected devices learn of each other.

use std::time::{Duration, Instant};

use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::certificate::VerifiedCertificate;
use warren_proto::control::{
    Attempt, AttemptReport, CandidateSet, PathReport, Preferences, RefusedCode, ToAgent, ToServer, Welcome,
};
use warren_proto::keys::NodeId;
use warren_rendezvous::actions;
use warren_rendezvous::domain::Actor;

use super::Running;
use super::agent::{Agent, Joined};

/// Two devices that are online and know it.
struct Two {
    server: Running,
    _dir: tempfile::TempDir,
    laptop: Joined,
    desktop: Joined,
}

impl Two {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Running::start(dir.path()).await;
        let mut laptop = Agent::enrol(&server.invite().await, 1, "laptop").await.unwrap();
        let desktop = Agent::enrol(&server.invite().await, 2, "desktop").await.unwrap();
        let id = node(&server, &desktop.welcome);
        let welcome = laptop.welcome.clone();
        laptop.agent.until(|message| sees(&server, &welcome, message, id, true)).await;
        Self { server, _dir: dir, laptop, desktop }
    }

    fn laptop_id(&self) -> NodeId {
        node(&self.server, &self.laptop.welcome)
    }

    fn desktop_id(&self) -> NodeId {
        node(&self.server, &self.desktop.welcome)
    }
}

fn verified(server: &Running, welcome: &Welcome, certificate: &[u8]) -> VerifiedCertificate {
    let network = &welcome.network;
    VerifiedCertificate::verify(certificate, &network.id, &network.signing_key, server.app.now()).unwrap()
}

fn node(server: &Running, welcome: &Welcome) -> NodeId {
    verified(server, welcome, &welcome.certificate).node
}

/// Whether the message says that the peer is online (or not).
fn sees(server: &Running, welcome: &Welcome, message: ToAgent, peer: NodeId, online: bool) -> Option<()> {
    let ToAgent::Map(map) = message else { return None };
    let said = |entry: &warren_proto::control::Peer| {
        verified(server, welcome, &entry.certificate).node == peer && entry.online == online
    };
    map.peers.iter().any(said).then_some(())
}

/// Whether the message says that the peer is gone for good.
fn removes(message: ToAgent, peer: NodeId) -> Option<()> {
    let ToAgent::Map(map) = message else { return None };
    map.removed.contains(&peer).then_some(())
}

fn candidates(epoch: u64) -> CandidateSet {
    let candidates = vec![Candidate { addr: "192.168.1.7:41000".parse().unwrap(), kind: CandidateKind::Host }];
    CandidateSet { epoch, candidates, ..CandidateSet::default() }
}

#[tokio::test]
async fn a_newcomer_is_told_who_is_there_and_departures_are_told_too() {
    let mut two = Two::new().await;
    let (laptop, desktop) = (two.laptop_id(), two.desktop_id());
    let there: Vec<NodeId> = two
        .desktop
        .map
        .peers
        .iter()
        .filter(|peer| peer.online)
        .map(|peer| verified(&two.server, &two.desktop.welcome, &peer.certificate).node)
        .collect();

    two.desktop.agent.connection.close(0u32.into(), b"");

    assert!(there.contains(&laptop));
    let welcome = two.laptop.welcome.clone();
    two.laptop.agent.until(|message| sees(&two.server, &welcome, message, desktop, false)).await;
    two.server.stop().await;
}

#[tokio::test]
async fn connecting_gives_both_a_channel_candidates_and_a_start() {
    let mut two = Two::new().await;
    let (laptop, desktop) = (two.laptop_id(), two.desktop_id());
    two.laptop.agent.send(&ToServer::Candidates(candidates(1))).await;
    two.desktop.agent.send(&ToServer::Candidates(candidates(1))).await;

    two.laptop.agent.send(&ToServer::Connect(desktop)).await;

    for (side, peer) in [(&mut two.laptop, desktop), (&mut two.desktop, laptop)] {
        let relay = side.welcome.relays[0].addr;
        let agent = &mut side.agent;
        let opened =
            agent.until(|message| if let ToAgent::PairOpened(pair) = message { Some(pair) } else { None }).await;
        assert_eq!((opened.peer, opened.relay), (peer, relay));
        let set = agent
            .until(|message| {
                let ToAgent::PeerCandidates { peer: from, set } = message else { return None };
                (from == peer).then_some(set)
            })
            .await;
        assert!(set.candidates.iter().any(|candidate| candidate.kind == CandidateKind::Host));
        let start = agent.until(|message| if let ToAgent::Start(start) = message { Some(start) } else { None }).await;
        assert_eq!((start.peer, start.attempt), (peer, opened.attempt));
        assert!(start.delay_ms < 1000);
    }
    two.server.stop().await;
}

#[tokio::test]
async fn both_ends_hear_what_their_reports_say_together() {
    let mut two = Two::new().await;
    let (laptop, desktop) = (two.laptop_id(), two.desktop_id());
    two.laptop.agent.send(&ToServer::Connect(desktop)).await;
    let report = |peer, attempts: Vec<Attempt>| {
        let via = "udp-relay".to_owned();
        ToServer::AttemptReport(AttemptReport { peer, attempt: 7, via, udp_blocked: false, attempts })
    };

    two.laptop.agent.send(&report(desktop, vec![heard()])).await;
    two.desktop.agent.send(&report(laptop, Vec::new())).await;

    let verdict = |message| if let ToAgent::Verdict(verdict) = message { Some(verdict) } else { None };
    let (here, there) = (two.laptop.agent.until(verdict).await, two.desktop.agent.until(verdict).await);
    assert_eq!((here.peer, there.peer), (desktop, laptop));
    assert_eq!((&here.code, &here.text, &here.remedy), (&there.code, &there.text, &there.remedy));
    assert_eq!((here.code.as_str(), here.attempts.len(), there.attempts.len()), ("one-sided", 0, 1));
    assert!(here.text.starts_with("What `desktop` sends reaches `laptop`"), "{}", here.text);
    two.server.stop().await;
}

#[tokio::test]
async fn a_device_whose_owner_wants_the_relay_only_is_told_as_such() {
    let mut two = Two::new().await;
    let desktop = two.desktop_id();

    two.desktop.agent.send(&ToServer::Preferences(Preferences { relay_only: true })).await;

    let welcome = two.laptop.welcome.clone();
    let server = &two.server;
    let told = |message| {
        let ToAgent::Map(map) = message else { return None };
        let of_desktop = |peer: &warren_proto::control::Peer| {
            peer.relay_only && verified(server, &welcome, &peer.certificate).node == desktop
        };
        map.peers.iter().any(of_desktop).then_some(())
    };
    two.laptop.agent.until(told).await;
    two.server.stop().await;
}

fn heard() -> Attempt {
    Attempt {
        technique: "punch".to_owned(),
        local: None,
        remote: Some("203.0.113.9:40000".parse().unwrap()),
        probes: 7,
        heard: 3,
        result: "no-answer".to_owned(),
        ago_ms: 4000,
        attempt: 7,
    }
}

#[tokio::test]
async fn a_revoked_device_is_cut_off_and_its_peers_are_told_within_a_second() {
    let mut two = Two::new().await;
    let desktop = two.desktop_id();

    let begun = Instant::now();
    actions::revoke_device(&two.server.app, &Actor::Cli, desktop).await.unwrap();
    two.laptop.agent.until(|message| removes(message, desktop)).await;
    let told = begun.elapsed();

    let refused = two
        .desktop
        .agent
        .until(|message| if let ToAgent::Refused(refused) = message { Some(refused) } else { None })
        .await;
    assert!(told < Duration::from_secs(1), "{told:?}");
    assert_eq!(refused.code, RefusedCode::DeviceRevoked);
    assert_eq!(two.desktop.agent.next().await, None);
    two.server.stop().await;
}

#[tokio::test]
async fn a_renamed_device_and_its_peers_get_its_new_certificate() {
    let mut two = Two::new().await;
    let desktop = two.desktop_id();

    actions::rename_device(&two.server.app, &Actor::Cli, desktop, "tower").await.unwrap();

    for side in [&mut two.laptop, &mut two.desktop] {
        let (server, welcome) = (&two.server, side.welcome.clone());
        let renamed = side
            .agent
            .until(|message| {
                let ToAgent::Map(map) = message else { return None };
                let certificates = map.peers.iter().map(|peer| verified(server, &welcome, &peer.certificate));
                certificates.into_iter().find(|certificate| certificate.name == "tower")
            })
            .await;
        assert_eq!((renamed.node, renamed.epoch), (desktop, 2));
    }
    two.server.stop().await;
}

#[tokio::test]
async fn a_device_that_logs_out_is_answered_and_forgotten_by_its_peers() {
    let mut two = Two::new().await;
    let desktop = two.desktop_id();

    two.desktop.agent.send(&ToServer::Logout).await;

    two.desktop.agent.until(|message| if message == ToAgent::LoggedOut { Some(()) } else { None }).await;
    two.laptop.agent.until(|message| removes(message, desktop)).await;
    two.server.stop().await;
}

#[tokio::test]
async fn a_newer_connection_of_the_same_device_replaces_the_older() {
    let mut two = Two::new().await;
    let laptop = two.laptop_id();
    let invite = two.server.invite().await;

    let newer = Agent::hello(&invite, 1, laptop, two.laptop.map.revision).await.unwrap();

    let refused = two
        .laptop
        .agent
        .until(|message| if let ToAgent::Refused(refused) = message { Some(refused) } else { None })
        .await;
    assert_eq!(refused.code, RefusedCode::Replaced);
    assert!(newer.map.full);
    let devices = actions::list_devices(&two.server.app).await.unwrap();
    assert!(devices.iter().all(|view| view.presence.is_some()));
    two.server.stop().await;
}

#[tokio::test]
async fn a_connection_that_was_held_up_does_not_replace_a_younger_one() {
    let two = Two::new().await;
    let (laptop, desktop) = (two.laptop_id(), two.desktop_id());
    let invite = two.server.invite().await;
    let mut older = Agent::connect(invite.servers[0].parse().unwrap(), invite.pin).await.unwrap();
    let mut younger = Agent::hello(&invite, 1, laptop, 0).await.unwrap();

    let hello = older.introduction(1, laptop, 0);
    older.send(&ToServer::Hello(hello)).await;

    let refused =
        older.until(|message| if let ToAgent::Refused(refused) = message { Some(refused) } else { None }).await;
    assert_eq!(refused.code, RefusedCode::Replaced);
    younger.agent.send(&ToServer::Connect(desktop)).await;
    let opened = |message| if let ToAgent::PairOpened(pair) = message { Some(pair) } else { None };
    assert_eq!(younger.agent.until(opened).await.peer, desktop);
    two.laptop.agent.connection.close(0u32.into(), b"");
    two.server.stop().await;
}

#[tokio::test]
async fn reported_paths_and_presence_are_listed() {
    let mut two = Two::new().await;
    let desktop = two.desktop_id();
    let report = PathReport {
        peer: desktop,
        kind: "direct".to_owned(),
        via: "ipv4".to_owned(),
        remote: Some("203.0.113.9:40000".parse().unwrap()),
        rtt_us: 12_000,
        mtu: 1466,
        since_unix_ms: 1,
        rx_bytes: 2,
        tx_bytes: 3,
        reason_code: "direct".to_owned(),
        rx_packets: 0,
        tx_packets: 0,
        probes: 0,
        probes_lost: 0,
    };
    let mut live = two.server.app.hub().subscribe();

    two.laptop.agent.send(&ToServer::PathReport(report.clone())).await;

    tokio::time::timeout(Duration::from_secs(5), live.recv()).await.unwrap().unwrap();
    let devices = actions::list_devices(&two.server.app).await.unwrap();
    let laptop = devices.iter().find(|view| view.device.name.as_str() == "laptop").unwrap();
    assert_eq!(laptop.presence.as_ref().unwrap().observed, two.laptop.welcome.observed);
    assert_eq!(laptop.paths.iter().map(|path| &path.report).collect::<Vec<_>>(), [&report]);
    two.server.stop().await;
}

#[tokio::test]
async fn a_restarted_server_knows_its_devices_and_its_key_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let joined = Agent::enrol(&server.invite().await, 1, "laptop").await.unwrap();
    let laptop = node(&server, &joined.welcome);
    server.stop().await;

    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    let again = Agent::hello(&invite, 1, laptop, joined.map.revision).await.unwrap();

    assert_eq!(again.welcome.certificate, joined.welcome.certificate);
    assert_eq!(again.welcome.network, joined.welcome.network);
    server.stop().await;
}
