//! A rendezvous of the test's own: a fresh data directory, a clock that stands still until told.
//!
//! Its database is SQLite, or PostgreSQL with `WARREN_TEST_ENGINE=postgres` beside `WARREN_TEST_POSTGRES`.

mod agent;
mod html;
mod provider;
mod visitor;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tempfile::TempDir;
use warren_proto::certificate::IdentitySecret;
use warren_proto::control::Invite;
use warren_proto::keys::{StaticPublic, UnixTime};
use warren_rendezvous::actions::{self, Enrolment, InviteRequest};
use warren_rendezvous::app::App;
use warren_rendezvous::auth::password;
use warren_rendezvous::clock::{Clock, SystemClock};
use warren_rendezvous::config::{Config, Settings};
use warren_rendezvous::domain::{Actor, Device, Role};
use warren_rendezvous::router::router;

use crate::store::postgres;

pub(crate) use agent::Agent;
pub(crate) use html::{attribute, lint, text};
pub(crate) use provider::Provider;
pub(crate) use visitor::{Page, Visitor, read};

/// The password of `TestApp::admin`.
pub(crate) const PASSWORD: &str = "blue kettle of rain";

/// The server under test.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) clock: MockClock,
    pub(crate) router: Router,
    _dir: TempDir,
}

/// Where a serving rendezvous is.
pub(crate) struct Addresses {
    pub(crate) web: SocketAddr,
    pub(crate) control: SocketAddr,
}

/// The identity of the device that `TestApp::enrol` makes with this key.
pub(crate) fn identity(key: u8) -> IdentitySecret {
    IdentitySecret::new(&[key; 32])
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct MockClock(Arc<Mutex<UnixTime>>);

impl Clock for MockClock {
    fn now(&self) -> UnixTime {
        *self.0.lock().unwrap()
    }
}

impl MockClock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(by);
    }
}

impl TestApp {
    /// As `warren-rendezvous run` with TLS of its own.
    pub(crate) async fn new() -> Self {
        Self::with_settings("").await
    }

    /// With more lines of a settings file.
    pub(crate) async fn with_settings(lines: &str) -> Self {
        Self::open(lines, UnixTime::from_secs(1_795_436_311)).await
    }

    /// With more lines of a settings file, beginning at this moment, for a browser that has a clock of its own.
    pub(crate) async fn at_present(lines: &str) -> Self {
        Self::open(lines, SystemClock.now()).await
    }

    /// Behind a container's bridge, with nothing said of how the world reaches it.
    pub(crate) async fn in_container() -> Self {
        let dir = TempDir::new().unwrap();
        let text = format!("data-dir = {:?}", dir.path().join("data"));
        let mut config = toml::from_str::<Settings>(&text).unwrap().resolve().unwrap();
        config.bridge = Some([172, 18, 0, 1].into());
        Self::start(dir, config, UnixTime::from_secs(1_795_436_311)).await
    }

    async fn open(lines: &str, now: UnixTime) -> Self {
        let dir = TempDir::new().unwrap();
        let engine = match std::env::var("WARREN_TEST_ENGINE").as_deref() {
            Ok("postgres") => postgres().await.map(|url| format!("database-url = {url:?}\n")),
            _ => None,
        };
        let text = format!(
            "data-dir = {:?}\npublic-addr = \"vpn.example.org\"\nmetrics-listen = \"off\"\n{}{lines}",
            dir.path().join("data"),
            engine.unwrap_or_default(),
        );
        let config = toml::from_str::<Settings>(&text).unwrap().resolve().unwrap();
        Self::start(dir, config, now).await
    }

    async fn start(dir: TempDir, config: Config, now: UnixTime) -> Self {
        let clock = MockClock(Arc::new(Mutex::new(now)));
        let app = App::open(config, clock.clone(), [7; 32]).await.unwrap();
        let router = router(app.clone());
        Self { app, clock, router, _dir: dir }
    }

    /// The same server, stopped and started.
    pub(crate) async fn restart(self) -> Self {
        let config = self.app.config().clone();
        self.app.store().close().await;
        let app = App::open(config, self.clock.clone(), [8; 32]).await.unwrap();
        let router = router(app.clone());
        Self { app, router, ..self }
    }

    /// Opens every socket, as `run` does, for as long as the test runs.
    pub(crate) async fn serve(&self) -> Addresses {
        let (announce, ready) = tokio::sync::oneshot::channel();
        let app = self.app.clone();
        tokio::spawn(async move {
            let announce = |line: &str| announce.send(line.to_owned()).unwrap();
            warren_rendezvous::commands::serve(&app, std::future::pending(), announce).await.unwrap();
        });
        let line = ready.await.unwrap();
        let address = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=")).unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        Addresses { web: address("web"), control: address("quic") }
    }

    /// A browser that has not been here before.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(self.router.clone())
    }

    /// The fragment of a new setup link.
    pub(crate) async fn setup_token(&self) -> String {
        let link = actions::create_setup_token(&self.app).await.unwrap().unwrap();
        link.rsplit('#').next().unwrap().to_owned()
    }

    /// A browser in which the first administrator, ada, is signed in.
    pub(crate) async fn admin(&self) -> Visitor {
        let token = self.setup_token().await;
        let mut browser = self.visitor();
        let page = browser.get("/setup").await;
        let answer =
            browser.submit(&page, "/setup", &[("link", &token), ("name", "ada"), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }

    /// A browser in which somebody of this role is signed in, besides the first administrator.
    pub(crate) async fn person(&self, name: &str, role: Role) -> Visitor {
        let hash = password::hash(PASSWORD, &[7; 16]).unwrap();
        actions::create_admin(&self.app, &Actor::Cli, name, hash, role).await.unwrap();
        let mut browser = self.visitor();
        let answer = browser.sign_in(name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }

    /// A device that has enrolled with an invite of its own.
    pub(crate) async fn device(&self, hostname: &str, key: u8) -> Device {
        let invite = actions::create_invite(&self.app, &Actor::Cli, InviteRequest::default()).await.unwrap().invite;
        self.enrol(&invite, hostname, key).await
    }

    /// A device that enrols with this invite.
    pub(crate) async fn enrol(&self, invite: &Invite, hostname: &str, key: u8) -> Device {
        let enrolment = Enrolment {
            secret: invite.secret.to_vec(),
            identity_key: identity(key).public(),
            static_key: StaticPublic::new([key; 32]),
            hostname: hostname.to_owned(),
            os: "Debian GNU/Linux 13".to_owned(),
            agent_version: "0.1.0".to_owned(),
        };
        actions::enrol_device(&self.app, &enrolment).await.unwrap()
    }
}
