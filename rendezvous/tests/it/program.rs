//! The program as a script or a container meets it: settings, output, exit codes, signals, kill -9.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use warren_proto::control::{Invite, ToServer};
use warren_proto::keys::NodeId;

use crate::control::agent::Agent;

/// The program, in a world without settings of anybody's.
fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren-rendezvous"));
    command.env_clear().env("WARREN_DATA_DIR", dir).args(arguments);
    command
}

pub(crate) fn output(dir: &Path, arguments: &[&str]) -> Output {
    program(dir, arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server on ports of its own, killed when the test is done with it.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) ready: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    fn start(dir: &Path) -> Self {
        Self::start_at(dir, "127.0.0.1:0")
    }

    fn start_at(dir: &Path, quic: &str) -> Self {
        Self::start_with(dir, quic, &[])
    }

    pub(crate) fn start_with(dir: &Path, quic: &str, more: &[&str]) -> Self {
        let mut child =
            // by the environment, so that a flag may say otherwise
            program(dir, &["run", "--quic-listen", quic, "--stun-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"])
                .env("WARREN_PUBLIC_ADDR", "127.0.0.1")
                .env("WARREN_WEB_LISTEN", "127.0.0.1:0")
                .env("WARREN_METRICS_LISTEN", "127.0.0.1:0")
                .args(more)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let note = Arc::clone(&log);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(move |line| {
            let line = line.unwrap();
            note.lock().unwrap().push_str(&(line.clone() + "\n"));
            line
        });
        let ready = lines.find(|line| line.starts_with("ready")).expect("the server gets ready");
        // keeps the pipe open and empty
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, ready, log }
    }

    /// The address after this name in the line that says that it is ready.
    pub(crate) fn addr(&self, name: &str) -> SocketAddr {
        let (_, rest) = self.ready.split_once(&format!(" {name}=")).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    }

    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("the server does not end");
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
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

#[test]
fn a_flag_beats_the_environment_beats_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rendezvous.toml");
    std::fs::write(&file, "public-addr = \"file.example\"\nrelay-listen = \"0.0.0.0:1\"\nstun_listen = \"0.0.0.0:1\"")
        .unwrap();
    let shown = |arguments: &[&str]| {
        let mut command = program(dir.path(), &["check-config", "--config", file.to_str().unwrap()]);
        let output = command
            .env("WARREN_PUBLIC_ADDR", "env.example")
            .env("WARREN_RELAY_LISTEN", "0.0.0.0:2")
            .args(arguments)
            .output()
            .unwrap();
        text(&output.stdout)
    };

    let config = shown(&["--public-addr", "flag.example"]);

    assert!(config.contains("public-addr = \"flag.example\""), "{config}");
    assert!(config.contains("relay-listen = \"0.0.0.0:2\""), "{config}");
    assert!(config.contains("stun-listen = \"0.0.0.0:1\""), "{config}");
    assert!(config.contains("web-listen = \"0.0.0.0:443\""), "{config}");
}

#[test]
fn check_config_says_where_each_value_comes_from_and_keeps_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let (file, url) = (dir.path().join("rendezvous.toml"), dir.path().join("url"));
    std::fs::write(&url, "postgres://warren:sesame@db.example/warren\n").unwrap();
    std::fs::write(&file, format!("\nrelay-offload = \"off\"\ndatabase-url-file = {url:?}\n")).unwrap();
    let output = program(dir.path(), &["check-config", "--tls", "proxy", "--config", file.to_str().unwrap()])
        .env("WARREN_LOG_FORMAT", "json")
        .output()
        .unwrap();

    let shown = text(&output.stdout);
    let line = |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{shown}"));

    assert!(line("relay-offload = \"off\"").ends_with(&format!("# {} line 2", file.display())), "{shown}");
    assert!(line("tls = \"proxy\"").ends_with("# flag"), "{shown}");
    assert!(line("log-format = \"json\"").ends_with("# environment"), "{shown}");
    assert!(line("data-dir").ends_with("# environment"), "{shown}");
    assert!(line("stun-listen = \"0.0.0.0:3478\"").ends_with("# default"), "{shown}");
    assert!(line("# database-url = \"postgres://db.example/warren\"").contains("line 3"), "{shown}");
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn a_setting_that_makes_no_sense_is_found_by_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rendezvous.toml");

    for (content, reason) in [
        ("\n\ntls = \"file\"\n", "line 3"),
        ("\nstun-listen = \"nowhere\"\n", "line 2"),
        ("\nmetrics-listen = \"on\"\n", "line 2"),
        ("\n\n\nweb_lissten = \"0.0.0.0:1\"\n", "line 4"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = output(dir.path(), &["check-config", "--config", file.to_str().unwrap()]);

        assert_eq!(output.status.code(), Some(1), "{content}");
        assert!(text(&output.stderr).contains(reason), "{content}: {}", text(&output.stderr));
    }
}

