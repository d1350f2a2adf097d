//! `Idempotency-Key`: done once, however often it is asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client};
use crate::common::TestApp;

#[tokio::test]
async fn a_request_sent_again_gets_the_first_answer() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let keyed = page.with("idempotency-key", "6f1c");

    let first = keyed.post("/enroll-keys", json!({})).await;
    let again = keyed.post("/enroll-keys", json!({})).await;
    let other = keyed.post("/enroll-keys", json!({ "reusable": true })).await;
    let elsewhere = keyed.post("/tokens", json!({ "name": "a", "scopes": [] })).await;

    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!((other.code(), elsewhere.code()), ("idempotency-key-reused", "idempotency-key-reused"));
    assert_eq!(keys(&page).await, 1);
}

#[tokio::test]
async fn of_many_that_arrive_at_once_one_is_done() {
    let server = TestApp::new().await;
    let keyed = Client::of_browser(&server, &server.admin().await).with("idempotency-key", "at-once");

    let all = (0..16).map(|_| {
        let keyed = keyed.clone();
        tokio::spawn(async move { keyed.post("/enroll-keys", json!({})).await })
    });
    let mut answers: Vec<Answer> = Vec::new();
    for one in all.collect::<Vec<_>>() {
        answers.push(one.await.unwrap());
    }

    let done: Vec<&Value> = answers.iter().filter(|answer| answer.status == 201).map(|answer| &answer.body).collect();
    assert!(!done.is_empty() && done.iter().all(|body| *body == done[0]));
    for waiting in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((waiting.code(), waiting.header("retry-after")), ("idempotency-in-progress", "1"));
    }
    assert_eq!(keys(&keyed).await, 1);
}

#[tokio::test]
async fn a_key_is_the_callers_own_and_lasts_a_day() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let token = page.token(&server, "t", &["manage-invites"]).await.with("idempotency-key", "same");
    let keyed = page.with("idempotency-key", "same");

    let first = keyed.post("/enroll-keys", json!({})).await;
    let others = token.post("/enroll-keys", json!({})).await;
    server.clock.advance(Duration::from_secs(24 * 3600));
    let next_day = keyed.post("/enroll-keys", json!({})).await;

    assert!(first.body["id"] != others.body["id"] && first.body["id"] != next_day.body["id"]);
    assert_eq!(next_day.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn what_was_refused_is_tried_again() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let keyed = page.with("idempotency-key", "k");
    let wish = json!({ "name": "taken", "scopes": [] });
    let taken = page.post("/tokens", wish.clone()).await;

    let refused = keyed.post("/tokens", wish.clone()).await;
    page.delete(&format!("/tokens/{}", taken.body["id"].as_str().unwrap())).await;
    let made = keyed.post("/tokens", wish).await;

    assert_eq!((refused.code(), made.status), ("name-taken", 201));
}

#[tokio::test]
async fn an_answer_that_holds_a_secret_is_not_readable_in_the_database() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);

    let wish = json!({ "name": "t", "scopes": [] });
    let made = page.with("idempotency-key", "k").post("/tokens", wish).await;

    let secret = made.body["secret"].as_str().unwrap();
    for file in ["warren.db", "warren.db-wal"] {
        let content = std::fs::read(server.app.data_dir().file(file)).unwrap_or_default();
        assert!(!content.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);

    for bad in ["", "two words", &"k".repeat(256)] {
        let refused = page.with("idempotency-key", bad).post("/enroll-keys", json!({})).await;
        assert_eq!((refused.status, refused.code()), (400, "idempotency-key-invalid"), "{bad}");
    }
}

/// How many keys there are beside the one that setting up has made.
async fn keys(client: &Client) -> usize {
    client.get("/enroll-keys").await.body["items"].as_array().unwrap().len() - 1
}
