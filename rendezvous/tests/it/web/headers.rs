//! What every response carries, and what no page contains.

use crate::common::{TestApp, attribute, lint};

#[tokio::test]
async fn every_response_carries_the_policy_and_no_page_breaks_it() {
    let server = TestApp::new().await;
    let blank = server.visitor();
    let mut blank = blank;
    let setup = blank.get("/setup").await;
    lint("/setup", &setup.body);
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    server.device("desktop", 2).await;
    let page = browser.get("/devices/new").await;
    let invited = browser.submit(&page, "/devices/new", &[]).await.location().to_owned();
    let css = attribute(&page.body, "rel=\"stylesheet\"", "href").unwrap();
    let own = format!("/devices/{}", device.id);
    let user = format!("/users/{}", server.app.store().admin_by_name("ada").await.unwrap().unwrap().id);

    for path in [
        "/",
        "/setup",
        "/devices",
        "/devices/new",
        &invited,
        &own,
        &format!("{own}/revoke"),
        "/activity",
        "/account",
        "/account/authenticator",
        "/join",
        "/reset",
        "/users",
        "/users/invite",
        &user,
        &format!("{user}/remove"),
        "/healthz",
        "/readyz",
        &css,
        "/no/such/page",
        "/devices/x",
        "/assets/none.css",
    ] {
        let page = browser.get(path).await;

        let header = |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types app",
        ] {
            assert!(policy.contains(part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert!(header("permissions-policy").contains("camera=()"), "{path}");
        assert!(header("strict-transport-security").starts_with("max-age="), "{path}");
        let cache = header("cache-control");
        assert!(if path == css { cache.contains("immutable") } else { cache == "no-store" }, "{path}: {cache}");
        if header("content-type").starts_with("text/html") {
            lint(path, &page.body);
        }
    }
}

#[tokio::test]
async fn a_refused_form_and_a_wrong_method_carry_the_policy_too() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;

    for page in
        [browser.post("/devices/new", &[]).await, browser.post("/activity", &[]).await, browser.get("/sign-out").await]
    {
        assert!(page.status >= 400);
        assert!(page.headers.contains_key("content-security-policy"));
        lint("refused", &page.body);
    }
}

#[tokio::test]
async fn a_form_longer_than_any_of_ours_is_refused() {
    let server = TestApp::new().await;
    let mut browser = server.visitor();
    let page = browser.get("/sign-in").await;

    let answer = browser.submit(&page, "/sign-in", &[("name", &"a".repeat(20_000)), ("password", "x")]).await;

    assert_eq!(answer.status, 422);
}
