//! Enrolment keys through the pages.

use warren_proto::control::Invite;
use warren_rendezvous::domain::DeviceState;

use crate::common::{TestApp, text};

#[tokio::test]
async fn a_key_is_made_shown_once_used_and_revoked_with_the_devices_it_made() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut other = browser.clone();
    let page = browser.get("/keys").await;
    let fields = [("name", "rack <2>"), ("reusable", "1"), ("lives", "month"), ("tags", "rack-2")];

    let made = browser.submit(&page, "/keys", &fields).await;
    let shown = browser.get(made.location()).await;
    let word = shown.body.split_once("<code id=\"command\">").unwrap().1.split('<').next().unwrap();
    let invite: Invite = word.parse().unwrap();
    let devices = [server.enrol(&invite, "one", 1).await, server.enrol(&invite, "two", 2).await];

    assert_eq!(devices[0].tags, ["rack-2"]);
    assert!(!other.get(made.location()).await.body.contains(word), "another browser sees the key");
    let list = browser.get("/keys").await;
    assert!(text(&list.body).contains("rack <2>") && text(&list.body).contains("any number"), "{}", text(&list.body));
    let found = browser.get(&format!("/devices?key={}", made.location().rsplit('/').next().unwrap())).await;
    assert!(text(&found.body).contains("one") && text(&found.body).contains("2 of 2"));

    let page = browser.get(made.location()).await;
    let revoked = browser.submit(&page, &format!("{}/revoke", made.location()), &[("devices", "1")]).await;
    assert!(revoked.location().ends_with("done=revoked-all"));
    for device in devices {
        assert_eq!(server.app.store().device(device.id).await.unwrap().unwrap().state, DeviceState::Revoked);
    }
    assert!(!text(&browser.get("/keys").await.body).contains("rack <2>"));
    let all = text(&browser.get("/keys?all=1").await.body);
    assert!(all.contains("rack <2>") && all.contains("revoked"), "{all}");
}

#[tokio::test]
async fn a_key_that_is_revoked_alone_leaves_its_devices() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/keys").await;
    let made = browser.submit(&page, "/keys", &[("name", ""), ("lives", "day"), ("tags", "")]).await;
    let shown = browser.get(made.location()).await;
    let word = shown.body.split_once("<code id=\"command\">").unwrap().1.split('<').next().unwrap();
    let device = server.enrol(&word.parse().unwrap(), "laptop", 1).await;

    browser.submit(&shown, &format!("{}/revoke", made.location()), &[]).await;

    assert_eq!(server.app.store().device(device.id).await.unwrap().unwrap().state, DeviceState::Active);
}

#[tokio::test]
async fn a_tag_that_will_not_do_is_refused_with_the_reason_and_the_form_kept() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/keys").await;

    let answer = browser.submit(&page, "/keys", &[("name", "kiosk"), ("lives", "ever"), ("tags", "<img src=x>")]).await;

    assert_eq!(answer.status, 422);
    assert!(text(&answer.body).contains("A tag is a word") && answer.body.contains("value=\"kiosk\""));
    assert!(!answer.body.contains("<img"));
    assert!(server.app.store().invites(10).await.unwrap().iter().all(|key| key.name.is_empty()), "none was made");
}
