//! Enrolment keys, tags, settings: what is changed of them, and by whom.

use std::time::Duration;

use serde_json::json;
use warren_rendezvous::domain::Role;

use super::client::Client;
use crate::common::TestApp;

#[tokio::test]
async fn a_key_that_works_is_changed_by_who_has_seen_it() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let made = page.post("/enroll-keys", json!({ "name": "rack", "reusable": true })).await;
    let path = format!("/enroll-keys/{}", made.body["id"].as_str().unwrap());
    let seen = page.get(&path).await;
    let keyed = page.with("if-match", seen.header("etag"));

    let unsaid = page.patch(&path, json!({ "name": "a" })).await;
    let changed = keyed.patch(&path, json!({ "tags": ["rack-2"], "expires_after_s": 60 })).await;
    let stale = keyed.patch(&path, json!({ "name": "b" })).await;
    server.clock.advance(Duration::from_secs(1));
    let for_ever = page.with("if-match", "*").patch(&path, json!({ "name": "row", "expires_after_s": null })).await;

    assert_eq!((unsaid.code(), stale.code()), ("precondition-required", "precondition-failed"));
    assert!(seen.body["expires_at"].is_null() && changed.body["expires_at"].is_string());
    assert_eq!((&changed.body["name"], &changed.body["tags"]), (&json!("rack"), &json!(["rack-2"])));
    assert_eq!((&for_ever.body["name"], &for_ever.body["expires_at"]), (&json!("row"), &json!(null)));
    assert_eq!(for_ever.header("etag"), page.get(&path).await.header("etag"));
    let log = page.get("/audit?action=invite.change").await;
    assert_eq!(log.body["items"][0]["changes"][0], json!({ "field": "name", "before": "rack", "after": "row" }));
    let invite = made.body["invite"].as_str().unwrap().parse().unwrap();
    assert_eq!(server.enrol(&invite, "one", 1).await.tags, ["rack-2"]);
}

#[tokio::test]
async fn a_key_that_has_ended_does_not_begin_to_work_again() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await).with("if-match", "*");
    let mut paths = Vec::new();
    for _ in 0..3 {
        let made = page.post("/enroll-keys", json!({ "expires_after_s": 60 })).await;
        let path = format!("/enroll-keys/{}", made.body["id"].as_str().unwrap());
        paths.push((path, made.body["invite"].as_str().unwrap().parse().unwrap()));
    }
    page.delete(&paths[0].0).await;
    server.enrol(&paths[1].1, "one", 1).await;
    server.clock.advance(Duration::from_secs(60));

    for (path, _) in &paths {
        let refused = page.patch(path, json!({ "expires_after_s": 60 })).await;
        assert_eq!((refused.status, refused.code()), (409, "key-ended"), "{path}");
    }
    for (wish, code) in [
        (json!({ "tags": ["two words"] }), "value-invalid"),
        (json!({ "name": "a\nb" }), "name-invalid"),
        (json!({ "expires_after_s": 0 }), "value-invalid"),
        (json!({ "reusable": true }), "body-invalid"),
    ] {
        assert_eq!(page.patch(&paths[0].0, wish.clone()).await.code(), code, "{wish}");
    }
}

#[tokio::test]
async fn a_member_changes_of_their_own_keys_what_they_could_have_wished() {
    let server = TestApp::new().await;
    let owner = Client::of_browser(&server, &server.admin().await);
    let member = Client::of_browser(&server, &server.person("mel", Role::Member).await).with("if-match", "*");
    let id = |answer: super::client::Answer| format!("/enroll-keys/{}", answer.body["id"].as_str().unwrap());
    let own = id(member.post("/enroll-keys", json!({})).await);
    let other = id(owner.post("/enroll-keys", json!({})).await);

    assert_eq!(member.patch(&own, json!({ "name": "mine", "expires_after_s": 60 })).await.body["name"], "mine");
    for wish in [json!({ "tags": ["a"] }), json!({ "expires_after_s": 90_000 }), json!({ "expires_after_s": null })] {
        assert_eq!(member.patch(&own, wish.clone()).await.code(), "forbidden", "{wish}");
    }
    assert_eq!(member.patch(&other, json!({ "name": "mine" })).await.code(), "not-found");
}

#[tokio::test]
async fn a_key_is_withdrawn_with_what_it_made_if_so_asked() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let made = page.post("/enroll-keys", json!({ "reusable": true })).await;
    let invite = made.body["invite"].as_str().unwrap().parse().unwrap();
    let path = format!("/enroll-keys/{}", made.body["id"].as_str().unwrap());
    server.enrol(&invite, "one", 1).await;

    let kept = page.delete(&path).await;
    let active = page.get("/devices/one").await.status;
    let all = page.delete(&format!("{path}?revoke_devices=true")).await;

    assert_eq!((kept.status, active, all.status), (200, 200, 200));
    assert_eq!(page.get("/devices/one").await.code(), "device-unknown");
}

#[tokio::test]
async fn tags_are_put_on_and_taken_off_one_by_one_and_counted() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let member = Client::of_browser(&server, &server.person("mel", Role::Member).await);
    server.device("laptop", 1).await;
    server.device("desktop", 2).await;
    let put = async |path: &str| super::client::read(page.send("PUT", path, None).await).await;

    let first = put("/devices/laptop/tags/office").await;
    let again = put("/devices/laptop/tags/office").await;
    put("/devices/desktop/tags/office").await;
    put("/devices/desktop/tags/lab%2F2").await;
    let counted = page.get("/tags").await;
    let off = page.delete("/devices/desktop/tags/office").await;
    let twice = page.delete("/devices/desktop/tags/office").await;

    assert_eq!((&first.body["tags"], first.header("etag")), (&json!(["office"]), again.header("etag")));
    let expected = json!([{ "tag": "lab/2", "devices": 1 }, { "tag": "office", "devices": 2 }]);
    assert_eq!(counted.body["items"], expected);
    assert_eq!((&off.body["tags"], twice.status), (&json!(["lab/2"]), 200));
    assert_eq!(put("/devices/laptop/tags/two%20words").await.code(), "value-invalid");
    assert_eq!(member.get("/tags").await.body["items"], json!([]));
    let told = page.get("/audit?action=device.tag&subject=laptop").await;
    assert_eq!(told.body["items"].as_array().unwrap().len(), 1, "found by its name, and told once");
}

#[tokio::test]
async fn the_network_is_named_by_who_has_seen_its_name() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let seen = page.get("/settings").await;
    let keyed = page.with("if-match", seen.header("etag"));

    let wrong = keyed.patch("/settings", json!({ "network_name": " " })).await;
    let named = keyed.patch("/settings", json!({ "network_name": "Home" })).await;
    let stale = keyed.patch("/settings", json!({ "network_name": "Away" })).await;

    assert_eq!((wrong.code(), stale.code()), ("name-invalid", "precondition-failed"));
    assert_eq!((named.status, &named.body["network_name"]), (200, &json!("Home")));
    assert_eq!(page.get("/system").await.body["network"]["name"], "Home");
}
