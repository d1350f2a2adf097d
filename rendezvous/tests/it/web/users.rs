//! Accounts of people: invited, changed, disabled, removed; and what each does to their own.

use std::time::Duration;

use warren_rendezvous::actions::{self, By, InviteRequest};
use warren_rendezvous::domain::{Actor, DeviceState, Role};

use crate::common::{PASSWORD, Page, TestApp, Visitor, text};

const OTHER: &str = "green kettle of snow";

async fn user_path(server: &TestApp, name: &str) -> String {
    format!("/users/{}", server.app.store().admin_by_name(name).await.unwrap().unwrap().id)
}

/// The token of a link that a form has made.
async fn made_link(browser: &mut Visitor, page: &str, form: &str, fields: &[(&str, &str)]) -> (String, Page) {
    let page = browser.get(page).await;
    let made = browser.submit(&page, form, fields).await;
    assert_eq!(made.status, 303, "{}", text(&made.body));
    let shown = browser.get(made.location()).await;
    let (_, rest) = shown.body.split_once("<code id=\"link\">").unwrap();
    let link = rest.split('<').next().unwrap().replace("&#38;", "&");
    (link, made)
}

async fn join(server: &TestApp, link: &str, name: &str) -> (Visitor, Page) {
    let mut browser = server.visitor();
    let page = browser.get("/join").await;
    let answer = browser.submit(&page, "/join", &[("link", link), ("name", name), ("password", PASSWORD)]).await;
    (browser, answer)
}

#[tokio::test]
async fn an_invite_makes_one_account_of_its_role() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let (link, _) =
        made_link(&mut owner, "/users/invite", "/users/invite", &[("role", "operator"), ("note", "Bob")]).await;
    assert!(text(&owner.get("/users").await.body).contains("as operator, made by ada"));

    let (mut bob, joined) = join(&server, &link, "bob").await;
    let (_, again) = join(&server, &link, "eve").await;

    assert_eq!((joined.status, joined.location()), (303, "/"));
    assert_eq!(bob.get("/activity").await.status, 200);
    assert_eq!(server.app.store().admin_by_name("bob").await.unwrap().unwrap().role, Role::Operator);
    assert_eq!(again.status, 422);
    assert!(text(&again.body).contains("does not work (any more)"), "{}", text(&again.body));
    assert!(server.app.store().admin_by_name("eve").await.unwrap().is_none());
    assert!(link.starts_with("https://vpn.example.org/join#"));
}

#[tokio::test]
async fn an_invite_ends_after_a_week_and_can_be_withdrawn() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let (late, _) = made_link(&mut owner, "/users/invite", "/users/invite", &[("role", "member")]).await;
    server.clock.advance(Duration::from_secs(7 * 86_400));
    let (withdrawn, made) = made_link(&mut owner, "/users/invite", "/users/invite", &[("role", "member")]).await;
    let page = owner.get("/users").await;
    let answer = owner.submit(&page, &format!("{}/withdraw", made.location()), &[]).await;
    assert_eq!(answer.location(), "/users?done=withdrawn");

    assert_eq!(join(&server, &late, "late").await.1.status, 422);
    assert_eq!(join(&server, &withdrawn, "gone").await.1.status, 422);
}

#[tokio::test]
async fn a_link_is_shown_again_only_in_the_browser_that_made_it() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let mut elsewhere = server.visitor();
    elsewhere.sign_in("ada", PASSWORD).await;
    let (_, made) = made_link(&mut owner, "/users/invite", "/users/invite", &[("role", "member")]).await;

    assert_eq!(elsewhere.get(made.location()).await.location(), "/users");
    let cookie = made.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains(&format!("Path={}", made.location())) && cookie.contains("HttpOnly"), "{cookie}");
}

#[tokio::test]
async fn an_admin_makes_no_owner_and_touches_none() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut admin = server.person("adam", Role::Admin).await;
    server.person("mia", Role::Member).await;
    let (owner, mia) = (user_path(&server, "ada").await, user_path(&server, "mia").await);
    let page = admin.get("/users").await;

    for (path, fields) in [
        ("/users/invite".to_owned(), &[("role", "owner")][..]),
        (format!("{owner}/role"), &[("role", "viewer")]),
        (format!("{owner}/disable"), &[]),
        (format!("{owner}/remove"), &[]),
        (format!("{owner}/reset"), &[]),
        (format!("{mia}/role"), &[("role", "owner")]),
    ] {
        assert_eq!(admin.submit(&page, &path, fields).await.status, 403, "{path}");
    }

    let ada = server.app.store().admin_by_name("ada").await.unwrap().unwrap();
    assert_eq!((ada.role, ada.disabled_at), (Role::Owner, None));
    assert!(!admin.get("/users/invite").await.body.contains("value=\"owner\""));
    assert!(!admin.get(&owner).await.body.contains("/disable"));
}

