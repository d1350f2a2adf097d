//! The setup link: makes the first administrator, once.

use std::time::Duration;

use warren_rendezvous::actions::{self, InviteRequest};
use warren_rendezvous::domain::Actor;

use crate::common::{PASSWORD, TestApp, text};

#[tokio::test]
async fn the_setup_link_makes_an_administrator_who_is_signed_in_and_lands_on_adding_a_device() {
    let server = TestApp::new().await;
    let token = server.setup_token().await;
    let mut browser = server.visitor();
    let page = browser.get("/setup").await;

    let answer = browser.submit(&page, "/setup", &[("link", &token), ("name", "ada"), ("password", PASSWORD)]).await;

    assert!(answer.status == 303 && answer.location().starts_with("/devices/new/"), "{}", answer.location());
    let landed = browser.get(answer.location()).await;
    assert_eq!(landed.status, 200);
    assert!(text(&landed.body).contains("ada") && text(&landed.body).contains("sudo warren up warren_inv_"));
}

#[tokio::test]
async fn in_a_container_the_first_browser_from_elsewhere_shows_how_devices_reach_the_server() {
    let server = TestApp::in_container().await;
    let link = actions::create_setup_token(&server.app).await.unwrap().unwrap();
    let (_, token) = link.split_once("https://localhost/setup#").unwrap();
    let mut browser = server.visitor();
    browser.headers = vec![("host", "localhost".to_owned())];
    let page = browser.get("/setup").await;

    let answer = browser.submit(&page, "/setup", &[("link", token), ("name", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/devices", "nothing to add devices by");
    let page = browser.get("/devices/new").await;
    let refused = browser.submit(&page, "/devices/new", &[]).await;
    browser.headers = vec![("host", "192.0.2.10:8443".to_owned())];
    let added = browser.submit(&page, "/devices/new", &[]).await;

    assert!(refused.status == 409 && text(&refused.body).contains("By which address"), "{}", text(&refused.body));
    assert_eq!(added.status, 303, "{}", added.body);
    let invite = actions::create_invite(&server.app, &Actor::Cli, InviteRequest::default()).await.unwrap().invite;
    assert_eq!((invite.servers[0].as_str(), invite.web.as_str()), ("192.0.2.10:443", "https://192.0.2.10:8443"));
}

#[tokio::test]
async fn without_scripts_the_whole_link_can_be_pasted() {
    let server = TestApp::new().await;
    let link = format!(" https://vpn.example.org/setup#{}\n", server.setup_token().await);
    let mut browser = server.visitor();
    let page = browser.get("/setup").await;

    let answer = browser.submit(&page, "/setup", &[("link", &link), ("name", "ada"), ("password", PASSWORD)]).await;

    assert_eq!(answer.status, 303, "{}", answer.body);
}

#[tokio::test]
async fn a_used_setup_link_makes_nobody_else() {
    let server = TestApp::new().await;
    let (token, other) = (server.setup_token().await, server.setup_token().await);
    let mut first = server.visitor();
    let mut second = server.visitor();
    let (page, stale) = (first.get("/setup").await, second.get("/setup").await);
    first.submit(&page, "/setup", &[("link", &token), ("name", "ada"), ("password", PASSWORD)]).await;

    for link in [token, other] {
        let answer = second.submit(&stale, "/setup", &[("link", &link), ("name", "eve"), ("password", PASSWORD)]).await;

        assert_eq!(answer.status, 422);
        assert!(text(&answer.body).contains("setup link does not work"), "{}", text(&answer.body));
    }
    assert_eq!(second.get("/setup").await.location(), "/sign-in");
    assert_eq!(server.app.store().admin_count().await.unwrap(), 1);
}

#[tokio::test]
async fn an_expired_or_invented_setup_link_is_refused() {
    let server = TestApp::new().await;
    let token = server.setup_token().await;
    let mut browser = server.visitor();
    let page = browser.get("/setup").await;
    server.clock.advance(Duration::from_secs(30 * 86_400));

    for link in [token.as_str(), "AAAA", ""] {
        let answer = browser.submit(&page, "/setup", &[("link", link), ("name", "eve"), ("password", PASSWORD)]).await;

        assert_eq!(answer.status, 422);
    }
    assert_eq!(server.app.store().admin_count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_weak_password_is_refused_and_the_rest_of_the_form_is_kept() {
    let server = TestApp::new().await;
    let token = server.setup_token().await;
    let mut browser = server.visitor();
    let page = browser.get("/setup").await;

    for weak in ["elevenchars", "aaaaaaaaaaaaa", "Password1234"] {
        let answer = browser.submit(&page, "/setup", &[("link", &token), ("name", "ada"), ("password", weak)]).await;

        assert_eq!(answer.status, 422);
        assert!(answer.body.contains(&format!("value=\"{token}\"")) && answer.body.contains("value=\"ada\""));
        assert!(!answer.body.contains(weak), "the password came back");
    }
}

#[tokio::test]
async fn guessing_setup_links_is_throttled() {
    let server = TestApp::new().await;
    let mut browser = server.visitor();
    let page = browser.get("/setup").await;
    let fields = [("link", "guess"), ("name", "eve"), ("password", "short")];
    for _ in 0..10 {
        assert_eq!(browser.submit(&page, "/setup", &fields).await.status, 422);
    }

    let answer = browser.submit(&page, "/setup", &fields).await;

    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
}
