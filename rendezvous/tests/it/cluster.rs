//! Several servers over one PostgreSQL, as processes of their own: devices of different servers meet, a killed server is
//! missed and replaced, a stopping one sends its devices away. Only where `WARREN_TEST_POSTGRES` names a server.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sqlx::Executor as _;
use uuid::Uuid;
use warren_proto::control::{CandidateSet, Invite, PairOpened, PathReport, Servers, ToAgent, ToServer};
use warren_proto::keys::{NodeId, UnixTime};
use warren_rendezvous::domain::history::{Span, Way};
use warren_rendezvous::store::{Store, Webhook};

use crate::control::agent::{Agent, Joined};

#[tokio::test]
async fn two_devices_of_different_servers_meet_on_one_relay_which_forwards_between_them() {
    let Some(cluster) = Cluster::of(2).await else { return };
    let (mut anna, mut bert) = (cluster.enrol(0, 1).await, cluster.enrol(1, 2).await);
    let ids = [anna.node(), bert.node()];
    // the higher id asks, whose server does not own the pair; then the other one's candidates must come all the way
    anna.agent.send(&ToServer::Candidates(CandidateSet::default())).await;
    bert.agent.send(&ToServer::Candidates(CandidateSet::default())).await;

    bert.agent.send(&ToServer::Connect(ids[0])).await;

    let (of_anna, of_bert) = (opened(&mut anna).await, opened(&mut bert).await);
    assert_eq!((of_anna.peer, of_bert.peer), (ids[1], ids[0]));
    assert_eq!((of_anna.relay, of_anna.attempt), (of_bert.relay, of_bert.attempt));
    for side in [&mut anna, &mut bert] {
        side.agent.until(|message| matches!(message, ToAgent::PeerCandidates { .. }).then_some(())).await;
        side.agent.until(|message| matches!(message, ToAgent::Start(_)).then_some(())).await;
    }
    let [here, there] = [bound(&anna, &of_anna), bound(&bert, &of_bert)];
    here.send_to(&frame(of_anna.channel, b"hello"), of_anna.relay).unwrap();
    let mut heard = [0; 64];
    let (length, _) = there.recv_from(&mut heard).unwrap();
    assert_eq!(heard[..length], frame(of_bert.channel, b"hello"));
}

