//! `/api/v1/pairs`: why two devices use the path they use.

use serde_json::Value;
use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::control::{Attempt, AttemptReport, CandidateSet, NatMapping, NatReport, ToServer};
use warren_proto::keys::NodeId;
use warren_rendezvous::control::LiveEvent;
use warren_rendezvous::domain::Device;

use super::client::Client;
use crate::common::{Agent, Page, TestApp, identity, text};

#[tokio::test]
async fn a_pair_is_explained_from_what_both_ends_tried() {
    let server = TestApp::with_settings(SOCKETS).await;
    let mut browser = server.admin().await;
    let (laptop, desktop) = (server.device("laptop", 1).await, server.device("desktop", 2).await);
    let control = server.serve().await.control;
    let mut live = server.app.hub().subscribe();
    let mut agents = Vec::new();
    for (device, key, peer) in [(&laptop, 1, &desktop), (&desktop, 2, &laptop)] {
        let mut agent = Agent::connect(control, device.id, &identity(key)).await;
        agent.send(&ToServer::Candidates(behind_a_hard_nat(key))).await;
        agent.send(&ToServer::Connect(peer.id)).await;
        agent.send(&ToServer::AttemptReport(report(peer.id))).await;
        while !matches!(live.recv().await.unwrap(), LiveEvent::Path { from, .. } if from == device.id) {}
        agents.push(agent);
    }

    let by_name = json(&browser.get("/api/v1/pairs/laptop/desktop").await);
    let by_id = json(&browser.get(&format!("/api/v1/pairs/{}/{}", desktop.id, laptop.id)).await);

    assert_eq!(by_name["reason"]["code"], "both-symmetric");
    assert!(by_name["reason"]["remedy"].as_str().unwrap().contains("41001 to `laptop`, or 41002 to `desktop`"));
    assert_eq!(by_id["reason"]["code"], "both-symmetric");
    assert_eq!((&by_name["ends"][0]["name"], &by_id["ends"][0]["name"]), (&"laptop".into(), &"desktop".into()));
    let end = &by_name["ends"][0];
    assert_eq!((&end["online"], &end["relay_only"], &end["path"]), (&true.into(), &false.into(), &Value::Null));
    let attempt = &end["attempts"][0];
    assert_eq!((&attempt["technique"], &attempt["probes"], &attempt["heard"]), (&"punch".into(), &7.into(), &0.into()));
    assert_eq!((&attempt["remote"], &attempt["local"]), (&"198.51.100.9:41000".into(), &Value::Null));
    assert_eq!((&attempt["result"], &attempt["attempt"]), (&"no-answer".into(), &"7".into()));
    assert!(attempt["at"].as_str().unwrap().ends_with('Z'));
    let page = text(&browser.get(&format!("/devices/{}", laptop.id)).await.body);
    assert!(page.contains("The NATs of laptop and of desktop both use another port"), "{page}");
    assert!(page.contains("41001 to laptop, or 41002 to desktop"), "{page}");
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_with_a_code() {
    let server = TestApp::new().await;
    let device = server.device("laptop", 1).await;
    let mut stranger = server.visitor();
    let mut browser = server.admin().await;

    let refused = stranger.get("/api/v1/pairs/laptop/desktop").await;
    let unknown = browser.get("/api/v1/pairs/laptop/desktop").await;
    let alone = browser.get(&format!("/api/v1/pairs/laptop/{}", device.id)).await;
    let nowhere = browser.get("/api/v1/teapots").await;

    for (page, status, code) in [
        (refused, 401, "sign-in-first"),
        (unknown, 404, "device-unknown"),
        (alone, 404, "device-unknown"),
        (nowhere, 404, "not-found"),
    ] {
        assert_eq!((page.status, &page.headers["content-type"]), (status, &PROBLEM.parse().unwrap()));
        let body = json(&page);
        assert_eq!((&body["status"], &body["code"]), (&status.into(), &code.into()));
        assert_eq!(page.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_pair_that_is_held_to_the_relay_says_by_whom() {
    let server = TestApp::with_settings(SOCKETS).await;
    let mut browser = server.admin().await;
    let (laptop, desktop) = (server.device("laptop", 1).await, server.device("desktop", 2).await);
    let control = server.serve().await.control;
    let _online = [connect(control, &laptop, 1).await, connect(control, &desktop, 2).await];

    hold(&server, &desktop).await;

    let pair = json(&browser.get("/api/v1/pairs/laptop/desktop").await);
    assert_eq!(pair["reason"]["code"], "relay-only-policy");
    assert_eq!(pair["reason"]["text"], "`desktop` is set to use the relay only.");
    assert_eq!((&pair["ends"][0]["relay_only"], &pair["ends"][1]["relay_only"]), (&false.into(), &true.into()));
}

#[tokio::test]
async fn what_is_remembered_of_paths_is_told_by_device_by_pair_and_for_the_whole_mesh() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.device("laptop", 1).await;
    server.device("desktop", 2).await;

    let device = page.get("/devices/laptop/metrics?range=24h").await.body;
    let pair = page.get("/pairs/laptop/desktop/metrics").await.body;
    let mesh = page.get("/topology").await.body;

    assert_eq!((&device["range"], &device["step_s"]), (&"24h".into(), &300.into()));
    assert_eq!(device["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!((&pair["range"], pair["lines"].as_array().map(Vec::len)), (&"1h".into(), Some(2)));
    assert_eq!((mesh["devices"].as_array().map(Vec::len), mesh["links"].as_array().map(Vec::len)), (Some(2), Some(0)));
    assert_eq!(page.get("/pairs/laptop/desktop/metrics?range=1y").await.code(), "query-invalid");
    assert_eq!(page.get("/pairs/laptop/laptop/metrics").await.code(), "device-unknown");
}

#[tokio::test]
async fn a_pair_that_is_away_cannot_be_asked_and_one_that_was_just_asked_not_again() {
    let server = TestApp::with_settings(SOCKETS).await;
    let page = Client::of_browser(&server, &server.admin().await);
    let (laptop, desktop) = (server.device("laptop", 1).await, server.device("desktop", 2).await);
    let control = server.serve().await.control;

    let away = page.post("/pairs/laptop/desktop/ping", Value::Null).await;
    let _online = [connect(control, &laptop, 1).await, connect(control, &desktop, 2).await];
    let asked = page.post("/pairs/laptop/desktop/retry-direct", Value::Null).await;
    let again = page.post("/pairs/laptop/desktop/retry-direct", Value::Null).await;

    assert_eq!((away.status, away.code(), asked.status), (409, "pair-unready", 202));
    assert_eq!((again.code(), again.header("retry-after").is_empty()), ("pair-unready", false));
}

async fn connect(control: std::net::SocketAddr, device: &Device, key: u8) -> Agent {
    Agent::connect(control, device.id, &identity(key)).await
}

async fn hold(server: &TestApp, device: &Device) {
    let actor = warren_rendezvous::domain::Actor::Cli;
    warren_rendezvous::actions::hold_to_relay(&server.app, &actor, device.id, true).await.unwrap();
}

fn behind_a_hard_nat(key: u8) -> CandidateSet {
    let at = |addr: String, kind| Candidate { addr: addr.parse().unwrap(), kind };
    let candidates = vec![
        at(format!("192.168.{key}.2:4100{key}"), CandidateKind::Host),
        at(format!("198.51.100.{key}:50000"), CandidateKind::Reflexive),
    ];
    let nat = NatReport { mapping: NatMapping::EndpointDependent, ..NatReport::default() };
    CandidateSet { epoch: 1, candidates, nat }
}

fn report(peer: NodeId) -> AttemptReport {
    let attempt = Attempt {
        technique: "punch".to_owned(),
        local: None,
        remote: Some("198.51.100.9:41000".parse().unwrap()),
        probes: 7,
        heard: 0,
        result: "no-answer".to_owned(),
        ago_ms: 4000,
        attempt: 7,
    };
    AttemptReport { peer, attempt: 7, via: "udp-relay".to_owned(), udp_blocked: false, attempts: vec![attempt] }
}

fn json(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_else(|error| panic!("{error}: {}", page.body))
}

/// Ports of the test's own.
const SOCKETS: &str = "web-listen = \"127.0.0.1:0\"\nquic-listen = \"127.0.0.1:0\"\nstun-listen = \"127.0.0.1:0\"\n\
                       relay-listen = \"127.0.0.1:0\"";
const PROBLEM: &str = "application/problem+json";
