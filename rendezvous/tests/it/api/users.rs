//! Accounts and the invites that make them.

use serde_json::json;
use warren_rendezvous::domain::Role;

use super::client::Client;
use crate::common::{PASSWORD, TestApp};

#[tokio::test]
async fn accounts_are_listed_by_name_in_pages_and_found_by_role() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    for (name, role) in [("Zoe", Role::Viewer), ("bob", Role::Member), ("eve", Role::Member)] {
        server.person(name, role).await;
    }
    let names = |answer: &super::client::Answer| {
        let items = answer.body["items"].as_array().unwrap();
        items.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    let first = page.get("/users?limit=3").await;
    let rest = page.get(&format!("/users?limit=3&cursor={}", first.body["next"].as_str().unwrap())).await;
    let members = page.get("/users?role=member&q=E").await;

    assert_eq!((names(&first), names(&rest)), (vec!["Zoe".into(), "ada".into(), "bob".into()], vec!["eve".into()]));
    assert_eq!((names(&members), rest.body.get("next")), (vec!["eve".to_owned()], None));
    assert_eq!(page.get("/users?role=root").await.code(), "value-invalid");
}

#[tokio::test]
async fn a_role_is_changed_once_by_who_has_seen_the_account_and_signs_the_person_out() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let mel = Client::of_browser(&server, &server.person("mel", Role::Member).await);
    let seen = page.get("/users/mel").await;
    let keyed = page.with("if-match", seen.header("etag"));

    let unsaid = page.patch("/users/mel", json!({ "role": "viewer" })).await;
    let changed = keyed.patch("/users/mel", json!({ "role": "operator", "disabled": false })).await;
    let stale = keyed.patch("/users/mel", json!({ "role": "viewer" })).await;

    assert_eq!((unsaid.code(), stale.code()), ("precondition-required", "precondition-failed"));
    assert_eq!(
        (changed.status, &changed.body["role"], &changed.body["sessions"]),
        (200, &json!("operator"), &json!(0))
    );
    assert_ne!(changed.header("etag"), seen.header("etag"));
    assert_eq!((&seen.body["sessions"], mel.get("/me").await.code()), (&json!(1), "sign-in-first"));
    let log = page.get("/audit?action=user.role").await;
    assert_eq!(log.body["items"][0]["detail"], "member -> operator");
}

#[tokio::test]
async fn whoever_is_kept_out_cannot_sign_in_and_whoever_is_removed_is_not_there() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await).with("if-match", "*");
    server.person("mel", Role::Member).await;
    let own = server.device("spare", 1).await;

    let disabled = page.patch("/users/mel", json!({ "disabled": true })).await;
    let refused = server.visitor().sign_in("mel", PASSWORD).await;
    let enabled = page.patch("/users/mel", json!({ "disabled": false })).await;
    let admitted = server.visitor().sign_in("mel", PASSWORD).await;
    let removed = page.delete("/users/mel?revoke_devices=true").await;

    assert!(disabled.body["disabled_at"].is_string() && enabled.body["disabled_at"].is_null());
    assert_eq!((refused.status, admitted.status, removed.status), (422, 303, 204));
    assert_eq!(page.get("/users/mel").await.code(), "not-found");
    // of nobody, so nobody's removal takes it along
    assert_eq!(page.get(&format!("/devices/{}", own.id)).await.body["state"], "active");
}