#[tokio::test]
async fn the_last_owner_cannot_go() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let path = user_path(&server, "ada").await;
    let page = owner.get("/users").await;

    for (form, fields) in [("role", &[("role", "admin")][..]), ("disable", &[]), ("remove", &[])] {
        let answer = owner.submit(&page, &format!("{path}/{form}"), fields).await;
        assert_eq!(answer.status, 422, "{form}");
        assert!(text(&answer.body).contains("This is the only owner"), "{form}");
    }

    server.person("olga", Role::Owner).await;
    let answer = owner.submit(&page, &format!("{path}/role"), &[("role", "viewer")]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(owner.get("/devices").await.status, 303, "a change of role signs out");
}

#[tokio::test]
async fn a_change_of_role_ends_every_session_so_that_none_outlives_it() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let mut bob = server.person("bob", Role::Operator).await;
    let path = user_path(&server, "bob").await;
    let page = owner.get(&path).await;

    let answer = owner.submit(&page, &format!("{path}/role"), &[("role", "member")]).await;

    assert_eq!(answer.status, 303);
    assert_eq!(bob.get("/devices").await.status, 303);
    bob.sign_in("bob", PASSWORD).await;
    assert_eq!(bob.get("/activity").await.status, 403);
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_in_again_when_enabled() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let mut bob = server.person("bob", Role::Operator).await;
    let actor =
        Actor::User { id: server.app.store().admin_by_name("bob").await.unwrap().unwrap().id, name: "bob".into() };
    actions::create_invite(&server.app, &actor, InviteRequest::default()).await.unwrap();
    let path = user_path(&server, "bob").await;
    let page = owner.get(&path).await;

    owner.submit(&page, &format!("{path}/disable"), &[]).await;

    assert_eq!(bob.get("/devices").await.status, 303);
    let refused = bob.sign_in("bob", PASSWORD).await;
    assert!(refused.status == 422 && text(&refused.body).contains("This account is disabled"));
    let guess = bob.sign_in("bob", OTHER).await;
    assert!(!text(&guess.body).contains("disabled"), "said to who does not know the password");
    assert!(server.app.store().invites(1).await.unwrap()[0].revoked_at.is_some(), "their invites still work");
    owner.submit(&page, &format!("{path}/enable"), &[]).await;
    assert_eq!(bob.sign_in("bob", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn removing_somebody_says_what_it_breaks_and_keeps_or_revokes_their_devices() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    for (name, key, revoke) in [("bob", 1, ""), ("mia", 2, "yes")] {
        server.person(name, Role::Member).await;
        let id = server.app.store().admin_by_name(name).await.unwrap().unwrap().id;
        let actor = Actor::User { id, name: name.to_owned() };
        let invite = actions::create_invite(&server.app, &actor, InviteRequest::default()).await.unwrap().invite;
        let device = server.enrol(&invite, &format!("{name}-laptop"), key).await;
        let path = format!("/users/{id}/remove");

        let question = owner.get(&path).await;
        let answer = owner.submit(&question, &path, &[("revoke_devices", revoke)]).await;

        assert!(text(&question.body).contains(&format!("{name}-laptop")));
        assert_eq!(answer.location(), "/users?done=removed");
        assert!(server.app.store().admin_by_name(name).await.unwrap().is_none());
        let device = server.app.store().device(device.id).await.unwrap().unwrap();
        let expected = if revoke == "yes" { DeviceState::Revoked } else { DeviceState::Active };
        assert_eq!((device.state, device.owner_id), (expected, None));
    }
}

#[tokio::test]
async fn a_reset_link_gives_another_password_and_ends_every_session() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let mut bob = server.person("bob", Role::Member).await;
    let path = user_path(&server, "bob").await;
    let (first, _) = made_link(&mut owner, &path, &format!("{path}/reset"), &[]).await;
    let (link, _) = made_link(&mut owner, &path, &format!("{path}/reset"), &[]).await;
    assert_eq!(bob.get("/devices").await.status, 200, "nothing changes before the link is opened");
    let mut browser = server.visitor();
    let page = browser.get("/reset").await;
    let use_link = async |browser: &mut Visitor, link: &str| {
        browser.submit(&page, "/reset", &[("link", link), ("password", OTHER)]).await
    };

    let superseded = use_link(&mut browser, &first).await;
    let answer = use_link(&mut browser, &link).await;
    let again = use_link(&mut browser, &link).await;

    assert_eq!((superseded.status, answer.location(), again.status), (422, "/sign-in", 422));
    assert_eq!(bob.get("/devices").await.status, 303);
    assert_eq!(bob.sign_in("bob", PASSWORD).await.status, 422);
    assert_eq!(bob.sign_in("bob", OTHER).await.status, 303);
}

#[tokio::test]
async fn a_changed_password_needs_the_old_one_and_signs_out_every_other_browser() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut other = server.visitor();
    other.sign_in("ada", PASSWORD).await;
    let page = browser.get("/account").await;
    let before = browser.cookies["__Host-warren"].clone();

    let wrong =
        browser.submit(&page, "/account/password", &[("password", "a guess at it"), ("new_password", OTHER)]).await;
    let weak = browser.submit(&page, "/account/password", &[("password", PASSWORD), ("new_password", "short")]).await;
    let right = browser.submit(&page, "/account/password", &[("password", PASSWORD), ("new_password", OTHER)]).await;

    assert_eq!((wrong.status, weak.status, right.status), (422, 422, 303));
    assert_ne!(browser.cookies["__Host-warren"], before, "the token is the same");
    assert_eq!(browser.get(right.location()).await.status, 200);
    assert_eq!(other.get("/devices").await.status, 303);
    assert_eq!(other.sign_in("ada", PASSWORD).await.status, 422);
}