#[test]
fn prometheus_reads_a_listener_of_its_own_unless_that_is_off() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());

    let page = get(server.addr("metrics"), "/metrics");
    let elsewhere = get(server.addr("metrics"), "/devices");
    let off = Server::start_with(&dir.path().join("off"), "127.0.0.1:0", &["--metrics-listen", "off"]);

    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(page.contains("content-type: application/openmetrics-text"), "{page}");
    assert!(page.contains("\nwarren_rendezvous_agents_connected 0"), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
    assert!(off.ready.contains(" metrics=off "), "{}", off.ready);
}

#[test]
fn systemd_is_told_of_the_beginning_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut child =
        program(&dir.path().join("data"), &["run", "--metrics-listen", "off", "--web-listen", "127.0.0.1:0"])
            .args(["--quic-listen", "127.0.0.1:0", "--stun-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    let heard = |wanted: &str| {
        let mut buffer = [0; 256];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if str::from_utf8(&buffer[..length]).unwrap().starts_with(wanted) {
                return;
            }
        }
    };

    heard("READY=1\nSTATUS=serving https://");
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    heard("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_holds_a_secret_however_much_is_logged() {
    for format in ["text", "json"] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start_with(dir.path(), "127.0.0.1:0", &["--log", "trace", "--log-format", format]);
        let word = text(&output(dir.path(), &["key", "create"]).stdout).trim().to_owned();
        let invite: Invite = word.parse().unwrap();
        let joined = Agent::enrol(&invite, 1, "node").await.unwrap();
        let token = joined.welcome.relays[0].token;
        get(server.addr("metrics"), "/metrics");
        drop(joined);

        let log = server.log.lock().unwrap().clone();

        assert!(log.contains("is online"), "{log}");
        if format == "json" {
            let line = log.lines().find(|line| line.contains("is online")).unwrap();
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["level"] == "INFO"),
                "{line}"
            );
        }
        let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let keys = files.filter(|path| path.extension().is_some_and(|extension| extension == "key"));
        let mut secrets: Vec<Vec<u8>> = keys.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(!secrets.is_empty());
        secrets.extend([invite.secret.to_vec(), token.to_vec()]);
        assert!(!log.contains(&word));
        for secret in &secrets {
            for shown in spellings(secret) {
                assert!(!log.contains(&shown), "a secret of {} bytes is in the log as {shown}", secret.len());
            }
        }
    }
}

/// The ways in which a log might show bytes.
fn spellings(secret: &[u8]) -> Vec<String> {
    use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
    let encodings = [BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER];
    let debug = format!("{secret:?}");
    let mut shown: Vec<String> = encodings.iter().map(|encoding| encoding.encode(secret)).collect();
    // the last letters of an encoding may also hold what follows
    shown.iter_mut().for_each(|text| text.truncate(text.len() - 2));
    shown.push(debug.trim_matches(['[', ']']).to_owned());
    shown.extend(str::from_utf8(secret).ok().map(|text| text.trim().to_owned()).filter(|text| text.len() > 8));
    shown
}

