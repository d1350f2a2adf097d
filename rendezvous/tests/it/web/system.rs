//! The page of the server itself.

use crate::common::{TestApp, text};

#[tokio::test]
async fn the_settings_in_force_are_shown_and_no_secret_is() {
    let server = TestApp::with_settings("tls = \"proxy\"").await;
    let mut browser = server.admin().await;

    let page = browser.get("/system").await;

    let shown = text(&page.body);
    assert_eq!(page.status, 200, "{shown}");
    for words in [
        env!("CARGO_PKG_VERSION"),
        "SQLite",
        "as this version wants it",
        "relay-offloadon",
        "tlsproxy",
        "a proxy before this server",
        "vpn.example.org",
    ] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
}

#[tokio::test]
async fn strangers_learn_nothing_of_the_server() {
    let server = TestApp::new().await;
    server.admin().await;

    let answer = server.visitor().get("/system").await;

    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(!answer.body.contains("data-dir"));
}
