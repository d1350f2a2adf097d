//! Letting devices in that ask without an invite, through the pages.

use std::time::Duration;

use warren_proto::keys::StaticPublic;
use warren_rendezvous::actions::{self, Asked, Enrolment};
use warren_rendezvous::domain::Role;

use crate::common::{TestApp, identity, text};

#[tokio::test]
async fn a_device_is_found_by_its_code_and_let_in() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let code = ask(&server, 1, "laptop").await;

    let waiting = browser.get("/activate").await;
    let page = browser.get(&format!("/activate?code={}", code.to_lowercase().replace('-', "+"))).await;
    let fields = [("code", code.as_str()), ("name", "kitchen"), ("tags", "home")];
    let answer = browser.submit(&page, "/activate/approve", &fields).await;
    let device = browser.get(answer.location()).await;

    assert!(waiting.body.contains(&format!("/activate?code={code}")));
    let shown = text(&page.body);
    assert!(shown.contains("laptop") && shown.contains("192.0.2.7") && shown.contains(&code), "{shown}");
    assert!(answer.location().ends_with("?done=approved"), "{}", answer.location());
    assert!(text(&device.body).contains("Let in.") && device.body.contains("<h1 class=\"name\">kitchen</h1>"));
    let activity = text(&browser.get("/activity").await.body);
    assert!(activity.contains("ada let in kitchen") && activity.contains("was asked to let in laptop from 192.0.2.7"));
}

#[tokio::test]
async fn a_code_that_is_wrong_or_too_old_says_so_in_the_words_of_the_device() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let code = ask(&server, 1, "laptop").await;
    let page = browser.get(&format!("/activate?code={code}")).await;
    server.clock.advance(Duration::from_secs(15 * 60));

    let wrong = browser.get("/activate?code=BCDF-GHJ").await;
    let late = browser.submit(&page, "/activate/approve", &[("code", &code), ("name", ""), ("tags", "")]).await;

    for answer in [&wrong, &late] {
        assert!(text(&answer.body).contains("No device waits with this code"), "{}", text(&answer.body));
    }
    assert_eq!((wrong.status, late.status), (404, 422));
}

#[tokio::test]
async fn a_name_or_tag_that_will_not_do_is_refused_and_kept_in_the_form() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    server.device("desktop", 2).await;
    let code = ask(&server, 1, "laptop").await;
    let page = browser.get(&format!("/activate?code={code}")).await;

    for (name, tags, reason) in [("desktop", "", "has that name"), ("No!", "", "a-z"), ("", "<b>", "A tag is a word")] {
        let fields = [("code", code.as_str()), ("name", name), ("tags", tags)];
        let answer = browser.submit(&page, "/activate/approve", &fields).await;

        assert_eq!(answer.status, 422);
        assert!(text(&answer.body).contains(reason), "{}", text(&answer.body));
        assert!(!answer.body.contains("<b>") && answer.body.contains("Let it in</button>"));
    }
}

#[tokio::test]
async fn one_that_is_kept_out_is_gone_from_the_page() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let code = ask(&server, 1, "<script>alert(1)</script>").await;
    let page = browser.get(&format!("/activate?code={code}")).await;

    let answer = browser.submit(&page, "/activate/deny", &[("code", &code)]).await;
    let after = browser.get(answer.location()).await;

    assert!(!page.body.contains("<script>alert") && text(&page.body).contains("<script>alert(1)</script>"));
    assert!(text(&after.body).contains("It stays out") && text(&after.body).contains("No device waits"));
    assert!(server.app.store().active_devices().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_member_lets_in_a_device_of_their_own_by_its_code_and_sees_no_others() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut member = server.person("mia", Role::Member).await;
    let code = ask(&server, 1, "phone").await;

    let blank = member.get("/activate").await;
    let page = member.get(&format!("/activate?code={code}")).await;
    let answer = member.submit(&page, "/activate/approve", &[("code", &code), ("name", ""), ("tags", "")]).await;

    assert!(!blank.body.contains("phone") && !blank.body.contains(&code));
    assert_eq!(member.get(answer.location()).await.status, 200, "it is theirs");
}

#[tokio::test]
async fn the_name_card_says_where_the_control_plane_is_and_which_key_it_has() {
    let server = TestApp::new().await;

    let card = server.visitor().get("/.well-known/warren").await;

    let card: serde_json::Value = serde_json::from_str(&card.body).unwrap();
    assert_eq!((&card["schema"], &card["network"]), (&1.into(), &"warren".into()));
    assert_eq!(card["servers"][0], "vpn.example.org:443");
    assert_eq!(card["web"], "https://vpn.example.org");
    assert_eq!(card["server_key"], data_encoding::HEXLOWER.encode(&server.app.server_key().pin()));
}

/// A device that asks; gives its code.
async fn ask(server: &TestApp, key: u8, hostname: &str) -> String {
    let enrolment = Enrolment {
        secret: Vec::new(),
        identity_key: identity(key).public(),
        static_key: StaticPublic::new([key; 32]),
        hostname: hostname.to_owned(),
        os: "linux x86_64".to_owned(),
        agent_version: "0.1.0".to_owned(),
    };
    let from = "192.0.2.7".parse().unwrap();
    let Asked::Waiting(asked) = actions::ask_to_join(&server.app, &enrolment, from).await.unwrap() else {
        panic!("admitted without a person")
    };
    asked.code.to_string()
}
