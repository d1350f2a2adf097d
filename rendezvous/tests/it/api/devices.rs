//! Devices: found, changed without collisions, revoked.

use std::time::Duration;

use serde_json::json;
use warren_rendezvous::actions;
use warren_rendezvous::domain::{Actor, DeviceState};

use super::client::Client;
use crate::common::TestApp;

#[tokio::test]
async fn two_who_change_a_device_at_once_do_not_undo_each_other() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.device("laptop", 1).await;
    let read = page.get("/devices/laptop").await;
    let seen = page.with("if-match", read.header("etag"));

    let first = seen.patch("/devices/laptop", json!({ "tags": ["office", "office"], "relay_only": true })).await;
    let second = seen.patch("/devices/laptop", json!({ "relay_only": false })).await;
    let careless = page.patch("/devices/laptop", json!({ "relay_only": false })).await;
    let whatever = page.with("if-match", "*").patch("/devices/laptop", json!({ "relay_only": false })).await;

    assert_eq!((first.status, &first.body["tags"], &first.body["relay_only"]), (200, &json!(["office"]), &json!(true)));
    assert_ne!(first.header("etag"), read.header("etag"));
    assert_eq!((second.status, second.code()), (412, "precondition-failed"));
    assert_eq!((careless.status, careless.code()), (428, "precondition-required"));
    assert_eq!((whatever.status, &whatever.body["tags"]), (200, &json!(["office"])));
}

#[tokio::test]
async fn a_change_is_made_whole_or_not_at_all() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await).with("if-match", "*");
    server.device("laptop", 1).await;
    server.device("desktop", 2).await;

    let refused = page.patch("/devices/laptop", json!({ "relay_only": true, "name": "desktop" })).await;
    let invalid = page.patch("/devices/laptop", json!({ "relay_only": true, "tags": ["two words"] })).await;
    let unknown = page.patch("/devices/laptop", json!({ "relay_onyl": true })).await;

    assert_eq!((refused.code(), invalid.code(), unknown.code()), ("name-taken", "value-invalid", "body-invalid"));
    assert_eq!(page.get("/devices/laptop").await.body["relay_only"], false);
}

#[tokio::test]
async fn a_device_that_was_changed_since_is_not_revoked_by_who_saw_it_before() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let device = server.device("laptop", 1).await;
    let seen = page.with("if-match", page.get("/devices/laptop").await.header("etag"));
    actions::rename_device(&server.app, &Actor::Cli, device.id, "laundry").await.unwrap();

    let refused = seen.delete("/devices/laundry").await;
    let revoked = page.delete("/devices/laundry").await;
    let again = page.delete(&format!("/devices/{}", device.id)).await;

    assert_eq!(refused.code(), "precondition-failed");
    assert_eq!((revoked.status, &revoked.body["state"]), (200, &json!("revoked")));
    assert_eq!((again.status, &again.body["ended_at"]), (200, &revoked.body["ended_at"]));
    assert_eq!(server.app.store().device(device.id).await.unwrap().unwrap().state, DeviceState::Revoked);
    let gone = page.with("if-match", "*").patch(&format!("/devices/{}", device.id), json!({ "name": "a" })).await;
    assert_eq!((gone.status, gone.code()), (409, "device-ended"));
}

#[tokio::test]
async fn devices_come_in_pages_and_filters_hold_together() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    for (key, name) in [(1, "alpha"), (2, "beta"), (3, "gamma"), (4, "delta"), (5, "epsilon")] {
        server.device(name, key).await;
    }
    page.with("if-match", "*").patch("/devices/beta", json!({ "tags": ["lab"] })).await;

    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = page.get(&format!("/devices?limit=2{cursor}")).await;
        names.extend(answer.body["items"].as_array().unwrap().iter().map(|item| item["name"].clone()));
        let Some(next) = answer.body["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let tagged = page.get("/devices?tag=lab&online=false&q=BET").await;
    let none = page.get("/devices?tag=lab&online=true").await;

    assert_eq!(names, ["alpha", "beta", "delta", "epsilon", "gamma"]);
    assert_eq!(tagged.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(none.body["items"], json!([]));
    for (query, code) in [
        ("limit=0", "query-invalid"),
        ("limit=201", "query-invalid"),
        ("limit=many", "query-invalid"),
        ("colour=red", "query-invalid"),
        ("cursor=%21", "cursor-invalid"),
    ] {
        let refused = page.get(&format!("/devices?{query}")).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{query}");
    }
}

#[tokio::test]
async fn the_audit_log_is_filtered_and_paged() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let device = server.device("laptop", 1).await;
    for name in ["a", "b", "c"] {
        // entries of one millisecond are in no order
        server.clock.advance(Duration::from_millis(1));
        page.with("if-match", "*").patch(&format!("/devices/{}", device.id), json!({ "name": name })).await;
    }

    let first = page.get("/audit?actor=user:ada&action=device.*&limit=2").await;
    let next = first.body["next"].as_str().unwrap();
    let second = page.get(&format!("/audit?actor=user:ada&action=device.*&limit=2&cursor={next}")).await;
    let wild = page.get("/audit?action=device_rename").await;
    let early = page.get("/audit?until=2001-01-01T00:00:00Z").await;

    let details = |answer: &super::client::Answer| -> Vec<String> {
        let items = answer.body["items"].as_array().unwrap().iter();
        items.map(|entry| entry["detail"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (details(&first), details(&second)),
        (vec!["b -> c".into(), "a -> b".into()], vec!["laptop -> a".into()])
    );
    assert_eq!((&second.body["next"], details(&wild), details(&early)), (&json!(null), vec![], vec![]));
    assert_eq!(page.get("/audit?since=yesterday").await.code(), "query-invalid");
}

#[tokio::test]
async fn an_enrolment_key_is_made_used_seen_and_withdrawn() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);

    let wish = json!({ "reusable": true, "tags": ["lab"], "expires_after_s": 3600 });
    let made = page.post("/enroll-keys", wish).await;
    let path = format!("/enroll-keys/{}", made.body["id"].as_str().unwrap());
    let device = server.enrol(&made.body["invite"].as_str().unwrap().parse().unwrap(), "laptop", 1).await;
    let used = page.get(&path).await;
    let revoked = page.delete(&path).await;
    let over = page.get("/enroll-keys?works=false").await;

    assert_eq!((made.status, &used.body["used_count"], &used.body["works"]), (201, &json!(1), &json!(true)));
    assert_eq!((device.tags, &revoked.body["works"]), (vec!["lab".to_owned()], &json!(false)));
    assert_eq!(over.body["items"][0]["id"], made.body["id"]);
    assert!(used.body.get("invite").is_none());
}
