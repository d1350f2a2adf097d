//! The activity page.

use warren_rendezvous::actions;
use warren_rendezvous::domain::{Actor, Expected};

use crate::common::{TestApp, attribute, text};

#[tokio::test]
async fn every_change_is_told_with_who_made_it() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    let path = format!("/devices/{}", device.id);
    let page = browser.get(&path).await;
    browser.submit(&page, &format!("{path}/rename"), &[("name", "kitchen")]).await;
    browser.submit(&page, &format!("{path}/revoke"), &[]).await;

    let shown = text(&browser.get("/activity").await.body);

    for sentence in [
        "ada signed in",
        "created the account ada",
        "ada renamed kitchen (laptop to kitchen)",
        "ada revoked kitchen",
        "kitchen joined",
    ] {
        assert!(shown.contains(sentence), "{sentence} in {shown}");
    }
}

#[tokio::test]
async fn the_log_is_filtered_by_actor_object_kind_and_day() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (laptop, _) = (server.device("laptop", 1).await, server.device("phone", 2).await);
    let path = format!("/devices/{}", laptop.id);
    let page = browser.get(&path).await;
    browser.submit(&page, &format!("{path}/relay"), &[("use_relay", "only")]).await;

    for (query, has, has_not) in [
        ("?object=laptop", "ada held laptop", "phone joined"),
        ("?kind=session", "ada signed in", "joined"),
        ("?actor=ada", "ada held laptop", "joined"),
        ("?actor=nobody", "Nothing is like that", "ada held"),
        ("?from=2030-01-01", "Nothing is like that", "ada held"),
        ("?to=2026-11-23&from=2026-11-23", "ada held laptop", "Nothing is like that"),
        ("?from=someday", "ada held laptop", "Nothing is like that"),
    ] {
        let shown = text(&browser.get(&format!("/activity{query}")).await.body);

        assert!(shown.contains(has) && !shown.contains(has_not), "{query}: {shown}");
    }
    let shown = text(&browser.get("/activity?object=laptop").await.body);
    assert!(shown.contains("paths: direct where possible relay only") && shown.contains("from 0.0.0.0"), "{shown}");
    let table = browser.get("/activity.csv?kind=device").await.body;
    assert!(table.lines().any(|line| line.contains("user:ada") && line.contains("device.hold-to-relay")), "{table}");
}

#[tokio::test]
async fn a_long_log_has_pages() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    for _ in 0..60 {
        actions::rename_network(&server.app, &Actor::Cli, "one", &Expected::Any).await.unwrap();
        actions::rename_network(&server.app, &Actor::Cli, "two", &Expected::Any).await.unwrap();
    }

    let first = browser.get("/activity?kind=network").await;
    let older = attribute(&first.body, "rel=\"next\"", "href").unwrap();
    let second = browser.get(&older).await;

    assert_eq!(first.body.matches("named the network").count(), 100);
    assert_eq!(second.body.matches("named the network").count(), 20);
    assert!(second.body.contains(">Newest</a>") && !second.body.contains("rel=\"next\""));
}
