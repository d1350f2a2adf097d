//! Signing in at an OpenID provider that the test runs.

use serde_json::json;
use warren_rendezvous::domain::Role;

use crate::common::{PASSWORD, Page, Provider, TestApp, Visitor, text};

/// Goes to the provider and to where it sends the browser back.
async fn sign_in(provider: &Provider, browser: &mut Visitor, begin: &str) -> Page {
    let sent = browser.get(begin).await;
    assert_eq!(sent.status, 303, "{}", text(&sent.body));
    let back = provider.follow(sent.location()).await;
    let back = back.headers()["location"].to_str().unwrap().to_owned();
    browser.get(back.strip_prefix("https://vpn.example.org").unwrap()).await
}

async fn role(server: &TestApp, name: &str) -> Option<Role> {
    server.app.store().admin_by_name(name).await.unwrap().map(|user| user.role)
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_the_same_one_the_next_time() {
    let provider = Provider::start().await;
    let server = TestApp::with_settings(&provider.settings("")).await;
    server.admin().await;
    provider.say(json!({ "sub": "7", "preferred_username": "Bob Builder" }));
    let mut browser = server.visitor();
    let page = browser.get("/sign-in?next=%2Faccount").await;
    assert!(page.body.contains("href=\"/sign-in/oidc?next=%2Faccount\"") && page.body.contains("Sign in with Example"));

    let first = sign_in(&provider, &mut browser, "/sign-in/oidc?next=%2Faccount").await;
    provider.say(json!({ "sub": "7", "preferred_username": "renamed" }));
    let second = sign_in(&provider, &mut server.visitor(), "/sign-in/oidc").await;

    assert_eq!((first.status, first.location(), second.location()), (303, "/account", "/"), "{}", text(&first.body));
    assert_eq!(browser.get("/devices").await.status, 200);
    assert_eq!(role(&server, "Bob-Builder").await, Some(Role::Member));
    assert_eq!(server.app.store().admin_count().await.unwrap(), 2);
    assert_eq!(server.visitor().sign_in("Bob-Builder", "").await.status, 422, "no password is no password");
}

#[tokio::test]
async fn a_name_or_address_that_is_somebodys_here_does_not_make_one_them() {
    let provider = Provider::start().await;
    let server = TestApp::with_settings(&provider.settings("")).await;
    server.admin().await;
    provider.say(json!({ "sub": "evil", "preferred_username": "ada", "email": "ada" }));

    let mut eve = server.visitor();
    sign_in(&provider, &mut eve, "/sign-in/oidc").await;

    assert!(text(&eve.get("/account").await.body).contains("You are ada-2, with the role of member"));
}

#[tokio::test]
async fn nobody_becomes_the_owner_by_coming_first() {
    let provider = Provider::start().await;
    let server = TestApp::with_settings(&provider.settings("")).await;
    provider.say(json!({ "sub": "7" }));

    let answer = sign_in(&provider, &mut server.visitor(), "/sign-in/oidc").await;

    assert!(answer.status == 422 && text(&answer.body).contains("not set up yet"));
    assert_eq!(server.app.store().admin_count().await.unwrap(), 0);
}

#[tokio::test]
async fn roles_follow_the_groups_and_who_has_none_stays_out() {
    let provider = Provider::start().await;
    let map = "oidc-roles = \"net=operator,boss=admin\"\noidc-role-claim = \"realm_access.roles\"";
    let server = TestApp::with_settings(&provider.settings(map)).await;
    server.admin().await;
    let groups =
        |groups: &[&str]| json!({ "sub": "7", "preferred_username": "bob", "realm_access": { "roles": groups } });

    provider.say(groups(&["net"]));
    let mut bob = server.visitor();
    assert_eq!(sign_in(&provider, &mut bob, "/sign-in/oidc").await.status, 303);
    assert_eq!(role(&server, "bob").await, Some(Role::Operator));
    provider.say(groups(&["boss", "net"]));
    assert_eq!(sign_in(&provider, &mut server.visitor(), "/sign-in/oidc").await.status, 303);
    assert_eq!(role(&server, "bob").await, Some(Role::Admin));
    assert_eq!(bob.get("/devices").await.status, 303, "the session of the old role lives on");
    provider.say(groups(&[]));
    let out = sign_in(&provider, &mut server.visitor(), "/sign-in/oidc").await;

    assert!(out.status == 422 && text(&out.body).contains("has no role here"), "{}", text(&out.body));
}

#[tokio::test]
async fn an_account_is_linked_and_unlinked_by_its_owner_only() {
    let provider = Provider::start().await;
    let server = TestApp::with_settings(&provider.settings("")).await;
    let mut ada = server.admin().await;
    provider.say(json!({ "sub": "7", "preferred_username": "somebody" }));

    let linked = sign_in(&provider, &mut ada, "/sign-in/oidc?link=1&next=%2Faccount%3Fdone%3Dlinked").await;
    assert_eq!(linked.location(), "/account?done=linked");
    let mut fresh = server.visitor();
    sign_in(&provider, &mut fresh, "/sign-in/oidc").await;
    assert!(text(&fresh.get("/account").await.body).contains("You are ada, with the role of owner"));
    let mut bob = server.person("bob", Role::Member).await;
    let taken = sign_in(&provider, &mut bob, "/sign-in/oidc?link=1").await;
    assert!(text(&taken.body).contains("belongs to another account"), "{}", text(&taken.body));

    let page = ada.get("/account").await;
    assert_eq!(ada.submit(&page, "/account/provider/unlink", &[]).await.location(), "/account?done=unlinked");
    let mut again = server.visitor();
    sign_in(&provider, &mut again, "/sign-in/oidc").await;
    assert!(text(&again.get("/account").await.body).contains("You are somebody"));
    let page = again.get("/account").await;
    let only = again.submit(&page, "/account/provider/unlink", &[]).await;
    assert!(only.status == 422 && text(&only.body).contains("only way to sign in"));
}

#[tokio::test]
async fn a_way_back_that_this_browser_did_not_begin_signs_nobody_in() {
    let provider = Provider::start().await;
    let server = TestApp::with_settings(&provider.settings("")).await;
    server.admin().await;
    provider.say(json!({ "sub": "evil" }));
    let mut attacker = server.visitor();
    let sent = attacker.get("/sign-in/oidc").await;
    let back = provider.follow(sent.location()).await.headers()["location"].to_str().unwrap().to_owned();
    let back = back.strip_prefix("https://vpn.example.org").unwrap();

    let mut victim = server.visitor();
    victim.get("/sign-in").await;
    let planted = victim.get(back).await;
    let replayed = attacker.get(back).await;
    let refused = attacker.get("/sign-in/oidc/callback?error=access_denied").await;

    assert_eq!((planted.status, replayed.status, refused.status), (422, 422, 422));
    assert_eq!(victim.get("/devices").await.status, 303);
}

#[tokio::test]
async fn a_disabled_account_stays_out_and_a_provider_that_is_away_is_told_in_words() {
    let provider = Provider::start().await;
    let server = TestApp::with_settings(&provider.settings("")).await;
    let mut ada = server.admin().await;
    provider.say(json!({ "sub": "7", "preferred_username": "bob" }));
    sign_in(&provider, &mut server.visitor(), "/sign-in/oidc").await;
    let id = server.app.store().admin_by_name("bob").await.unwrap().unwrap().id;
    let page = ada.get(&format!("/users/{id}")).await;
    ada.submit(&page, &format!("/users/{id}/disable"), &[]).await;

    let out = sign_in(&provider, &mut server.visitor(), "/sign-in/oidc").await;

    assert!(text(&out.body).contains("This account is disabled"));
    let settings = "oidc-issuer = \"http://127.0.0.1:1\"\noidc-client-id = \"warren\"";
    let server = TestApp::with_settings(settings).await;
    server.admin().await;
    let away = server.visitor().get("/sign-in/oidc").await;
    assert!(away.status == 422 && text(&away.body).contains("cannot be reached"), "{}", text(&away.body));
    assert_eq!(server.visitor().sign_in("ada", PASSWORD).await.status, 303, "the owner always gets in");
}
