//! Webhooks through the pages.

use crate::common::{TestApp, lint, text};

const ALLOWED: &str = "webhook-allow = [\"127.0.0.0/8\"]";

#[tokio::test]
async fn a_webhook_is_made_shows_its_secret_in_one_browser_and_is_tried_out() {
    let server = TestApp::with_settings(ALLOWED).await;
    let mut browser = server.admin().await;
    let mut other = browser.clone();
    let page = browser.get("/webhooks").await;
    assert!(text(&page.body).contains("Nobody is told anything"));

    let fields = [
        ("name", "<b>chat</b>"),
        ("url", "http://127.0.0.1:1/hook"),
        ("event", "device.*"),
        ("event", "user.*"),
        ("more", "network.rename"),
        ("enabled", "1"),
    ];
    let made = browser.submit(&page, "/webhooks", &fields).await;
    let path = made.location().split('?').next().unwrap().to_owned();
    let shown = browser.get(made.location()).await;
    let secret = shown.body.split_once("<code id=\"secret\">").unwrap().1.split('<').next().unwrap().to_owned();
    let tried = browser.submit(&shown, &format!("{path}/test"), &[]).await;
    let after = browser.get(tried.location()).await;
    let list = browser.get("/webhooks").await;

    assert_eq!((made.status, secret.len()), (303, 64));
    assert!(!other.get(&path).await.body.contains(&secret), "another browser sees the secret");
    assert!(tried.location().ends_with("done=untold"));
    assert!(text(&after.body).contains("pingnone Cannot connect to 127.0.0.1:1"), "{}", text(&after.body));
    let words = text(&list.body);
    for part in ["<b>chat</b>", "http://127.0.0.1:1/hook", "fails", "device.*", "user.*", "network.rename"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    for (name, page) in [("made", &shown), ("tried", &after), ("list", &list)] {
        lint(name, &page.body);
        assert!(!page.body.contains("<b>chat"), "{name}");
    }
}

#[tokio::test]
async fn a_webhook_is_changed_by_who_has_seen_it_given_another_secret_and_removed() {
    let server = TestApp::with_settings(ALLOWED).await;
    let mut browser = server.admin().await;
    let page = browser.get("/webhooks").await;
    let fields = [("name", "chat"), ("url", "http://127.0.0.1:1/"), ("enabled", "1")];
    let made = browser.submit(&page, "/webhooks", &fields).await;
    let path = made.location().split('?').next().unwrap().to_owned();
    let seen = browser.get(&path).await;
    let secret = |body: &str| body.split_once("<code id=\"secret\">").unwrap().1.split('<').next().unwrap().to_owned();
    let version = crate::common::attribute(&seen.body, "name=\"version\"", "value").unwrap();
    let more = [("name", "room"), ("url", "http://127.0.0.1:1/"), ("more", "device.*"), ("version", version.as_str())];
    // one that waits, which switching off forgets
    server.device("laptop", 1).await;

    let waiting = text(&browser.get(&path).await.body);
    let changed = browser.submit(&seen, &path, &more).await;
    let stale = browser.submit(&seen, &path, &more).await;
    let now = browser.get(&path).await;
    let rotated = browser.submit(&now, &format!("{path}/rotate"), &[]).await;
    let renewed = browser.get(rotated.location()).await;
    let removed = browser.submit(&now, &format!("{path}/remove"), &[]).await;

    assert!(waiting.contains("device.enrol") && waiting.contains("of 1000 at most"), "{waiting}");
    assert_eq!((changed.status, stale.status, removed.location()), (303, 422, "/webhooks?done=removed"));
    assert!(text(&stale.body).contains("Somebody has changed it meanwhile"));
    let words = text(&now.body);
    assert!(words.contains("room switched off") && words.contains("Waiting0"), "{words}");
    assert_ne!(secret(&seen.body), secret(&renewed.body));
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn what_will_not_do_is_refused_and_kept_in_the_form() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/webhooks").await;

    for (fields, words) in [
        ([("name", "chat"), ("url", "ftp://example.org"), ("more", "")], "http"),
        ([("name", "chat"), ("url", "https://example.org"), ("more", "Two words")], "An event is a word"),
        ([("name", " "), ("url", "https://example.org"), ("more", "device.*")], "A name has 1 to 100 characters."),
    ] {
        let refused = browser.submit(&page, "/webhooks", &fields).await;
        assert!(refused.status == 422 && text(&refused.body).contains(words), "{}", text(&refused.body));
        assert!(refused.body.contains(&format!("value=\"{}\"", fields[1].1)));
    }
    assert!(server.app.store().webhooks().await.unwrap().is_empty());
}
