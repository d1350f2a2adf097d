//! Webhooks, against a web server of the test's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use data_encoding::HEXLOWER;
use ring::hmac;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::client::Client;
use crate::common::TestApp;

const LOOPBACK: &str = "
    webhook-allow = [\"127.0.0.0/8\"]
    web-listen = \"127.0.0.1:0\"
    quic-listen = \"127.0.0.1:0\"
    stun-listen = \"127.0.0.1:0\"
    relay-listen = \"127.0.0.1:0\"
";

#[tokio::test]
async fn a_change_is_told_signed_and_only_to_those_who_want_it() {
    let server = TestApp::with_settings(LOOPBACK).await;
    let page = Client::of_browser(&server, &server.admin().await);
    let receiver = Receiver::start(&[]).await;
    let wish = json!({ "name": "chat", "url": receiver.url("/hook"), "events": ["device.*"] });
    let made = page.post("/webhooks", wish).await;
    server.serve().await;

    let device = server.device("laptop", 1).await;
    let told = receiver.wait_for(1).await;

    let message = &told[0];
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!((&body["event"], &body["subject"]), (&json!("device.enrol"), &json!(device.id.to_string())));
    assert_eq!(message.header("warren-event"), "device.enrol");
    let (time, signature) = message.header("warren-signature").split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, made.body["secret"].as_str().unwrap().as_bytes());
    let signature = HEXLOWER.decode(signature.as_bytes()).unwrap();
    hmac::verify(&key, format!("{time}.{}", message.body).as_bytes(), &signature).unwrap();
    // the invite that the device came by was made meanwhile, and is none of its business
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_later() {
    let server = TestApp::with_settings(LOOPBACK).await;
    let page = Client::of_browser(&server, &server.admin().await);
    let receiver = Receiver::start(&[500, 500, 204]).await;
    let wish = json!({ "name": "chat", "url": receiver.url("/hook"), "events": ["device.enrol"] });
    let path = format!("/webhooks/{}", page.post("/webhooks", wish).await.body["id"].as_str().unwrap());
    server.serve().await;

    server.device("laptop", 1).await;
    let first = receiver.wait_for(1).await[0].clone();
    let failed = until(&page, &path, |body| body["last"]["status"] == 500).await;
    server.clock.advance(Duration::from_secs(10));
    let second = receiver.wait_for(2).await[1].clone();
    until(&page, &path, |body| body["last"]["at"] != failed["last"]["at"]).await;
    server.clock.advance(Duration::from_secs(39));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.told().len(), 2);
    server.clock.advance(Duration::from_secs(1));
    receiver.wait_for(3).await;
    let done = until(&page, &path, |body| body["waiting"] == 0).await;

    assert_eq!((first.header("warren-delivery"), &first.body), (second.header("warren-delivery"), &second.body));
    assert_eq!((&failed["waiting"], &failed["last"]["error"]), (&json!(1), &json!("it answered 500")));
    assert_eq!(
        (&done["last"]["status"], &done["last"]["error"], &done["dropped"]),
        (&json!(204), &json!(null), &json!(0))
    );
}

#[tokio::test]
async fn what_nobody_took_for_a_day_is_given_up_and_counted() {
    let server = TestApp::with_settings(LOOPBACK).await;
    let page = Client::of_browser(&server, &server.admin().await);
    let receiver = Receiver::start(&[503]).await;
    let wish = json!({ "name": "chat", "url": receiver.url("/hook"), "events": ["device.enrol"] });
    let path = format!("/webhooks/{}", page.post("/webhooks", wish).await.body["id"].as_str().unwrap());
    server.device("laptop", 1).await;
    server.clock.advance(Duration::from_secs(24 * 3600));

    server.serve().await;

    let given_up = until(&page, &path, |body| body["dropped"] == 1).await;
    assert_eq!(given_up["waiting"], 0);
}

#[tokio::test]
async fn an_outbox_that_is_full_loses_the_oldest() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let wish = json!({ "name": "chat", "url": "http://192.0.2.1/", "events": ["invite.create"] });
    let path = format!("/webhooks/{}", page.post("/webhooks", wish).await.body["id"].as_str().unwrap());

    for _ in 0..1003 {
        let request = warren_rendezvous::actions::InviteRequest::default();
        warren_rendezvous::actions::create_invite(&server.app, &warren_rendezvous::domain::Actor::Cli, request)
            .await
            .unwrap();
    }

    let full = page.get(&path).await.body;
    assert_eq!((&full["waiting"], &full["dropped"]), (&json!(1000), &json!(3)));
    page.with("if-match", "*").patch(&path, json!({ "enabled": false })).await;
    assert_eq!(page.get(&path).await.body["waiting"], 0);
}