#[tokio::test]
async fn what_an_account_must_not_become_is_refused_in_a_code_of_its_own() {
    let server = TestApp::new().await;
    let owner = Client::of_browser(&server, &server.admin().await).with("if-match", "*");
    let admin = Client::of_browser(&server, &server.person("ann", Role::Admin).await).with("if-match", "*");

    for (page, method, path, body, expected) in [
        (&owner, "PATCH", "/users/ada", json!({ "role": "admin" }), (409, "last-owner")),
        (&owner, "PATCH", "/users/ada", json!({ "disabled": true }), (409, "last-owner")),
        (&owner, "DELETE", "/users/ada", json!(null), (409, "last-owner")),
        (&owner, "PATCH", "/users/nobody", json!({ "disabled": true }), (404, "not-found")),
        (&owner, "PATCH", "/users/ann", json!({ "role": "root" }), (422, "value-invalid")),
        (&admin, "PATCH", "/users/ada", json!({ "disabled": true }), (403, "forbidden")),
        (&admin, "PATCH", "/users/ann", json!({ "role": "owner" }), (403, "forbidden")),
        (&admin, "DELETE", "/users/ada", json!(null), (403, "forbidden")),
        (&admin, "POST", "/users/ada/reset-link", json!({}), (403, "forbidden")),
        (&admin, "POST", "/account-invites", json!({ "role": "owner" }), (403, "forbidden")),
    ] {
        let sent = page.send(method, path, Some(body).filter(|body| !body.is_null())).await;
        let refused = super::client::read(sent).await;
        assert_eq!((refused.status, refused.code()), expected, "{method} {path}: {}", refused.body);
    }
}

#[tokio::test]
async fn a_token_gives_nobody_a_right_that_it_lacks_and_makes_no_way_to_sign_in() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.person("mel", Role::Member).await;
    let token = page.token(&server, "hr", &["manage-users", "read-mesh", "read-activity"]).await.with("if-match", "*");

    let viewer = token.patch("/users/mel", json!({ "role": "viewer" })).await;
    let operator = token.patch("/users/mel", json!({ "role": "operator" })).await;
    let invite = token.post("/account-invites", json!({ "role": "member" })).await;
    let reset = token.post("/users/ada/reset-link", json!({})).await;

    assert_eq!((viewer.status, operator.code()), (200, "forbidden"));
    assert!(operator.body["detail"].as_str().unwrap().contains("the token lacks the right manage-devices"));
    assert_eq!((invite.code(), reset.code()), ("session-needed", "session-needed"));
}

#[tokio::test]
async fn an_invite_makes_an_account_once_and_a_withdrawn_one_makes_none() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let wish = json!({ "role": "viewer", "note": "Grace" });

    let made = page.with("idempotency-key", "one").post("/account-invites", wish.clone()).await;
    let again = page.with("idempotency-key", "one").post("/account-invites", wish.clone()).await;
    let withdrawn = page.post("/account-invites", wish).await;
    let listed = page.get("/account-invites").await;
    let path = format!("/account-invites/{}", withdrawn.body["id"].as_str().unwrap());
    let gone = (page.delete(&path).await.status, page.delete(&path).await.status);
    let (joined, refused) = (join(&server, &made, "grace").await, join(&server, &withdrawn, "mallory").await);
    let used = join(&server, &made, "heidi").await;

    assert_eq!((made.status, &made.body, gone), (201, &again.body, (204, 404)));
    let notes: Vec<_> = listed.body["items"].as_array().unwrap().iter().map(|item| item["note"].clone()).collect();
    assert!(notes == ["Grace", "Grace"] && !listed.body.to_string().contains("http"), "{}", listed.body);
    assert_eq!((joined, refused, used), (303, 422, 422));
    assert_eq!(page.get("/users/grace").await.body["role"], "viewer");
    assert_eq!(page.get("/account-invites").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_reset_link_sets_another_password() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.person("mel", Role::Member).await;

    let link = page.post("/users/mel/reset-link", json!({ "drop_factors": true })).await;

    let token = link.body["url"].as_str().unwrap().rsplit_once("/reset#").unwrap().1.to_owned();
    let mut browser = server.visitor();
    let form = browser.get("/reset").await;
    let set = browser.submit(&form, "/reset", &[("link", &token), ("password", "a longer sentence")]).await;
    assert_eq!((link.status, set.status), (201, 303), "{}", set.body);
    assert_eq!(server.visitor().sign_in("mel", "a longer sentence").await.status, 303);
}

/// Opens the link of an invite.
async fn join(server: &TestApp, made: &super::client::Answer, name: &str) -> u16 {
    let token = made.body["url"].as_str().unwrap().rsplit_once("/join#").unwrap().1.to_owned();
    let mut browser = server.visitor();
    let form = browser.get("/join").await;
    browser.submit(&form, "/join", &[("link", &token), ("name", name), ("password", PASSWORD)]).await.status
}