#[tokio::test]
async fn sessions_are_listed_with_browser_and_address_and_end_one_by_one_or_all_others() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut phone = server.visitor();
    phone.headers.push(("user-agent", "Mozilla/5.0 (iPhone) Version/18 Safari/604".to_owned()));
    phone.sign_in("ada", PASSWORD).await;
    let mut third = server.visitor();
    third.sign_in("ada", PASSWORD).await;

    let page = browser.get("/account").await;
    let (_, row) = page.body.split_once("Safari on iPhone").unwrap();
    let action = row.split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(text(&page.body).contains("(this browser)") && text(&page.body).contains("0.0.0.0"));
    browser.submit(&page, &action, &[]).await;

    assert_eq!((phone.get("/devices").await.status, third.get("/devices").await.status), (303, 200));
    browser.submit(&page, "/account/sessions/end-others", &[]).await;
    assert_eq!((browser.get("/devices").await.status, third.get("/devices").await.status), (200, 303));
}

#[tokio::test]
async fn nobody_ends_the_session_of_somebody_else() {
    let server = TestApp::new().await;
    let mut ada = server.admin().await;
    let mut bob = server.person("bob", Role::Admin).await;
    let page = ada.get("/account").await;
    let action = page.body.split("action=\"").find(|text| text.starts_with("/account/sessions/")).unwrap();
    let action = action.split('"').next().unwrap();
    let own = bob.get("/account").await;

    bob.submit(&own, action, &[]).await;

    assert_eq!(ada.get("/devices").await.status, 200);
}

#[tokio::test]
async fn a_person_renames_themselves_to_a_name_that_is_free_and_no_markup() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    server.person("bob", Role::Member).await;
    let page = browser.get("/account").await;

    for bad in ["bob", "", "<img src=x onerror=alert(1)>", "a b"] {
        let answer = browser.submit(&page, "/account/name", &[("name", bad)]).await;
        assert_eq!(answer.status, 422, "{bad}");
        assert!(!answer.body.contains("<img"));
    }
    let answer = browser.submit(&page, "/account/name", &[("name", "ada@example.org")]).await;

    assert_eq!(answer.location(), "/account?done=renamed");
    assert_eq!(server.visitor().sign_in("ada@example.org", PASSWORD).await.status, 303);
    assert_eq!(server.visitor().sign_in("ada", PASSWORD).await.status, 422);
}

#[tokio::test]
async fn what_people_type_is_never_markup() {
    let server = TestApp::new().await;
    let mut owner = server.admin().await;
    let hostile = "<img src=x onerror=alert(1)>\"'&";
    let by = By { actor: &Actor::Cli, role: Role::Owner };
    actions::invite_user(&server.app, by, Role::Member, hostile).await.unwrap();
    let mut eve = server.visitor();
    eve.headers.push(("user-agent", hostile.to_owned()));
    eve.sign_in("ada", PASSWORD).await;
    let failed = eve.sign_in(hostile, PASSWORD).await;

    assert!(!failed.body.contains("<img"));
    for path in ["/users", "/account", "/activity"] {
        let page = owner.get(path).await;
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("<img"), "{path}");
    }
    assert!(text(&owner.get("/users").await.body).contains(hostile), "the note is shown as it is");
}

#[tokio::test]
async fn sign_in_leads_to_no_other_host() {
    let server = TestApp::new().await;
    server.admin().await;
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "\t//evil.example"]
    {
        let mut browser = server.visitor();
        let query = serde_urlencoded::to_string([("next", next)]).unwrap();
        let page = browser.get(&format!("/sign-in?{query}")).await;
        let fields = [("name", "ada"), ("password", PASSWORD), ("next", next)];

        let answer = browser.submit(&page, "/sign-in", &fields).await;
        let signed_in = browser.get(&format!("/sign-in?{query}")).await;

        assert_eq!((answer.location(), signed_in.location()), ("/", "/"), "{next}");
    }
}

#[tokio::test]
async fn a_session_that_somebody_planted_is_not_the_one_that_begins() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut attacker = server.visitor();
    attacker.sign_in("nobody", PASSWORD).await;
    let mut victim = server.visitor();
    // a cookie that an attacker knows: any token, and the visitor's own
    let planted = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
    victim.cookies.insert("__Host-warren".to_owned(), planted.clone());
    victim.cookies.extend(attacker.cookies.clone());

    assert_eq!(victim.sign_in("ada", PASSWORD).await.status, 303);

    assert_ne!(victim.cookies["__Host-warren"], planted);
    attacker.cookies.insert("__Host-warren".to_owned(), planted);
    assert_eq!(attacker.get("/devices").await.status, 303);
}
