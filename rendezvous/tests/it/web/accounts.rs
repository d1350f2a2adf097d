//! Signing in and out, and the sessions in between.

use std::time::Duration;

use crate::common::{PASSWORD, Page, TestApp, Visitor, text};

async fn sign_in(browser: &mut Visitor, name: &str, password: &str) -> Page {
    let page = browser.get("/sign-in").await;
    browser.submit(&page, "/sign-in", &[("name", name), ("password", password)]).await
}

#[tokio::test]
async fn the_right_password_begins_a_session_and_leads_back_to_the_page_asked_for() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut browser = server.visitor();
    let asked = browser.get("/activity").await;
    let page = browser.get(asked.location()).await;

    let answer =
        browser.submit(&page, "/sign-in", &[("name", "ada"), ("password", PASSWORD), ("next", "/activity")]).await;

    assert_eq!(asked.location(), "/sign-in?next=%2Factivity");
    assert_eq!((answer.status, answer.location()), (303, "/activity"));
    assert_eq!(browser.get("/activity").await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut browser = server.visitor();

    let wrong = sign_in(&mut browser, "ada", "blue kettle of snow").await;
    let unknown = sign_in(&mut browser, "eve", "blue kettle of snow").await;

    assert_eq!((wrong.status, unknown.status), (422, 422));
    assert_eq!(text(&wrong.body), text(&unknown.body));
    assert!(!browser.cookies.contains_key("__Host-warren"));
}

#[tokio::test]
async fn signing_in_is_throttled_by_client_and_opens_again() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut browser = server.visitor();
    server.clock.advance(Duration::from_secs(60));
    for guess in 0..10 {
        assert_eq!(sign_in(&mut browser, &format!("name{guess}"), "no such password").await.status, 422);
    }

    let refused = sign_in(&mut browser, "ada", PASSWORD).await;
    server.clock.advance(Duration::from_secs(6));
    let later = sign_in(&mut browser, "ada", PASSWORD).await;

    assert_eq!((refused.status, later.status), (429, 303));
    assert!(text(&refused.body).contains("Try again in"));
}

#[tokio::test]
async fn what_was_counted_is_remembered_over_a_restart() {
    let server = TestApp::new().await;
    server.admin().await;
    server.clock.advance(Duration::from_secs(60));
    let mut browser = server.visitor();
    for _ in 0..6 {
        sign_in(&mut browser, "ada", "blue kettle of snow").await;
    }

    let server = server.restart().await;
    let refused = sign_in(&mut server.visitor(), "ada", PASSWORD).await;
    let mut browser = server.visitor();
    for guess in 0..4 {
        sign_in(&mut browser, &format!("name{guess}"), "no such password").await;
    }
    let exhausted = sign_in(&mut browser, "bob", PASSWORD).await;

    assert_eq!((refused.status, exhausted.status), (429, 429), "the name waits, and so does the address");
}

#[tokio::test]
async fn repeated_failures_for_one_name_make_it_wait() {
    let server = TestApp::new().await;
    server.admin().await;
    server.clock.advance(Duration::from_secs(60));
    let mut browser = server.visitor();
    for _ in 0..6 {
        sign_in(&mut browser, "ada", "blue kettle of snow").await;
    }

    let refused = sign_in(&mut browser, "ada", PASSWORD).await;
    server.clock.advance(Duration::from_secs(3));
    let later = sign_in(&mut browser, "ada", PASSWORD).await;

    assert_eq!((refused.status, later.status), (429, 303));
}

#[tokio::test]
async fn the_session_cookie_is_for_this_host_over_tls_and_no_script() {
    let server = TestApp::new().await;
    let token = server.setup_token().await;
    let mut browser = server.visitor();
    let page = browser.get("/setup").await;

    let answer = browser.submit(&page, "/setup", &[("link", &token), ("name", "ada"), ("password", PASSWORD)]).await;

    let cookies = answer.headers.get_all("set-cookie");
    let cookie =
        cookies.iter().map(|cookie| cookie.to_str().unwrap()).find(|cookie| cookie.contains("warren=")).unwrap();
    for part in ["__Host-warren=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("Domain"));
}

#[tokio::test]
async fn behind_a_proxy_without_tls_cookies_work_and_with_tls_they_are_restricted_to_it() {
    // requests that no socket brought come from 0.0.0.0
    let server = TestApp::with_settings("tls = \"proxy\"\ntrusted-proxies = [\"0.0.0.0/32\"]").await;
    server.admin().await;
    let (mut plain, mut secure) = (server.visitor(), server.visitor());
    secure.headers.push(("x-forwarded-proto", "https".to_owned()));

    assert_eq!(sign_in(&mut plain, "ada", PASSWORD).await.status, 303);
    assert_eq!(sign_in(&mut secure, "ada", PASSWORD).await.status, 303);

    assert!(plain.cookies.contains_key("warren") && secure.cookies.contains_key("__Host-warren"));
}

#[tokio::test]
async fn a_session_ends_after_two_idle_weeks_and_after_ninety_days_in_any_case() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let day = Duration::from_secs(86_400);

    for _ in 0..8 {
        server.clock.advance(10 * day);
        assert_eq!(browser.get("/devices").await.status, 200);
    }
    server.clock.advance(10 * day);
    assert_eq!(browser.get("/devices").await.location(), "/sign-in?next=%2Fdevices");

    assert_eq!(sign_in(&mut browser, "ada", PASSWORD).await.status, 303);
    server.clock.advance(14 * day);
    assert_eq!(browser.get("/devices").await.status, 303);
}

