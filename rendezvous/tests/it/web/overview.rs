//! The overview and the settings.

use std::time::Duration;

use warren_rendezvous::actions::{self, InviteRequest};
use warren_rendezvous::domain::{Actor, Role};

use crate::common::{TestApp, text};

#[tokio::test]
async fn an_empty_network_is_taught_the_next_step() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;

    let page = browser.get("/").await;

    assert!(text(&page.body).contains("Your network has no devices yet") && page.body.contains("/devices/new"));
}

#[tokio::test]
async fn what_wants_attention_is_said_with_the_way_to_it() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    assert!(text(&browser.get("/").await.body).contains("Nothing wants attention"));
    let ends = InviteRequest {
        name: "rack".to_owned(),
        reusable: true,
        expires_after: Some(Duration::from_secs(366 * 86_400)),
        ..InviteRequest::default()
    };
    actions::create_invite(&server.app, &Actor::Cli, ends).await.unwrap();
    let endless = InviteRequest { name: "image".to_owned(), reusable: true, ..InviteRequest::default() };
    actions::create_invite(&server.app, &Actor::Cli, endless).await.unwrap();
    server.clock.advance(Duration::from_secs(364 * 86_400));
    let mut browser = sign_in(&server).await;

    let page = browser.get("/").await;

    let shown = text(&page.body);
    for sentence in [
        "The certificate of laptop ends, and it has not been online to get another",
        "The enrolment key rack ends in 2 d",
        "The enrolment key image lets in any number of devices and never ends",
        "1 device was not seen for 90 days",
    ] {
        assert!(shown.contains(sentence), "{sentence} in {shown}");
    }
    assert!(page.body.contains(&format!("/devices/{}", device.id)) && shown.contains("0 of 1"));
    assert!(shown.contains("signed in"), "what happened last is there");
}

#[tokio::test]
async fn a_member_is_led_to_their_devices() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut member = server.person("mia", Role::Member).await;

    assert_eq!(member.get("/").await.location(), "/devices");
}

#[tokio::test]
async fn the_network_gets_another_name_and_the_log_says_what_it_was() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/settings").await;

    let saved = browser.submit(&page, "/settings/name", &[("name", "Ada's <home>")]).await;
    let refused = browser.submit(&page, "/settings/name", &[("name", "  ")]).await;

    assert_eq!((saved.status, refused.status), (303, 422));
    assert!(text(&refused.body).contains("1 to 100 characters"));
    let overview = browser.get("/").await;
    assert!(text(&overview.body).contains("Ada's <home>") && !overview.body.contains("<home>"));
    let activity = text(&browser.get("/activity?kind=network").await.body);
    assert!(activity.contains("name: warren Ada's <home>"), "{activity}");
    assert!(page.body.contains("href=\"/system\""), "how it was started is said elsewhere");
}

/// Ada again, whose session has ended meanwhile.
async fn sign_in(server: &TestApp) -> crate::common::Visitor {
    let mut browser = server.visitor();
    let page = browser.get("/sign-in").await;
    let answer = browser.submit(&page, "/sign-in", &[("name", "ada"), ("password", crate::common::PASSWORD)]).await;
    assert_eq!(answer.status, 303);
    browser
}