#[tokio::test]
async fn a_test_says_at_once_how_it_went_and_follows_no_redirect() {
    let server = TestApp::with_settings(LOOPBACK).await;
    let page = Client::of_browser(&server, &server.admin().await);
    let receiver = Receiver::start(&[]).await;
    let test = async |url: String| {
        let made = page.post("/webhooks", json!({ "name": "test", "url": url, "events": ["none"] })).await;
        let id = made.body["id"].as_str().unwrap().to_owned();
        page.post(&format!("/webhooks/{id}/test"), Value::Null).await.body
    };

    let good = test(receiver.url("/hook")).await;
    let led_on = test(receiver.url("/elsewhere")).await;
    let closed = test("http://127.0.0.1:1/".to_owned()).await;

    assert_eq!((&good["delivered"], &good["status"]), (&json!(true), &json!(204)));
    assert_eq!((&led_on["delivered"], &led_on["status"]), (&json!(false), &json!(307)));
    assert!(led_on["error"].as_str().unwrap().contains("redirects are not followed"));
    assert!(closed["error"].as_str().unwrap().starts_with("cannot connect to 127.0.0.1:1"), "{closed}");
    assert_eq!(receiver.told().len(), 1);
}

#[tokio::test]
async fn this_host_is_not_called_unless_the_operator_says_so() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let receiver = Receiver::start(&[]).await;

    for url in [receiver.url("/hook"), receiver.url("/hook").replace("127.0.0.1", "localhost")] {
        let made = page.post("/webhooks", json!({ "name": "inside", "url": url })).await;
        let id = made.body["id"].as_str().unwrap();
        let outcome = page.post(&format!("/webhooks/{id}/test"), Value::Null).await.body;
        assert!(outcome["error"].as_str().unwrap().contains("may not be called"), "{outcome}");
    }
    assert!(receiver.told().is_empty());
    for url in ["ftp://example.org", "example.org", "https://a:b@example.org"] {
        assert_eq!(page.post("/webhooks", json!({ "name": "bad", "url": url })).await.code(), "value-invalid");
    }
}

#[tokio::test]
async fn a_secret_is_shown_when_it_is_made_and_changes_when_asked() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let made = page.post("/webhooks", json!({ "name": "chat", "url": "https://hooks.example.org" })).await;
    let path = format!("/webhooks/{}", made.body["id"].as_str().unwrap());

    let shown = page.get(&path).await;
    let rotated = page.post(&format!("{path}/rotate-secret"), Value::Null).await;
    let stale = page.with("if-match", "\"00\"").patch(&path, json!({ "name": "other" })).await;
    let changed = page.with("if-match", shown.header("etag")).patch(&path, json!({ "events": ["device.*"] })).await;
    let removed = page.delete(&path).await;

    assert!(shown.body.get("secret").is_none() && made.body["secret"] != rotated.body["secret"]);
    assert_eq!((stale.code(), &changed.body["events"]), ("precondition-failed", &json!(["device.*"])));
    assert_eq!((removed.status, page.get(&path).await.code()), (204, "not-found"));
}

/// Asks until the webhook says what is expected.
async fn until(page: &Client, path: &str, says: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..200 {
        let body = page.get(path).await.body;
        if says(&body) {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", page.get(path).await.body);
}

/// A web server that notes what it is told.
struct Receiver {
    address: std::net::SocketAddr,
    noted: Arc<Noted>,
}

#[derive(Default)]
struct Noted {
    told: Mutex<Vec<Told>>,
    answers: Vec<u16>,
    changed: Notify,
}

#[derive(Clone)]
struct Told {
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Receiver {
    /// One that gives these answers in turn, and the last one again and again; 204 if there is none.
    async fn start(answers: &[u16]) -> Self {
        let noted = Arc::new(Noted { answers: answers.to_vec(), ..Noted::default() });
        let router = Router::new()
            .route("/hook", post(hook))
            .route("/elsewhere", post(async || Redirect::temporary("/hook")))
            .with_state(Arc::clone(&noted));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, noted }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn told(&self) -> Vec<Told> {
        self.noted.told.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) -> Vec<Told> {
        let enough = async {
            while self.told().len() < count {
                self.noted.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), enough).await.unwrap();
        self.told()
    }
}

async fn hook(State(noted): State<Arc<Noted>>, headers: HeaderMap, body: String) -> Response {
    let count = {
        let mut told = noted.told.lock().unwrap();
        told.push(Told { headers, body });
        told.len()
    };
    noted.changed.notify_one();
    let answer = noted.answers.get(count - 1).or_else(|| noted.answers.last()).copied().unwrap_or(204);
    StatusCode::from_u16(answer).unwrap().into_response()
}
