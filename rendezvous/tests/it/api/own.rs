//! One's own account: its name, the browsers and the passkeys that sign in to it.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use warren_rendezvous::store::Passkey;

use super::client::Client;
use crate::common::{PASSWORD, TestApp};

#[tokio::test]
async fn an_account_is_renamed_by_its_person_and_by_no_token() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.person("mel", warren_rendezvous::domain::Role::Member).await;
    let token = page.token(&server, "t", &["manage-users"]).await.with("if-match", "*");
    let seen = page.get("/me").await;
    let keyed = page.with("if-match", seen.header("etag"));

    let taken = keyed.patch("/me", json!({ "name": "mel" })).await;
    let wrong = keyed.patch("/me", json!({ "name": "a b" })).await;
    let renamed = keyed.patch("/me", json!({ "name": "ada.l" })).await;
    let stale = keyed.patch("/me", json!({ "name": "ada" })).await;

    assert_eq!((taken.code(), wrong.code(), stale.code()), ("name-taken", "name-invalid", "precondition-failed"));
    assert_eq!((renamed.status, &renamed.body["name"], &renamed.body["role"]), (200, &json!("ada.l"), &json!("owner")));
    assert_eq!(token.patch("/me", json!({ "name": "ada" })).await.code(), "session-needed");
    assert_eq!(server.visitor().sign_in("ada.l", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_person_ends_one_session_or_all_others() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut browser = server.visitor();
        browser.sign_in("ada", PASSWORD).await;
        others.push(Client::of_browser(&server, &browser));
    }
    let foreign = Client::of_browser(&server, &server.person("mel", warren_rendezvous::domain::Role::Member).await);
    let own = |answer: super::client::Answer| {
        let mut all = answer.body["items"].as_array().unwrap().clone();
        all.retain(|session| session["current"] == true);
        all[0]["id"].as_str().unwrap().to_owned()
    };
    let (second, melanie) = (own(others[1].get("/me/sessions").await), own(foreign.get("/me/sessions").await));

    let ended = page.delete(&format!("/me/sessions/{second}")).await;
    let twice = page.delete(&format!("/me/sessions/{second}")).await;
    let refused = page.delete(&format!("/me/sessions/{melanie}")).await;
    let left = page.get("/me/sessions").await;
    let rest = page.delete("/me/sessions").await;

    assert_eq!((ended.status, twice.code(), refused.code(), rest.status), (204, "not-found", "not-found", 204));
    assert_eq!(left.body["items"].as_array().unwrap().len(), 3);
    for other in &others {
        assert_eq!(other.get("/me").await.code(), "sign-in-first");
    }
    assert_eq!((page.get("/me").await.status, foreign.get("/me").await.status), (200, 200));
    assert_eq!(page.delete("/me/sessions/nonsense").await.code(), "query-invalid");
}

#[tokio::test]
async fn a_passkey_is_removed_unless_it_is_the_only_way_in() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let (blue, red) = (passkey(&server, "ada", b"blue").await, passkey(&server, "ada", b"red").await);

    let listed = page.get("/me/passkeys").await;
    let removed = page.delete(&format!("/me/passkeys/{blue}")).await;
    let again = page.delete(&format!("/me/passkeys/{blue}")).await;
    // as one who came by a provider and has left it
    let ada = server.app.store().admin_by_name("ada").await.unwrap().unwrap();
    let mut tx = server.app.store().begin().await.unwrap();
    tx.set_admin_password(ada.id, "").await.unwrap();
    tx.commit().await.unwrap();
    let last = page.delete(&format!("/me/passkeys/{red}")).await;

    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    assert_eq!((removed.status, again.code()), (204, "not-found"));
    assert_eq!((last.status, last.code()), (409, "only-way-in"));
    assert_eq!(page.get("/me/passkeys").await.body["items"][0]["id"], json!(red));
}

#[tokio::test]
async fn without_a_provider_there_is_none_to_leave() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);

    assert_eq!(page.delete("/me/provider").await.code(), "not-found");
}

/// A passkey of somebody, as its page would add it; its id in the way paths have it.
pub(super) async fn passkey(server: &TestApp, name: &str, id: &[u8]) -> String {
    let user = server.app.store().admin_by_name(name).await.unwrap().unwrap();
    let passkey = Passkey {
        id: id.to_vec(),
        user_id: user.id,
        name: "a key".to_owned(),
        public_key: vec![1],
        algorithm: -7,
        sign_count: 0,
        created_at: server.app.now(),
        last_used_at: None,
    };
    let mut tx = server.app.store().begin().await.unwrap();
    tx.insert_passkey(&passkey).await.unwrap();
    tx.commit().await.unwrap();
    BASE64URL_NOPAD.encode(id)
}
