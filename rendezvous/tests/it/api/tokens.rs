//! Tokens: what they are worth, and when they are worth nothing.

use std::time::Duration;

use serde_json::json;
use warren_rendezvous::domain::Role;

use super::client::Client;
use crate::common::{TestApp, text};

#[tokio::test]
async fn a_token_reads_what_it_was_given_and_nothing_else() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.device("laptop", 1).await;

    let token = page.token(&server, "list", &["read-mesh"]).await;

    assert_eq!(token.get("/devices").await.body["items"][0]["name"], "laptop");
    assert_eq!(token.get("/me").await.body["rights"], json!(["read-mesh"]));
    let refused = token.get("/audit").await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    assert!(refused.body["detail"].as_str().unwrap().contains("the token lacks the right read-activity"));
}

#[tokio::test]
async fn a_token_ends_by_itself_by_its_time_and_by_its_owners_hand() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let short = page.post("/tokens", json!({ "name": "short", "scopes": [], "expires_after_s": 60 })).await;
    let short = Client::with_token(&server, short.body["secret"].as_str().unwrap());
    let (own, other) = (page.token(&server, "own", &[]).await, page.token(&server, "other", &[]).await);
    let id = |answer: super::client::Answer| answer.body["token_id"].as_str().unwrap().to_owned();
    let (own_id, other_id) = (id(own.get("/me").await), id(other.get("/me").await));

    assert_eq!(own.delete(&format!("/tokens/{other_id}")).await.code(), "session-needed");
    assert_eq!(own.delete(&format!("/tokens/{own_id}")).await.status, 204);
    assert_eq!(page.delete(&format!("/tokens/{other_id}")).await.status, 204);
    assert_eq!(page.delete(&format!("/tokens/{other_id}")).await.code(), "not-found");
    assert_eq!(short.get("/me").await.status, 200);
    server.clock.advance(Duration::from_secs(60));

    for ended in [own, other, short] {
        let refused = ended.get("/me").await;
        assert_eq!((refused.status, refused.code()), (401, "token-invalid"));
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
    }
    assert_eq!(page.get("/tokens").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_token_makes_no_token_and_lists_none() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let token = page.token(&server, "all", &["manage-server", "manage-users"]).await;

    let refused = token.post("/tokens", json!({ "name": "more", "scopes": [] })).await;

    assert_eq!((refused.status, refused.code()), (403, "session-needed"));
    assert_eq!(token.get("/tokens").await.code(), "session-needed");
}

#[tokio::test]
async fn somebody_elses_token_does_not_exist() {
    let server = TestApp::new().await;
    let owner = Client::of_browser(&server, &server.admin().await);
    let member = Client::of_browser(&server, &server.person("mel", Role::Member).await);
    let token = member.token(&server, "mine", &[]).await;
    let id = token.get("/me").await.body["token_id"].as_str().unwrap().to_owned();

    assert_eq!(owner.delete(&format!("/tokens/{id}")).await.code(), "not-found");
    assert_eq!(token.get("/me").await.status, 200);
}

#[tokio::test]
async fn a_token_dies_with_its_owners_account() {
    let server = TestApp::new().await;
    server.admin().await;
    let page = Client::of_browser(&server, &server.person("ann", Role::Admin).await);
    let token = page.token(&server, "t", &["read-mesh"]).await;
    assert_eq!(token.get("/devices").await.status, 200);

    let ann = server.app.store().admin_by_name("ann").await.unwrap().unwrap();
    let mut tx = server.app.store().begin().await.unwrap();
    tx.set_admin_disabled(ann.id, Some(server.app.started_at())).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(token.get("/devices").await.code(), "token-invalid");
    assert_eq!(page.get("/me").await.code(), "sign-in-first");
}

#[tokio::test]
async fn a_members_token_sees_the_members_devices() {
    let server = TestApp::new().await;
    server.admin().await;
    let member = Client::of_browser(&server, &server.person("mel", Role::Member).await);
    let made = member.post("/enroll-keys", json!({})).await;
    let invite = made.body["invite"].as_str().unwrap().parse().unwrap();
    let own = server.enrol(&invite, "own", 1).await;
    let other = server.device("other", 2).await;
    let token = member.token(&server, "mine", &["read-mesh", "manage-devices"]).await;

    let listed = token.get("/devices").await;
    let changed = token.with("if-match", "*").patch("/devices/own", json!({ "name": "renamed" })).await;

    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert_eq!((listed.body["items"][0]["id"].as_str(), changed.status), (Some(own.id.to_string().as_str()), 200));
    assert_eq!(token.get(&format!("/devices/{}", other.id)).await.code(), "device-unknown");
    assert_eq!(token.delete("/devices/other").await.code(), "device-unknown");
    assert_eq!(token.get("/pairs").await.code(), "forbidden");
}

