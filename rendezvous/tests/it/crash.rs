//! kill -9 at any moment, under load: what was acknowledged is there afterwards, on both engines.
//!
//! `WARREN_TEST_KILLS` says how often; the nightly run says 100.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use warren_proto::certificate::VerifiedCertificate;
use warren_proto::control::{Invite, Welcome};
use warren_proto::keys::{NodeId, UnixTime};
use warren_rendezvous::domain::DeviceState;
use warren_rendezvous::store::{DatabaseUrl, Store};

use crate::common::{PASSWORD, attribute};
use crate::control::agent::Agent;
use crate::program::{Server, output, text};
use crate::store::databases;

/// What the server has said is done, and what it may have done beyond that.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<BTreeMap<NodeId, Known>>>);

#[derive(Clone, Default)]
struct Known {
    names: Vec<String>,
    asked: Option<String>,
    is_revoked: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_is_there_after_every_kill() {
    let kills: u32 = std::env::var("WARREN_TEST_KILLS").map_or(10, |kills| kills.parse().unwrap());
    for (dir, url) in databases().await {
        let data = dir.path().join("data");
        let said = Said::default();
        for round in 0..kills {
            load_and_kill(&data, &url, &said, round).await;
            said.holds_in(&url, round).await;
        }
        let said = said.0.lock().unwrap();
        let revoked = said.values().filter(|device| device.is_revoked).count();
        let renamed = said.values().filter(|device| device.names.len() > 1).count();
        println!("{url}: {kills} kills, {} enrolments, {renamed} renamed, {revoked} revoked", said.len());
        assert!(said.len() >= kills as usize / 2 && renamed > 0, "there was no load");
    }
}

/// Serves devices and an administrator for a moment, which ends at once.
async fn load_and_kill(data: &Path, url: &DatabaseUrl, said: &Said, round: u32) {
    let raw = match url {
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        DatabaseUrl::Postgres(url) => url.clone(),
    };
    let database = ["--database-url", raw.as_str()];
    let password = data.with_extension("password");
    std::fs::write(&password, PASSWORD).unwrap();
    if round == 0 {
        let words = ["admin", "create", "ada", "--password-file", password.to_str().unwrap()];
        assert!(output(data, &[&words[..], &database].concat()).status.success());
    }
    let mut server = Server::start_with(data, "127.0.0.1:0", &[&database[..], &["--tls", "proxy"]].concat());
    let web = server.ready.split_once("web=").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    let invite = text(&output(data, &[&["key", "create", "--reusable"][..], &database].concat()).stdout);
    let invite: Invite = invite.trim().parse().unwrap();
    let browser = tokio::task::spawn_blocking(move || Browser::sign_in(web)).await.unwrap().unwrap();

    let enrolling = tokio::spawn(enrol(invite, said.clone(), round));
    let noted = said.clone();
    let administering = tokio::task::spawn_blocking(move || administer(&browser, &noted));
    tokio::time::sleep(moment(round)).await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    // both end with the server: a connection that breaks is no answer
    let _ = tokio::time::timeout(Duration::from_secs(1), enrolling).await;
    administering.await.unwrap();
}

/// Another moment for every round, from the first words to the middle of things.
fn moment(round: u32) -> Duration {
    Duration::from_millis(u64::from(round.wrapping_mul(2_654_435_761) >> 16) % 700 + 30)
}

/// Two devices at most: their keys are made of one byte.
async fn enrol(invite: Invite, said: Said, round: u32) {
    for device in 0..2 {
        let Ok(key) = u8::try_from(round * 2 + device + 1) else { return };
        let Ok(joined) = Agent::enrol(&invite, key, &format!("node-{key}")).await else { return };
        let known = Known { names: vec![format!("node-{key}")], ..Known::default() };
        said.0.lock().unwrap().insert(id(&joined.welcome), known);
    }
}

fn id(welcome: &Welcome) -> NodeId {
    let now = UnixTime::new(std::time::UNIX_EPOCH.elapsed().unwrap());
    let network = &welcome.network;
    VerifiedCertificate::verify(&welcome.certificate, &network.id, &network.signing_key, now).unwrap().node
}

/// Renames devices one after the other, and revokes every fifth time, until nobody answers.
fn administer(browser: &Browser, said: &Said) {
    for count in 0_u32.. {
        let device = {
            let said = said.0.lock().unwrap();
            let mut there = said.iter().filter(|(_, device)| !device.is_revoked).map(|(id, _)| *id);
            let number = there.clone().count().max(1);
            there.nth(count as usize % number)
        };
        let Some(device) = device else {
            if browser.get("/healthz").is_none() {
                return;
            }
            continue;
        };
        if count % 5 == 4 {
            match browser.post(&format!("/devices/{device}/revoke"), &[]) {
                Some(303) => said.0.lock().unwrap().get_mut(&device).unwrap().is_revoked = true,
                _ => return,
            }
            continue;
        }
        let name = format!("named-{count}-{}", &device.to_string()[..8]);
        said.0.lock().unwrap().get_mut(&device).unwrap().asked = Some(name.clone());
        if browser.post(&format!("/devices/{device}/rename"), &[("name", &name)]) != Some(303) {
            return;
        }
        let mut said = said.0.lock().unwrap();
        let known = said.get_mut(&device).unwrap();
        known.names.push(name);
        known.asked = None;
    }
}

impl Said {
    /// Looks into the database that the killed server has left.
    async fn holds_in(&self, url: &DatabaseUrl, round: u32) {
        let store = Store::connect(url).await.unwrap();
        let said = self.0.lock().unwrap().clone();
        for (id, known) in said {
            let device = store.device(id).await.unwrap();
            let device = device.unwrap_or_else(|| panic!("round {round}: an enrolled device is gone"));
            let name = device.name.to_string();
            let is_known = known.names.last() == Some(&name) || known.asked.as_ref() == Some(&name);
            assert!(is_known, "round {round}: {name} is neither the last of {:?} nor {:?}", known.names, known.asked);
            // what was asked for and not acknowledged may have been done: from here on it is what it is
            if known.asked.is_some() {
                let mut said = self.0.lock().unwrap();
                let known = said.get_mut(&id).unwrap();
                known.names.push(name);
                known.asked = None;
            }
            assert!(!known.is_revoked || device.state == DeviceState::Revoked, "round {round}: a revocation is undone");
        }
        store.close().await;
        if let DatabaseUrl::Sqlite(path) = url {
            let raw = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
            let (verdict,): (String,) = sqlx::query_as("PRAGMA integrity_check").fetch_one(&raw).await.unwrap();
            assert_eq!(verdict, "ok", "round {round}");
            raw.close().await;
        }
    }
}

/// An administrator's browser, over plain HTTP and one connection a request; every failure is silence.
struct Browser {
    server: SocketAddr,
    cookies: String,
    form_token: String,
}

impl Browser {
    fn sign_in(server: SocketAddr) -> Option<Self> {
        let mut browser = Self { server, cookies: String::new(), form_token: String::new() };
        browser.look("/sign-in")?;
        let answer = browser.send("POST", "/sign-in", &[("name", "ada"), ("password", PASSWORD)])?;
        browser.keep_cookies(&answer);
        browser.look("/devices/new")?;
        Some(browser)
    }

    /// Opens a page for its cookies and the token of its forms.
    fn look(&mut self, path: &str) -> Option<()> {
        let page = self.send("GET", path, &[])?;
        self.keep_cookies(&page);
        self.form_token = attribute(&page, "name=\"form_token\"", "value")?;
        Some(())
    }

    fn keep_cookies(&mut self, answer: &str) {
        for line in answer.lines().filter(|line| line.to_ascii_lowercase().starts_with("set-cookie: ")) {
            let cookie = line["set-cookie: ".len()..].split(';').next().unwrap_or_default();
            self.cookies = format!("{cookie}; {}", self.cookies);
        }
    }

    fn get(&self, path: &str) -> Option<u16> {
        status(&self.send("GET", path, &[])?)
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Option<u16> {
        status(&self.send("POST", path, fields)?)
    }

    fn send(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Option<String> {
        let form = [&[("form_token", self.form_token.as_str())], fields].concat();
        let body = if method == "POST" { serde_urlencoded::to_string(form).ok()? } else { String::new() };
        let mut stream = TcpStream::connect(self.server).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            self.server,
            self.cookies,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        String::from_utf8(answer).ok().filter(|answer| !answer.is_empty())
    }
}

fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}
