//! The dashboard's certificate from an authority: against pebble, which is Let's Encrypt's own server for tests of clients. It
//! refuses some nonces at random, and asks a name server that leads every name to this machine.
//!
//! Skipped where pebble is not installed (Debian's package `pebble`).

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};

use crate::program::{Server, text};
use crate::store::databases;
use crate::tls::{page, served, wait_until};

#[tokio::test]
async fn one_server_gets_a_certificate_any_answers_for_it_all_serve_it_and_it_is_renewed_in_time() {
    let Some(authority) = Authority::start() else { return };
    // PostgreSQL where there is one, as for servers that share one certificate in earnest
    let (place, url) = databases().await.pop().unwrap();
    let url = match url {
        warren_rendezvous::store::DatabaseUrl::Postgres(url) => url,
        warren_rendezvous::store::DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
    };
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    let start = |dir: &Path, web: &str| {
        let more = [authority.flags().as_slice(), &["--web-listen", web, "--database-url", &url]].concat();
        Server::start_with(dir, "127.0.0.1:0", &more)
    };

    // nobody is where the authority asks: our own certificate is served, and it is said what is wrong
    let first = start(&one, "127.0.0.1:0");
    wait_until("a complaint", || first.log().contains("did not find this server at vpn.test"));
    assert!(page(&first).contains("warren_rendezvous_certificate_trouble 1"), "{}", page(&first));
    let own = served(&first);

    // the second server is there, and answers what the first one has been asked
    std::fs::create_dir(&two).unwrap();
    for key in ["server.key", "network.key"] {
        std::fs::copy(one.join(key), two.join(key)).unwrap();
    }
    let second = start(&two, &authority.asks_at);
    first.signal("-HUP");
    wait_until("a certificate", || served(&first) != own);
    let begun = Instant::now();
    let got = served(&first);
    assert!(authority.vouches_for(&second, &got, || second.signal("-HUP")), "{}", second.log());
    assert!(page(&first).contains("warren_rendezvous_certificate_trouble 0"), "{}", page(&first));

    // before its time nothing happens, whoever asks; in the last third of its life it is renewed
    second.signal("-HUP");
    first.signal("-HUP");
    std::thread::sleep((LIFE * 2 / 3 + Duration::from_secs(1)).saturating_sub(begun.elapsed()));
    assert_eq!(served(&first), got);
    second.signal("-HUP");
    wait_until("another certificate", || served(&second) != got);
    let renewed = served(&second);
    assert!(authority.vouches_for(&first, &renewed, || first.signal("-HUP")), "{}", first.log());
    for server in [&first, &second] {
        assert!(!server.log().contains("PRIVATE KEY"));
    }
    let orders = [&first, &second].map(|server| server.log().matches("getting a certificate").count());
    assert_eq!(orders.iter().sum::<usize>(), 3, "one in vain, two for both: {orders:?}");
}

/// An authority of the test's own, and the name server that it asks.
struct Authority {
    programs: Vec<Child>,
    dir: tempfile::TempDir,
    /// Who vouches for the authority itself: it does.
    ca: String,
    directory: String,
    /// Where it looks for who serves a name.
    asks_at: String,
    roots_at: String,
}

impl Authority {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(dir.path().join("certificate.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        let [listen, management, web] = std::array::from_fn(|_| free_tcp());
        let names = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let port = |addr: &str| addr.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": listen, "managementListenAddress": management,
            "certificate": dir.path().join("certificate.pem"), "privateKey": dir.path().join("key.pem"),
            "httpPort": 1, "tlsPort": port(&web), "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "certificateValidityPeriod": LIFE.as_secs(),
        }});
        std::fs::write(dir.path().join("pebble.json"), config.to_string()).unwrap();
        let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let resolver = quiet(
            Command::new("pebble-challtestsrv")
                .args(["-dns01", &names, "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-management", "127.0.0.1:0"]),
        );
        let Ok(resolver) = resolver else {
            eprintln!("skipped: pebble is not installed");
            return None;
        };
        let config = dir.path().join("pebble.json");
        let pebble = quiet(
            Command::new("pebble")
                .args(["-config", config.to_str().unwrap(), "-dnsserver", &names])
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", "20"),
        );
        let programs = vec![pebble.unwrap(), resolver];
        let localhost = |addr: &str| format!("https://localhost:{}", port(addr));
        let (directory, roots_at) = (localhost(&listen) + "/dir", localhost(&management) + "/roots/0");
        let ca = dir.path().join("certificate.pem").to_str().unwrap().to_owned();
        let authority = Self { programs, dir, ca, directory, asks_at: web, roots_at };
        wait_until("the authority", || authority.fetch(&authority.directory).is_some());
        Some(authority)
    }

    fn flags(&self) -> Vec<&str> {
        let flags = ["--tls", "auto", "--public-url", "https://vpn.test", "--acme-email", "ada@vpn.test"];
        [&flags, ["--acme-directory", &self.directory, "--acme-ca", &self.ca].as_slice()].concat()
    }

    /// Whether this server comes to serve this certificate, and a browser that knows the authority takes it for the name.
    fn vouches_for(&self, server: &Server, certificate: &[u8], reload: impl Fn()) -> bool {
        reload();
        wait_until("the shared certificate", || served(server).as_ref() == certificate);
        let roots = self.dir.path().join("roots.pem");
        std::fs::write(&roots, self.fetch(&self.roots_at).unwrap()).unwrap();
        let addr = server.addr("web");
        let answer = Command::new("curl")
            .args(["--silent", "--show-error", "--resolve", &format!("vpn.test:{}:127.0.0.1", addr.port()), "--cacert"])
            .arg(&roots)
            .arg(format!("https://vpn.test:{}/healthz", addr.port()))
            .output()
            .unwrap();
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        true
    }

    fn fetch(&self, url: &str) -> Option<Vec<u8>> {
        let answer = Command::new("curl").args(["--silent", "--fail", "--cacert", &self.ca, url]).output().unwrap();
        answer.status.success().then_some(answer.stdout)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn free_tcp() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Of its certificates: long enough for a test on a busy machine, short enough to wait for its last third.
const LIFE: Duration = Duration::from_secs(30);