#[tokio::test]
async fn a_token_that_is_used_from_a_new_place_is_news_once() {
    let server = TestApp::with_settings("trusted-proxies = [\"0.0.0.0/0\", \"::/0\"]").await;
    let page = Client::of_browser(&server, &server.admin().await);
    let token = page.token(&server, "backup", &[]).await;
    let from = |address: &str| token.with("x-forwarded-for", address);

    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        assert_eq!(from(address).get("/me").await.status, 200);
        server.clock.advance(Duration::from_secs(1));
    }
    server.clock.advance(Duration::from_secs(3600));
    from("192.0.2.2").get("/me").await;

    let told = page.get("/audit?action=token.use").await;
    let places: Vec<_> = told.body["items"].as_array().unwrap().iter().map(|entry| entry["address"].clone()).collect();
    assert_eq!(
        (places, &told.body["items"][0]["detail"]),
        (vec![json!("192.0.2.2"), json!("192.0.2.1")], &json!("backup"))
    );
    assert_eq!(page.get("/tokens").await.body["items"][0]["last_used_from"], "192.0.2.2");
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_refused_in_words() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    page.token(&server, "taken", &[]).await;

    for (wish, code) in [
        (json!({ "name": "taken", "scopes": [] }), "name-taken"),
        (json!({ "name": " ", "scopes": [] }), "name-invalid"),
        (json!({ "name": "a", "scopes": ["root"] }), "value-invalid"),
        (json!({ "name": "a", "scopes": [], "expires_after_s": 1 }), "value-invalid"),
        (json!({ "name": "a", "scopes": [], "expires_after_s": 40_000_000 }), "value-invalid"),
        (json!({ "name": "a", "scopes": [], "forever": true }), "body-invalid"),
        (json!({ "scopes": [] }), "body-invalid"),
    ] {
        let refused = page.post("/tokens", wish.clone()).await;
        assert_eq!((refused.status / 100, refused.code()), (4, code), "{wish}: {}", refused.body);
    }
}

#[tokio::test]
async fn a_session_changes_things_only_from_a_page_of_ours() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let wish = json!({ "name": "forged", "scopes": [] });

    let foreign = page.with("sec-fetch-site", "cross-site").post("/tokens", wish.clone()).await;
    let silent = page.without("sec-fetch-site").post("/tokens", wish).await;

    assert_eq!((foreign.status, foreign.code(), silent.code()), (403, "origin-refused", "origin-refused"));
    assert_eq!(page.with("sec-fetch-site", "cross-site").get("/me").await.status, 200);
}

#[tokio::test]
async fn strangers_and_guessers_are_slowed_down_and_callers_are_not() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let stranger = Client::stranger(&server);
    let guess = Client::with_token(&server, "warren_pat_guess");

    let mut last = stranger.get("/instance").await;
    assert_eq!((last.status, last.header("ratelimit")), (200, "\"api\";r=59;t=1"));
    for _ in 0..60 {
        last = guess.get("/me").await;
    }

    assert_eq!((last.status, last.code()), (429, "rate-limited"));
    assert_eq!((last.header("retry-after"), last.header("ratelimit-policy")), ("1", "\"api\";q=60;w=60"));
    assert_eq!(page.get("/me").await.status, 200);
}

#[tokio::test]
async fn the_page_shows_a_new_token_once_and_revokes_it() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/tokens").await;
    let wish = [("name", "<b>backup</b>"), ("days", "30"), ("read-mesh", "on")];

    let made = browser.submit(&page, "/tokens", &wish).await;
    let secret = made.body.split_once("<code id=\"secret\">").unwrap().1.split('<').next().unwrap().to_owned();
    let again = browser.submit(&page, "/tokens", &wish).await;
    let listed = browser.get("/tokens").await;
    let token = Client::with_token(&server, &secret);
    assert_eq!(token.get("/devices").await.status, 200);
    let id = token.get("/me").await.body["token_id"].as_str().unwrap().to_owned();
    let revoked = browser.submit(&listed, &format!("/tokens/{id}/revoke"), &[]).await;

    for (name, page) in [("made", &made), ("listed", &listed), ("again", &again)] {
        crate::common::lint(name, &page.body);
        assert!(!page.body.contains("<b>backup"), "{name}");
    }
    assert!(text(&listed.body).contains("<b>backup</b> read-mesh") && !listed.body.contains(&secret));
    assert!(again.status == 422 && text(&again.body).contains("Another one has that name."));
    assert_eq!((revoked.status, token.get("/me").await.code()), (303, "token-invalid"));
}