pub(crate) fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn mistakes_end_with_a_reason_and_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let unknown = dir.path().join("unknown.toml");
    std::fs::write(&unknown, "data-dri = \"/x\"").unwrap();
    let damaged = dir.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("warren.db"), [0x5a; 8192]).unwrap();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();

    for (arguments, code, reason) in [
        (vec!["run", "--frobnicate"], 2, "--frobnicate"),
        (vec!["run", "--web-listen", "443"], 2, "--web-listen"),
        (vec!["key", "create", "--expires", "soon"], 2, "--expires"),
        (vec!["run", "--tls", "auto"], 1, "--tls auto"),
        (vec!["run", "--config", "/nonexistent"], 1, "/nonexistent"),
        (vec!["run", "--config", unknown.to_str().unwrap()], 1, "data-dri"),
        (vec!["run", "--data-dir", "/dev/null/x"], 1, "/dev/null/x"),
        (vec!["run", "--data-dir", damaged.to_str().unwrap()], 1, "not a database"),
        (vec!["run", "--quic-listen", &taken], 1, "in use"),
        (vec!["db", "status", "--database-url", "sqlite:///nonexistent/x.db"], 1, "no database"),
        (vec!["healthcheck", "--web-listen", "127.0.0.1:1"], 1, "127.0.0.1:1"),
        (vec!["db", "copy"], 2, "copy"),
        (vec!["backup", "create", "/nonexistent/x"], 1, "/nonexistent/x"),
        (vec!["backup", "restore", "/nonexistent/x"], 1, "/nonexistent/x"),
    ] {
        let output = output(&dir.path().join("data"), &arguments);
        let stderr = text(&output.stderr);

        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
    }
}

#[test]
fn an_invite_is_printed_alone_before_the_first_start_and_beside_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");

    let before = output(&data, &["key", "create", "--public-addr", "vpn.example.org"]);
    let server = Server::start(&data);
    let beside = output(&data, &["key", "create", "--reusable", "--expires", "1h", "--tag", "lab"]);

    let before: Invite = text(&before.stdout).strip_suffix('\n').unwrap().parse().unwrap();
    let beside: Invite = text(&beside.stdout).strip_suffix('\n').unwrap().parse().unwrap();
    assert_eq!(before.servers, ["vpn.example.org:443"]);
    assert!(server.ready.contains(&format!("quic={}", beside.servers[0])), "{} {beside:?}", server.ready);
    assert_eq!(before.pin, beside.pin);
}

#[test]
fn a_setup_link_is_printed_until_there_is_an_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "blue kettle of rain\n").unwrap();

    let link = output(dir.path(), &["setup-link", "--public-addr", "vpn.example.org"]);
    let made = output(dir.path(), &["admin", "create", "ada", "--password-file", password.to_str().unwrap()]);
    let again = output(dir.path(), &["setup-link"]);
    let twice = output(dir.path(), &["admin", "create", "ada", "--password-file", password.to_str().unwrap()]);

    assert!(text(&link.stdout).starts_with("https://vpn.example.org/setup#"), "{link:?}");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("admin create"));
    assert!(text(&twice.stderr).contains("an account of that name"));
}

#[test]
fn a_running_server_is_healthy_and_ends_cleanly_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start(dir.path());
        let web = server.ready.split_once("web=").unwrap().1.split(' ').next().unwrap().to_owned();

        server.signal("-HUP");
        let healthy = output(dir.path(), &["healthcheck", "--web-listen", &web]);
        server.signal(signal);
        let code = server.wait();
        let gone = output(dir.path(), &["healthcheck", "--web-listen", &web]);

        assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
        assert_eq!(code, Some(0), "{signal}");
        assert_eq!(gone.status.code(), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_minus_nine() {
    let dir = tempfile::tempdir().unwrap();
    let invite = |dir: &Path| -> Invite { text(&output(dir, &["key", "create"]).stdout).trim().parse().unwrap() };
    let mut server = Server::start(dir.path());
    let mut enrolled = Vec::new();
    for key in 1..=3 {
        let joined = Agent::enrol(&invite(dir.path()), key, "node").await.unwrap();
        enrolled.push(joined.welcome);
    }

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = Server::start(dir.path());

    for (key, before) in (1..=3).zip(&enrolled) {
        let network = &before.network;
        let now = warren_proto::keys::UnixTime::new(std::time::UNIX_EPOCH.elapsed().unwrap());
        let own = warren_proto::certificate::VerifiedCertificate::verify(
            &before.certificate,
            &network.id,
            &network.signing_key,
            now,
        )
        .unwrap();
        let again = Agent::hello(&invite(dir.path()), key, own.node, 0).await.unwrap();
        assert_eq!(again.welcome.certificate, before.certificate);
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_learns_at_its_next_word_that_the_server_was_killed_and_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let invite: Invite = text(&output(dir.path(), &["key", "create"]).stdout).trim().parse().unwrap();
    let mut agent = Agent::enrol(&invite, 1, "laptop").await.unwrap().agent;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = Server::start_at(dir.path(), &invite.servers[0]);

    // an acknowledgement or a probe of its own may be that word already
    agent.say(&ToServer::Connect(NodeId::new([9; 16]))).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), agent.connection.closed()).await;

    assert!(matches!(ended, Ok(quinn::ConnectionError::Reset)), "{ended:?}");
    drop(server);
}

