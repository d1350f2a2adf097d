//! The page of a pair, and what can be asked of both ends from it.

use std::time::Duration;

use warren_proto::control::{PathReport, ToAgent};
use warren_proto::keys::NodeId;
use warren_rendezvous::actions;
use warren_rendezvous::domain::{Actor, Device, Role};

use crate::common::{Agent, Page, TestApp, Visitor, identity, lint, text};

/// A laptop and a NAS that are online, and a browser.
pub(super) struct Pair {
    pub(super) server: TestApp,
    pub(super) browser: Visitor,
    pub(super) devices: [Device; 2],
    pub(super) agents: [Agent; 2],
}

impl Pair {
    pub(super) async fn online() -> Self {
        let server = TestApp::with_settings(LOOPBACK).await;
        let addresses = server.serve().await;
        let browser = server.admin().await;
        let devices = [server.device("laptop", 1).await, server.device("nas", 2).await];
        let agents = [
            Agent::connect(addresses.control, devices[0].id, &identity(1)).await,
            Agent::connect(addresses.control, devices[1].id, &identity(2)).await,
        ];
        Self { server, browser, devices, agents }
    }

    pub(super) fn path(&self) -> String {
        format!("/pairs/{}/{}", self.devices[0].id, self.devices[1].id)
    }

    /// One of the two reports the path to the other.
    pub(super) async fn report(&mut self, end: usize, kind: &str, tx_bytes: u64) {
        let peer = self.devices[1 - end].id;
        let now = u64::try_from(self.server.app.now().since_epoch().as_millis()).unwrap();
        self.agents[end].report(report(peer, kind, tx_bytes, now)).await;
    }

    /// The page, once it says this.
    pub(super) async fn saying(&mut self, path: &str, words: &str) -> Page {
        for _ in 0..200 {
            let page = self.browser.get(path).await;
            if text(&page.body).contains(words) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} does not say {words}: {}", text(&self.browser.get(path).await.body));
    }
}

#[tokio::test]
async fn a_member_opens_the_pair_of_two_devices_of_their_own_and_no_other() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut member = server.person("mel", Role::Member).await;
    let mel = server.app.store().admin_by_name("mel").await.unwrap().unwrap();
    let actor = Actor::User { id: mel.id, name: mel.name };
    let mut own = Vec::new();
    for (hostname, key) in [("one", 1), ("two", 2)] {
        let request = actions::InviteRequest::default();
        let invite = actions::create_invite(&server.app, &actor, request).await.unwrap().invite;
        own.push(server.enrol(&invite, hostname, key).await.id);
    }
    let foreign = server.device("three", 3).await.id;
    let (ours, mixed) = (format!("/pairs/{}/two", own[0]), format!("/pairs/{}/{foreign}", own[0]));

    let page = member.get(&ours).await;
    let asked = member.submit(&page, &format!("/pairs/{}/{}/ping", own[0], own[1]), &[]).await;

    assert_eq!(
        (page.status, member.get(&mixed).await.status, member.get("/pairs/one/three").await.status),
        (200, 404, 404)
    );
    assert!(text(&page.body).contains("Ping now"), "{}", text(&page.body));
    assert!(asked.location().ends_with("done=offline"), "{}", asked.location());
    assert_eq!(member.submit(&page, &format!("{mixed}/ping"), &[]).await.status, 404);
}

