//! The page of the server itself.

use std::time::Duration;

use warren_rendezvous::actions;

use super::pairs::LOOPBACK;
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

#[tokio::test]
async fn backup_disk_and_certificate_are_shown_with_what_to_do_when_something_is_wrong() {
    let server = TestApp::at_present(&(LOOPBACK.to_owned() + "\nbackup-keep = 2")).await;
    let mut browser = server.admin().await;
    // an overview without devices has nothing else to say
    server.device("laptop", 1).await;
    server.serve().await;

    let before = text(&browser.get("/system").await.body);
    actions::keep_backups(&server.app).await.unwrap();
    let after = text(&browser.get("/system").await.body);
    // where backups go there is a file instead
    let backups = server.app.config().data_dir.join("backups");
    std::fs::remove_dir_all(&backups).unwrap();
    std::fs::write(&backups, "").unwrap();
    server.clock.advance(Duration::from_secs(37 * 3600));
    actions::keep_backups(&server.app).await.unwrap_err();
    let broken = text(&browser.get("/system").await.body);
    let overview = text(&browser.get("/").await.body);

    assert!(before.contains("none yet; the first is made") && before.contains("good until 4096-01-01"), "{before}");
    assert!(after.contains("nightly-") && after.contains("nothing is wrong"), "{after}");
    assert!(after.contains("Room on the disk"), "{after}");
    assert!(broken.contains("backups") && !broken.contains("nothing is wrong"), "{broken}");
    assert!(overview.contains("The nightly backup:"), "{overview}");
}