#[test]
fn who_has_the_shell_lists_accounts_and_gives_one_another_password() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "blue kettle of rain\n").unwrap();
    let password = file.to_str().unwrap();
    assert!(output(dir.path(), &["admin", "create", "ada", "--password-file", password]).status.success());
    let create = ["admin", "create", "bob", "--role", "viewer", "--password-file", password];
    assert!(output(dir.path(), &create).status.success());

    let list = output(dir.path(), &["admin", "list"]);
    let reset = output(dir.path(), &["admin", "reset", "bob", "--password-file", password, "--drop-factors"]);
    let link = output(dir.path(), &["admin", "reset", "bob"]);
    let unknown = output(dir.path(), &["admin", "reset", "eve"]);

    assert_eq!(text(&list.stdout), "ada\towner\tactive\nbob\tviewer\tactive\n");
    assert!(reset.status.success());
    assert!(text(&link.stdout).starts_with("https://") && text(&link.stdout).contains("/reset#"));
    assert!(!unknown.status.success() && text(&unknown.stderr).contains("there is no account eve"));
}

#[test]
fn the_first_owner_is_made_from_settings_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "blue kettle of rain\n").unwrap();
    let settings = dir.path().join("rendezvous.toml");
    std::fs::write(&settings, format!("admin-name = \"ada\"\nadmin-password-file = {file:?}")).unwrap();
    let run = |name: &str| {
        let arguments = ["run", "--config", settings.to_str().unwrap(), "--admin-name", name];
        let sockets = ["--web-listen", "127.0.0.1:0", "--quic-listen", "127.0.0.1:0", "--stun-listen", "127.0.0.1:0"];
        let mut child = program(dir.path(), &arguments)
            .args(sockets)
            .args(["--public-addr", "127.0.0.1", "--relay-listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let before: Vec<String> = lines.take_while(|line| !line.starts_with("ready")).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        before.join("\n")
    };

    let first = run("ada");
    run("eve");

    assert!(!first.contains("/setup#"), "{first}");
    assert_eq!(text(&output(dir.path(), &["admin", "list"]).stdout), "ada\towner\tactive\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_moves_to_another_database_and_nobody_enrols_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let copy = format!("sqlite://{}", dir.path().join("copy.db").display());
    let to = crate::store::postgres().await.unwrap_or(copy);
    let mut server = Server::start(&data);
    let invite: Invite = text(&output(&data, &["key", "create"]).stdout).trim().parse().unwrap();
    let joined = Agent::enrol(&invite, 1, "laptop").await.unwrap().welcome;

    let refused = output(&data, &["db", "copy", "--to", &to]);
    server.signal("-TERM");
    assert_eq!(server.wait(), Some(0));
    let copied = output(&data, &["db", "copy", "--to", &to]);
    let again = output(&data, &["db", "copy", "--to", &to]);
    let _server = Server::start_with(&data, &invite.servers[0], &["--database-url", &to]);

    assert!(text(&refused.stderr).contains("stop it first"), "{refused:?}");
    assert!(copied.status.success() && text(&copied.stdout).contains("device: 1\n"), "{copied:?}");
    assert!(text(&again.stderr).contains("has a mesh in it already"), "{again:?}");
    let network = &joined.network;
    let now = warren_proto::keys::UnixTime::new(std::time::UNIX_EPOCH.elapsed().unwrap());
    let certificate = warren_proto::certificate::VerifiedCertificate::verify(
        &joined.certificate,
        &network.id,
        &network.signing_key,
        now,
    );
    let back = Agent::hello(&invite, 1, certificate.unwrap().node, 0).await.unwrap();
    assert_eq!(back.welcome.certificate, joined.certificate);
}
