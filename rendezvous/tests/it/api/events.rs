//! The stream of events: what happens, and what happened meanwhile.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Response;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use warren_rendezvous::actions;
use warren_rendezvous::domain::Actor;

use super::client::Client;
use crate::common::TestApp;

#[tokio::test]
async fn who_comes_back_is_told_what_it_missed() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let laptop = server.device("laptop", 1).await;
    let mut events = Events::of(page.send("GET", "/events", None).await);
    let hello = events.next().await.unwrap();
    let desktop = server.device("desktop", 2).await;
    let added = events.next().await.unwrap();
    drop(events);
    actions::rename_device(&server.app, &Actor::Cli, laptop.id, "laundry").await.unwrap();
    actions::revoke_device(&server.app, &Actor::Cli, desktop.id).await.unwrap();

    let mut events = Events::of(page.with("last-event-id", &added.id).send("GET", "/events", None).await);
    let missed = [events.next().await.unwrap(), events.next().await.unwrap()];
    let end = events.next().await.unwrap();

    assert_eq!((hello.kind.as_str(), &hello.data["complete"]), ("hello", &json!(false)));
    assert_eq!((added.kind.as_str(), &added.data["device"]), ("device", &json!(desktop.id.to_string())));
    let devices = missed.each_ref().map(|event| event.data["device"].clone());
    assert_eq!(devices, [json!(laptop.id.to_string()), json!(desktop.id.to_string())]);
    assert_eq!((&end.data["complete"], &end.data["revision"].to_string()), (&json!(true), &missed[1].id));
}

#[tokio::test]
async fn a_place_that_never_was_is_a_gap() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.device("laptop", 1).await;

    for id in ["999999", "nonsense"] {
        let mut events = Events::of(page.with("last-event-id", id).send("GET", "/events", None).await);
        assert_eq!(events.next().await.unwrap().data["complete"], false, "{id}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let token = page.token(&server, "t", &["read-mesh"]).await;
    let mut events = Events::of(token.send("GET", "/events", None).await);
    events.next().await.unwrap();

    let id = token.get("/me").await.body["token_id"].as_str().unwrap().to_owned();
    page.delete(&format!("/tokens/{id}")).await;

    assert!(events.next().await.is_none());
}

struct Events {
    body: BodyDataStream,
    text: String,
}

struct Event {
    kind: String,
    id: String,
    data: Value,
}

impl Events {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event that is no comment, or `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while !self.text.contains("\n\n") {
                let chunk = tokio::time::timeout(Duration::from_secs(25), self.body.next()).await.unwrap()?;
                self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
            }
            let (event, rest) = self.text.split_once("\n\n").unwrap();
            let field = |name: &str| {
                let found = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                found.unwrap_or_default().to_owned()
            };
            let found = Event {
                kind: field("event"),
                id: field("id"),
                data: serde_json::from_str(&field("data")).unwrap_or_default(),
            };
            self.text = rest.to_owned();
            if !found.kind.is_empty() {
                return Some(found);
            }
        }
    }
}