#[tokio::test]
async fn signing_in_again_replaces_the_session_and_signing_out_ends_it() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let before = browser.clone();
    browser.cookies.remove("__Host-warren");
    let page = browser.get("/sign-in").await;
    browser.cookies.clone_from(&before.cookies);

    browser.submit(&page, "/sign-in", &[("name", "ada"), ("password", PASSWORD)]).await;
    assert_ne!(browser.cookies["__Host-warren"], before.cookies["__Host-warren"]);
    assert_eq!(before.clone().get("/devices").await.status, 303, "the old session lives on");

    let page = browser.get("/devices").await;
    let kept = browser.clone();
    assert_eq!(browser.submit(&page, "/sign-out", &[]).await.location(), "/sign-in");
    assert_eq!(kept.clone().get("/devices").await.status, 303, "the cookie still works");
}

#[tokio::test]
async fn the_database_holds_no_session_token() {
    let server = TestApp::new().await;
    let browser = server.admin().await;

    let token = data_encoding::BASE64URL_NOPAD.decode(browser.cookies["__Host-warren"].as_bytes()).unwrap();

    let token: [u8; 32] = token.try_into().unwrap();
    assert!(server.app.store().session(&token).await.unwrap().is_none());
}

#[tokio::test]
async fn a_forged_form_changes_nothing() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices/new").await;
    let token = page.form_token();
    let mut stranger = server.visitor();
    let foreign = stranger.get("/sign-in").await.form_token();
    let with = |header: &'static str, value: &str| {
        let mut browser = browser.clone();
        browser.headers.push((header, value.to_owned()));
        browser
    };

    let answers = [
        with("x-nothing", "").post("/devices/new", &[]).await,
        with("x-nothing", "").post("/devices/new", &[("form_token", "guess")]).await,
        with("x-nothing", "").post("/devices/new", &[("form_token", &foreign)]).await,
        with("sec-fetch-site", "cross-site").post("/devices/new", &[("form_token", &token)]).await,
        with("sec-fetch-site", "same-site").post("/devices/new", &[("form_token", &token)]).await,
        with("origin", "https://evil.example").post("/devices/new", &[("form_token", &token)]).await,
        with("origin", "null").post("/devices/new", &[("form_token", &token)]).await,
    ];

    assert_eq!(answers.map(|answer| answer.status), [403; 7]);
    assert_eq!(server.app.store().invites(10).await.unwrap().len(), 1, "the one of the set-up");
    let real = with("sec-fetch-site", "same-origin").post("/devices/new", &[("form_token", &token)]).await;
    assert_eq!(real.status, 303);
}

#[tokio::test]
async fn nothing_behind_the_sign_in_is_shown_or_done_for_strangers() {
    let server = TestApp::new().await;
    server.admin().await;
    let device = server.device("laptop", 1).await;
    let mut stranger = server.visitor();

    for path in [
        "/devices".to_owned(),
        "/devices/live".to_owned(),
        "/devices/new".to_owned(),
        format!("/devices/{}", device.id),
        format!("/devices/{}/live", device.id),
        format!("/devices/{}/revoke", device.id),
        "/activity".to_owned(),
    ] {
        let page = stranger.get(&path).await;

        assert!(page.status == 303 && page.location().starts_with("/sign-in"), "{path}: {}", page.status);
        assert!(!page.body.contains("laptop"));
    }
    for path in ["/sign-out", "/devices/new", &format!("/devices/{}/revoke", device.id)] {
        assert_eq!(stranger.post(path, &[]).await.status, 303, "{path}");
    }
    assert!(server.app.store().device(device.id).await.unwrap().unwrap().ended_at.is_none());
}
