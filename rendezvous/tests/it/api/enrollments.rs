//! Devices that ask to be let in.

use std::net::IpAddr;

use serde_json::json;
use warren_proto::keys::StaticPublic;
use warren_rendezvous::actions::{self, Asked, Enrolment};
use warren_rendezvous::domain::Role;

use super::client::Client;
use crate::common::{TestApp, identity};

#[tokio::test]
async fn one_that_waits_is_seen_let_in_on_terms_and_waits_no_more() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let code = ask(&server, 7, [192, 0, 2, 77].into()).await;
    let path = format!("/enrollments/{code}");

    let listed = page.get("/enrollments").await;
    let shown = page.get(&path.to_lowercase()).await;
    let let_in = page.post(&format!("{path}/approve"), json!({ "name": "kitchen", "tags": ["home"] })).await;
    let again = page.post(&format!("{path}/approve"), json!({})).await;

    assert_eq!((&listed.body["items"][0], shown.status), (&shown.body, 200));
    assert_eq!((&shown.body["address"], &shown.body["hostname"]), (&json!("192.0.2.77"), &json!("laptop")));
    assert_eq!((let_in.status, &let_in.body["name"], &let_in.body["tags"]), (201, &json!("kitchen"), &json!(["home"])));
    assert_eq!(let_in.body["owner_id"], page.get("/me").await.body["id"]);
    assert_eq!(let_in.header("etag"), page.get("/devices/kitchen").await.header("etag"));
    assert_eq!((again.code(), page.get(&path).await.code()), ("not-found", "not-found"));
    assert_eq!(page.get("/enrollments").await.body["items"], json!([]));
}

#[tokio::test]
async fn one_that_is_kept_out_waits_no_more() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    let code = ask(&server, 7, [192, 0, 2, 77].into()).await;

    let denied = page.send("POST", &format!("/enrollments/{code}/deny"), None).await.status();
    let again = page.send("POST", &format!("/enrollments/{code}/deny"), None).await.status();

    assert_eq!((denied.as_u16(), again.as_u16()), (204, 404));
    assert_eq!(page.get("/enrollments").await.body["items"], json!([]));
    assert_eq!(page.get("/audit?action=enrolment.deny").await.body["items"][0]["actor"], "user:ada");
}

#[tokio::test]
async fn a_member_lets_in_whose_code_they_know_and_sees_no_list() {
    let server = TestApp::new().await;
    server.admin().await;
    let member = Client::of_browser(&server, &server.person("mel", Role::Member).await);
    let token = member.token(&server, "t", &["manage-devices", "read-mesh"]).await;
    let code = ask(&server, 7, [192, 0, 2, 77].into()).await;

    let list = token.get("/enrollments").await;
    let let_in = token.post(&format!("/enrollments/{code}/approve"), json!({})).await;

    assert_eq!((list.code(), let_in.status), ("forbidden", 201));
    assert_eq!(token.get("/devices").await.body["items"][0]["name"], "laptop");
}

#[tokio::test]
async fn one_that_may_not_come_as_it_is_is_refused_in_a_code_of_its_own() {
    let server = TestApp::new().await;
    let page = Client::of_browser(&server, &server.admin().await);
    server.device("desktop", 1).await;
    let code = ask(&server, 7, [192, 0, 2, 77].into()).await;
    // a copy of the desktop's static key, under another identity
    let copy = ask_as(&server, 8, 1, [192, 0, 2, 78].into()).await;

    for (code, wish, expected) in [
        (&code, json!({ "name": "desktop" }), (409, "name-taken")),
        (&code, json!({ "name": "a b" }), (422, "name-invalid")),
        (&code, json!({ "tags": ["two words"] }), (422, "value-invalid")),
        (&copy, json!({}), (409, "key-taken")),
        (&"BCDF-GHJK".to_owned(), json!({}), (404, "not-found")),
        (&"nonsense".to_owned(), json!({}), (404, "not-found")),
    ] {
        let refused = page.post(&format!("/enrollments/{code}/approve"), wish.clone()).await;
        assert_eq!((refused.status, refused.code()), expected, "{wish}");
    }
    assert_eq!(page.get("/enrollments").await.body["items"].as_array().unwrap().len(), 2);
}

/// A device that asks from there; its code.
pub(super) async fn ask(server: &TestApp, key: u8, from: IpAddr) -> String {
    ask_as(server, key, key, from).await
}

async fn ask_as(server: &TestApp, identity_key: u8, static_key: u8, from: IpAddr) -> String {
    let enrolment = Enrolment {
        secret: Vec::new(),
        identity_key: identity(identity_key).public(),
        static_key: StaticPublic::new([static_key; 32]),
        hostname: "laptop".to_owned(),
        os: "linux aarch64".to_owned(),
        agent_version: "0.1.0".to_owned(),
    };
    match actions::ask_to_join(&server.app, &enrolment, from).await.unwrap() {
        Asked::Waiting(asked) => asked.code.to_string(),
        Asked::Admitted(_) => panic!("admitted without a person"),
    }
}