#[tokio::test]
async fn when_a_server_is_killed_its_devices_are_missed_come_back_elsewhere_and_meet_again() {
    let Some(mut cluster) = Cluster::of(3).await else { return };
    let (mut anna, mut bert) = (cluster.enrol(0, 1).await, cluster.enrol(1, 2).await);
    let bert_id = bert.node();
    sees(&mut anna, bert_id, true).await;
    anna.agent.send(&ToServer::Connect(bert_id)).await;
    opened(&mut anna).await;

    cluster.servers[1].child.kill().unwrap();
    let killed = Instant::now();
    sees(&mut anna, bert_id, false).await;
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    bert = cluster.hello(2, 2, bert_id).await;

    sees(&mut anna, bert_id, true).await;
    let (of_anna, of_bert) = (opened(&mut anna).await, opened(&mut bert).await);
    assert_eq!(of_anna.relay, of_bert.relay);
    assert_eq!(bert.servers.unwrap().servers.len(), 2, "the dead one is not told of");
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_sends_its_devices_to_the_others_and_ends_well() {
    let Some(mut cluster) = Cluster::of(2).await else { return };
    let mut anna = cluster.enrol(0, 1).await;

    cluster.servers[0].signal("-TERM");

    let told = anna.agent.until(|message| servers(message).filter(|told| told.leave)).await;
    assert_eq!(told.servers, [cluster.servers[1].control.to_string()]);
    let again = cluster.hello(1, 1, anna.node()).await;
    drop(anna);
    let ended = tokio::task::spawn_blocking(move || cluster.servers[0].child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    drop(again);
}

#[tokio::test]
async fn what_one_server_commits_the_devices_of_another_hear_at_once() {
    let Some(cluster) = Cluster::of(2).await else { return };
    let mut anna = cluster.enrol(0, 1).await;

    let began = Instant::now();
    let bert = cluster.enrol(1, 2).await;
    sees(&mut anna, bert.node(), true).await;

    // the poll that would find it without a notice comes every five seconds
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_webhook_is_told_each_thing_once_and_one_thing_at_a_time_by_all_servers_together() {
    let Some(cluster) = Cluster::of(2).await else { return };
    let store = Store::open(&cluster.url.parse().unwrap()).await.unwrap();
    let receiver = Receiver::start().await;
    let mut tx = store.begin().await.unwrap();
    tx.insert_webhook(&receiver.webhook()).await.unwrap();
    tx.commit().await.unwrap();

    // each of the two is woken by what it enrols itself
    let mut devices = Vec::new();
    for key in 1..=8 {
        devices.push(cluster.enrol(usize::from(key % 2), key).await);
    }
    let told = receiver.wait_for(8).await;
    until_empty(&store, receiver.id).await;

    let once: BTreeSet<&String> = told.iter().collect();
    assert_eq!((once.len(), receiver.told().len()), (8, 8), "{told:?}");
    assert_eq!(receiver.most_at_once(), 1);
    assert_eq!(store.webhook_attempts(receiver.id, 50).await.unwrap().len(), 8);
}

#[tokio::test]
async fn what_a_device_reports_of_its_paths_is_written_down_by_one_server() {
    let Some(mut cluster) = Cluster::of(2).await else { return };
    let (mut anna, bert) = (cluster.enrol(0, 1).await, cluster.enrol(1, 2).await);
    let way = Way { from: anna.node(), to: bert.node() };
    sees(&mut anna, way.to, true).await;
    for tx_bytes in [1_000, 5_000] {
        anna.agent.send(&ToServer::PathReport(report(way.to, tx_bytes))).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    // a server that stops writes down what it holds, and waits for devices that are still there
    drop((anna, bert));
    for server in &cluster.servers {
        server.signal("-TERM");
    }
    for server in &mut cluster.servers {
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }

    let store = Store::open(&cluster.url.parse().unwrap()).await.unwrap();
    let points = store.path_points(way, Span::Fine, UnixTime::from_secs(0)).await.unwrap();
    let measured: u64 = points.iter().filter_map(|point| point.sample.rtts).map(|rtts| rtts.count).sum();
    let sent: u64 = points.iter().map(|point| point.sample.tx_bytes).sum();
    assert_eq!((measured, sent), (2, 4_000));
}

#[tokio::test]
async fn a_server_with_another_key_does_not_become_one_of_them() {
    let Some(cluster) = Cluster::of(1).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let stranger = dir.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    std::fs::copy(cluster.dir.path().join("0/network.key"), stranger.join("network.key")).unwrap();

    let output = command(&stranger, &cluster.url).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    let reason = String::from_utf8(output.stderr).unwrap();
    assert!(reason.contains("copy server.key and network.key"), "{reason}");
}

/// Servers with one database and the same keys.
struct Cluster {
    servers: Vec<Server>,
    url: String,
    invite: Invite,
    dir: tempfile::TempDir,
}

struct Server {
    child: Child,
    control: SocketAddr,
}

/// A web server that takes its time and notes what it is told.
struct Receiver {
    id: Uuid,
    address: SocketAddr,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    told: Vec<String>,
    at_once: usize,
    most_at_once: usize,
}

impl Receiver {
    async fn start() -> Self {
        let noted = Arc::new(Mutex::new(Noted::default()));
        let router = Router::new().route("/", post(hook)).with_state(Arc::clone(&noted));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { id: Uuid::new_v4(), address, noted }
    }

    fn webhook(&self) -> Webhook {
        Webhook {
            id: self.id,
            name: "chat".to_owned(),
            url: format!("http://{}/", self.address),
            events: vec!["device.enrol".to_owned()],
            enabled: true,
            generation: 1,
            created_by: "cli".to_owned(),
            created_at: UnixTime::from_secs(1),
            dropped: 0,
            last: None,
        }
    }

    fn told(&self) -> Vec<String> {
        self.noted.lock().unwrap().told.clone()
    }

    fn most_at_once(&self) -> usize {
        self.noted.lock().unwrap().most_at_once
    }

    async fn wait_for(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        while self.told().len() < count {
            assert!(began.elapsed() < Duration::from_secs(40), "{:?}", self.told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.told()
    }
}

async fn hook(State(noted): State<Arc<Mutex<Noted>>>, headers: HeaderMap) -> StatusCode {
    {
        let mut noted = noted.lock().unwrap();
        noted.told.push(headers["warren-delivery"].to_str().unwrap().to_owned());
        noted.at_once += 1;
        noted.most_at_once = noted.most_at_once.max(noted.at_once);
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    noted.lock().unwrap().at_once -= 1;
    StatusCode::NO_CONTENT
}

async fn until_empty(store: &Store, webhook: Uuid) {
    for _ in 0..200 {
        if store.waiting_deliveries(webhook).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was delivered still waits");
}

fn report(peer: NodeId, tx_bytes: u64) -> PathReport {
    PathReport {
        peer,
        kind: "direct".to_owned(),
        via: "ipv4".to_owned(),
        remote: Some("203.0.113.9:40000".parse().unwrap()),
        rtt_us: 12_000,
        mtu: 1466,
        since_unix_ms: 1,
        rx_bytes: 0,
        tx_bytes,
        reason_code: "direct".to_owned(),
        rx_packets: 0,
        tx_packets: 0,
        probes: 0,
        probes_lost: 0,
    }
}

/// A device at one of them.
struct Attached {
    agent: Agent,
    joined: Device,
    servers: Option<Servers>,
}

struct Device {
    node: NodeId,
    token: [u8; 16],
    relay: SocketAddr,
}

impl Attached {
    fn node(&self) -> NodeId {
        self.joined.node
    }
}

impl Cluster {
    /// Starts so many and waits until they know of each other; `None` where there is no PostgreSQL.
    async fn of(count: usize) -> Option<Self> {
        let server = std::env::var_os("WARREN_TEST_POSTGRES")?.into_string().unwrap();
        let name = format!("warren_cluster_{}", uuid::Uuid::new_v4().simple());
        let admin = sqlx::PgPool::connect(&server).await.unwrap();
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        admin.close().await;
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("0");
        let mut servers = vec![Server::start(&first, &url)];
        for number in 1..count {
            let own = dir.path().join(number.to_string());
            std::fs::create_dir(&own).unwrap();
            for key in ["server.key", "network.key"] {
                std::fs::copy(first.join(key), own.join(key)).unwrap();
            }
            servers.push(Server::start(&own, &url));
        }
        let output = command_of(&first, &url, &["key", "create", "--reusable"]).output().unwrap();
        let invite = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let cluster = Self { servers, url, invite, dir };
        cluster.linked(count).await;
        Some(cluster)
    }

    /// Until each tells a device of all of them.
    async fn linked(&self, count: usize) {
        for server in 0..count {
            let mut probe = self.enrol(server, 100 + u8::try_from(server).unwrap()).await;
            if count > 1 && probe.servers.as_ref().is_none_or(|told| told.servers.len() < count) {
                probe.agent.until(|message| servers(message).filter(|told| told.servers.len() == count)).await;
            }
            probe.agent.send(&ToServer::Logout).await;
            while probe.agent.next().await.is_some() {}
        }
    }

    fn at(&self, server: usize) -> Invite {
        Invite { servers: vec![self.servers[server].control.to_string()], ..self.invite.clone() }
    }

    async fn enrol(&self, server: usize, key: u8) -> Attached {
        attached(Agent::enrol(&self.at(server), key, &format!("device-{key}")).await.unwrap())
    }

    async fn hello(&self, server: usize, key: u8, node: NodeId) -> Attached {
        attached(Agent::hello(&self.at(server), key, node, 0).await.unwrap())
    }
}

impl Server {
    fn start(dir: &Path, url: &str) -> Self {
        let mut child = command(dir, url).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let ready = lines.find(|line| line.starts_with("ready")).expect("the server gets ready");
        std::thread::spawn(move || lines.for_each(drop));
        let control = ready.split(' ').find_map(|word| word.strip_prefix("quic=")).unwrap().parse().unwrap();
        Self { child, control }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, url: &str) -> Command {
    let services = ["web", "quic", "stun", "relay", "replica"].map(|name| format!("--{name}-listen=127.0.0.1:0"));
    let mut command = command_of(dir, url, &["run", "--public-addr", "127.0.0.1"]);
    command.args(services).args(["--metrics-listen", "off", "--webhook-allow", "127.0.0.0/8"]);
    command
}

fn command_of(dir: &Path, url: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren-rendezvous"));
    command.env_clear().env("WARREN_DATA_DIR", dir).env("WARREN_DATABASE_URL", url).args(words);
    command
}

fn attached(joined: Joined) -> Attached {
    let Joined { agent, welcome, servers, .. } = joined;
    let certificate = welcome.certificate.clone();
    let network = &welcome.network;
    let now = warren_proto::keys::UnixTime::from_secs(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    let verified =
        warren_proto::certificate::VerifiedCertificate::verify(&certificate, &network.id, &network.signing_key, now);
    let relay = &welcome.relays[0];
    let joined = Device { node: verified.unwrap().node, token: relay.token, relay: relay.addr };
    Attached { agent, joined, servers }
}

fn servers(message: ToAgent) -> Option<Servers> {
    if let ToAgent::Servers(servers) = message { Some(servers) } else { None }
}

async fn opened(device: &mut Attached) -> PairOpened {
    let mut told = device.servers.clone();
    loop {
        let message = device.agent.next().await.expect("the connection stays");
        if let ToAgent::Servers(servers) = message {
            told = Some(servers);
        } else if let ToAgent::PairOpened(pair) = message {
            let others = told.iter().flat_map(|told| &told.relays);
            let known = others.map(|relay| relay.addr).chain([device.joined.relay]).any(|relay| relay == pair.relay);
            assert!(known, "the channel is at a relay that it was told of");
            device.servers = told;
            return pair;
        }
    }
}

/// Waits until the device is told of its peer's presence.
async fn sees(device: &mut Attached, peer: NodeId, online: bool) {
    let named = |message| {
        let ToAgent::Map(map) = message else { return None };
        let is_peer = |entry: &warren_proto::control::Peer| {
            entry.online == online && entry.certificate.windows(16).any(|part| part == peer.as_bytes())
        };
        map.peers.iter().any(is_peer).then_some(())
    };
    device.agent.until(named).await;
}

/// A socket that the device has bound at the relay of its channel.
fn bound(device: &Attached, pair: &PairOpened) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&frame(0, &[&[1][..], &device.joined.token].concat()), pair.relay).unwrap();
    let mut answer = [0; 64];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    assert_eq!(answer[..length], frame(0, &[2]), "the relay knows the token");
    socket
}

fn frame(channel: u32, payload: &[u8]) -> Vec<u8> {
    [&[0x0c, 1, 0, 0], &channel.to_be_bytes()[..], payload].concat()
}