#[tokio::test]
async fn two_devices_that_were_never_online_have_a_page_that_says_so() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    server.device("laptop", 1).await;
    server.device("nas", 2).await;

    for range in ["15m", "1h", "24h", "7d", "90d", "1y", "%3Cscript%3E"] {
        let page = browser.get(&format!("/pairs/laptop/nas?range={range}")).await;

        let shown = text(&page.body);
        assert_eq!(page.status, 200);
        assert!(shown.contains("laptop and nas are not connected to the rendezvous."), "{shown}");
        assert!(shown.contains("Nothing measured in this time") && !page.body.contains("<script>"));
        lint("/pairs", &page.body);
    }
    for path in ["/pairs/laptop/laptop", "/pairs/laptop/nobody", "/pairs/laptop/%3Cb%3E"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_pair_shows_its_paths_its_history_and_where_it_changed() {
    let mut pair = Pair::online().await;
    let path = pair.path();
    pair.report(1, "direct", 0).await;
    pair.report(0, "relay", 0).await;
    pair.saying(&path, "Packets go through the relay").await;
    pair.server.clock.advance(Duration::from_secs(15));

    pair.report(0, "direct", 3_000_000).await;
    let page = pair.saying(&path, "Packets go straight from device to device.").await;

    let shown = text(&page.body);
    assert!(shown.contains("198.51.100.7:41641") && shown.contains("over IPv4") && shown.contains("2.0 %"), "{shown}");
    assert!(shown.contains("laptop to nas: relay then direct"), "{shown}");
    assert!(shown.contains("1.6 Mb/s"), "{shown}");
    assert!(page.body.contains("class=\"mark direct\"") && page.body.contains("class=\"band relay\""));
    assert!(page.body.contains("data-name=\"laptop to nas\" data-unit=\"micros\""), "{}", page.body);
    lint(&path, &page.body);
    let turned = pair.browser.get("/pairs/nas/laptop?range=15m").await;
    assert!(text(&turned.body).contains("nas and laptop"));
    let device = pair.browser.get(&format!("/devices/{}", pair.devices[0].id)).await;
    assert!(device.body.contains(&format!("href=\"{path}\"")) && text(&device.body).contains("Traffic 15m 1h"));
    assert!(text(&device.body).contains("UDPgets through"), "{}", text(&device.body));
    lint("/devices/{id}", &device.body);
}

#[tokio::test]
async fn both_ends_ping_and_what_they_hear_shows() {
    let mut pair = Pair::online().await;
    let path = pair.path();
    let page = pair.browser.get(&path).await;

    let asked = pair.browser.submit(&page, &format!("{path}/ping"), &[("range", "24h")]).await;
    assert_eq!((asked.status, asked.location()), (303, format!("{path}?range=24h#pings").as_str()));
    pair.saying(&path, "From nas5 of 5 answered, mean 11 ms, over IPv4").await;
    pair.saying(&path, "From laptop5 of 5 answered").await;

    let again = pair.browser.submit(&page, &format!("{path}/ping"), &[]).await;
    assert_eq!(again.location(), format!("{path}?range=1h&done=too-soon"));
    let told = pair.browser.get(again.location()).await;
    assert!(text(&told.body).contains("asked for a moment ago"));
}

#[tokio::test]
async fn both_ends_are_asked_to_retry_and_are_watched_while_somebody_looks() {
    let mut pair = Pair::online().await;
    let path = pair.path();
    let page = pair.browser.get(&path).await;

    let asked = pair.browser.submit(&page, &format!("{path}/retry"), &[]).await;

    assert_eq!(asked.location(), format!("{path}?range=1h&done=retried"));
    pair.saying(asked.location(), "Both look for a direct path now.").await;
    let [laptop, nas] = [pair.devices[0].id, pair.devices[1].id];
    for (agent, peer) in pair.agents.iter().zip([nas, laptop]) {
        let got = asked_by(agent, &ToAgent::Retry(peer)).await;
        assert!(
            got.iter().any(|one| matches!(one, ToAgent::Watch { peer: watched, .. } if *watched == peer)),
            "{got:?}"
        );
    }
    let forged = pair.browser.post(&format!("{path}/retry"), &[]).await;
    assert_eq!(forged.status, 403);
}

#[tokio::test]
async fn a_pair_that_is_away_cannot_be_asked() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (a, b) = (server.device("laptop", 1).await.id, server.device("nas", 2).await.id);
    let page = browser.get("/pairs/laptop/nas").await;

    for verb in ["ping", "retry"] {
        let asked = browser.submit(&page, &format!("/pairs/{a}/{b}/{verb}"), &[]).await;

        assert_eq!(asked.location(), format!("/pairs/{a}/{b}?range=1h&done=offline"));
    }
    assert!(actions::retry_pair(&server.app, &Actor::Cli, [a, b]).await.is_err());
}

/// What an agent was asked, once this is among it.
async fn asked_by(agent: &Agent, wanted: &ToAgent) -> Vec<ToAgent> {
    for _ in 0..100 {
        if agent.asked().contains(wanted) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let asked = agent.asked();
    assert!(asked.contains(wanted), "{asked:?}");
    asked
}

fn report(peer: NodeId, kind: &str, tx_bytes: u64, now: u64) -> PathReport {
    let is_direct = kind == "direct";
    PathReport {
        peer,
        kind: kind.to_owned(),
        via: if is_direct { "ipv4" } else { "udp-relay" }.to_owned(),
        remote: is_direct.then(|| "198.51.100.7:41641".parse().unwrap()),
        rtt_us: if is_direct { 12_400 } else { 41_300 },
        mtu: 1466,
        since_unix_ms: now,
        rx_bytes: 0,
        tx_bytes,
        reason_code: if is_direct { "direct" } else { "no-answer" }.to_owned(),
        rx_packets: 0,
        tx_packets: 0,
        probes: 50,
        probes_lost: 1,
    }
}

/// Every socket on the loopback.
pub(super) const LOOPBACK: &str = "
    web-listen = \"127.0.0.1:0\"
    quic-listen = \"127.0.0.1:0\"
    stun-listen = \"127.0.0.1:0\"
    relay-listen = \"127.0.0.1:0\"
";
