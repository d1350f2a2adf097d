//! The device pages: list, one device, add, rename, revoke.

use std::time::Duration;

use axum::body::to_bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use warren_proto::control::Invite;
use warren_rendezvous::domain::DeviceState;

use crate::common::{TestApp, attribute, text};

#[tokio::test]
async fn an_empty_network_teaches_the_next_step() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;

    let page = browser.get("/devices").await;

    assert!(text(&page.body).contains("No devices yet"));
    assert!(page.body.contains("href=\"/devices/new\""));
}

#[tokio::test]
async fn the_list_shows_name_and_addresses_of_every_device() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (laptop, desktop) = (server.device("laptop", 1).await, server.device("desktop", 2).await);

    let page = browser.get("/devices").await;

    let shown = text(&page.body);
    for device in [laptop, desktop] {
        assert!(shown.contains(device.name.as_str()) && shown.contains(&device.v4.to_string()));
        assert!(page.body.contains(&format!("/devices/{}\"", device.id)));
    }
    assert!(shown.contains("0 of 2 online"));
}

#[tokio::test]
async fn adding_a_device_shows_one_command_that_enrols_one_device() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices/new").await;

    let made = browser.submit(&page, "/devices/new", &[]).await;
    let shown = browser.get(made.location()).await;

    assert_eq!((made.status, shown.status), (303, 200));
    let command = command(&shown.body);
    let invite: Invite = command.strip_prefix("sudo warren up ").unwrap().parse().unwrap();
    assert_eq!(invite.servers, ["vpn.example.org:443"]);
    assert!(text(&shown.body).contains("expires in 15 min"), "{}", text(&shown.body));
    let device = server.enrol(&invite, "laptop", 1).await;
    let arrived = text(&browser.get(made.location()).await.body);
    assert!(arrived.contains("laptop is enrolled, but not connected") && arrived.contains(&device.v4.to_string()));
}

#[tokio::test]
async fn with_an_agent_to_give_out_one_line_installs_it_from_this_server_under_its_pinned_key() {
    let agents = agents(&["warren-linux-x86_64"]);
    let server = TestApp::with_settings(&format!("agent-dir = {:?}", agents.path())).await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices/new").await;

    let made = browser.submit(&page, "/devices/new", &[]).await;
    let shown = browser.get(made.location()).await;

    let command = command(&shown.body);
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..3], ["curl", "-fsSk", "--pinnedpubkey"]);
    assert!(words[3].starts_with("sha256//") && words[3].len() == 52, "{command}");
    assert_eq!(words[4..10], ["https://vpn.example.org/install.sh", "|", "sudo", "sh", "-s", "--"]);
    assert!(words[10].parse::<Invite>().is_ok() && words.len() == 11);
    assert!(text(&shown.body).contains("no agent for aarch64 to give out"));
}

#[tokio::test]
async fn behind_a_proxy_with_a_certificate_the_line_trusts_that() {
    let agents = agents(&["warren-linux-x86_64", "warren-linux-aarch64"]);
    let server = TestApp::with_settings(&format!("tls = \"proxy\"\nagent-dir = {:?}", agents.path())).await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices/new").await;

    let made = browser.submit(&page, "/devices/new", &[]).await;
    let shown = browser.get(made.location()).await;

    assert!(
        command(&shown.body).starts_with("curl -fsSL https://vpn.example.org/install.sh | sudo sh -s -- warren_inv_")
    );
    assert!(!text(&shown.body).contains("to give out"));
}

#[tokio::test]
async fn the_script_names_the_checksums_of_the_programs_that_the_server_gives_out() {
    let agents = agents(&["warren-linux-x86_64"]);
    let server = TestApp::with_settings(&format!("agent-dir = {:?}", agents.path())).await;
    let mut stranger = server.visitor();

    let script = stranger.get("/install.sh").await;
    let program = stranger.get("/dl/warren-linux-x86_64").await;
    let missing = stranger.get("/dl/warren-linux-aarch64").await;
    let other = stranger.get("/dl/..%2Fserver.key").await;

    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&program.body));
    assert_eq!((script.status, program.status), (200, 200));
    assert!(script.body.contains(&format!("SHA256_X86_64='{digest}'")) && script.body.contains("SHA256_AARCH64=''"));
    assert!(script.body.contains("SERVER='https://vpn.example.org'"));
    assert!(script.body.contains("ExecStart=/usr/local/bin/warren daemon"));
    assert_eq!(program.headers["content-length"], program.body.len().to_string());
    assert_eq!((missing.status, other.status), (404, 404));
    assert!(missing.body.contains("no agent for aarch64"), "{}", missing.body);
}

/// An agent directory with these programs in it.
fn agents(names: &[&str]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for name in names {
        std::fs::write(directory.path().join(name), format!("the program {name}")).unwrap();
    }
    directory
}

#[tokio::test]
async fn the_command_is_shown_again_only_in_the_browser_that_made_it() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut other = browser.clone();
    let page = browser.get("/devices/new").await;
    let made = browser.submit(&page, "/devices/new", &[]).await;

    let elsewhere = other.get(made.location()).await;

    assert_eq!(elsewhere.location(), "/devices/new?gone=1");
    assert_eq!(browser.get(made.location()).await.status, 200);
    let cookie = made.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains(&format!("Path={}", made.location())) && cookie.contains("HttpOnly"), "{cookie}");
}

#[tokio::test]
async fn an_expired_command_says_so() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices/new").await;
    let made = browser.submit(&page, "/devices/new", &[]).await;
    server.clock.advance(Duration::from_secs(15 * 60));

    let shown = browser.get(made.location()).await;

    assert!(text(&shown.body).contains("The command has expired unused"));
}

#[tokio::test]
async fn a_device_is_renamed_and_its_page_says_so() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    let path = format!("/devices/{}", device.id);
    let page = browser.get(&path).await;

    let answer = browser.submit(&page, &format!("{path}/rename"), &[("name", "kitchen")]).await;

    let after = browser.get(answer.location()).await;
    assert_eq!(answer.status, 303);
    assert!(text(&after.body).contains("Renamed.") && after.body.contains("<h1 class=\"name\">kitchen</h1>"));
}

#[tokio::test]
async fn a_name_that_will_not_do_is_refused_with_the_reason_and_kept_in_the_form() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    server.device("desktop", 2).await;
    let path = format!("/devices/{}", device.id);
    let page = browser.get(&path).await;

    for (name, reason) in
        [("desktop", "has that name"), ("Not A Name!", "a-z"), ("", "a-z"), ("\"><script>alert(1)</script>", "a-z")]
    {
        let answer = browser.submit(&page, &format!("{path}/rename"), &[("name", name)]).await;

        assert_eq!(answer.status, 422);
        assert!(text(&answer.body).contains(reason), "{name}: {}", text(&answer.body));
        assert_eq!(attribute(&answer.body, "id=\"new-name\"", "value").unwrap(), name);
        assert!(!answer.body.contains("<script>alert"));
    }
}

#[tokio::test]
async fn a_device_is_held_to_the_relay_and_released() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    let path = format!("/devices/{}", device.id);
    let stored = async || server.app.store().device(device.id).await.unwrap().unwrap().relay_only;
    let page = browser.get(&path).await;
    assert!(page.body.contains("Use the relay only</button>") && !text(&page.body).contains("relay only:"));

    let held = browser.submit(&page, &format!("{path}/relay"), &[("use_relay", "only")]).await;
    assert_eq!((held.status, stored().await), (303, true));
    let page = browser.get(held.location()).await;
    assert!(text(&page.body).contains("Held to the relay.") && page.body.contains("Allow direct paths</button>"));
    let released = browser.submit(&page, &format!("{path}/relay"), &[("use_relay", "when-needed")]).await;
    assert_eq!((released.status, stored().await), (303, false));

    let nonsense = browser.submit(&page, &format!("{path}/relay"), &[("use_relay", "teleport")]).await;
    assert_eq!(nonsense.status, 422);
    let shown = text(&browser.get("/activity").await.body);
    assert!(shown.contains("ada held laptop to the relay") && shown.contains("ada released laptop from the relay"));
}

#[tokio::test]
async fn a_revocation_asks_first_and_then_removes_the_device() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    let path = format!("/devices/{}/revoke", device.id);

    let question = browser.get(&path).await;
    let answer = browser.submit(&question, &path, &[]).await;

    assert!(text(&question.body).contains("Revoke laptop?") && text(&question.body).contains("cannot be undone"));
    assert_eq!((answer.status, answer.location()), (303, "/devices?done=revoked"));
    assert_eq!(server.app.store().device(device.id).await.unwrap().unwrap().state, DeviceState::Revoked);
    let list = browser.get(answer.location()).await;
    assert!(text(&list.body).contains("Revoked.") && text(&list.body).contains("No devices yet"));
    let own = browser.get(&format!("/devices/{}", device.id)).await;
    assert!(text(&own.body).contains("Revoked") && !own.body.contains("/rename"));
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_never_markup() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let hostile = "<img src=x onerror=alert(1)>\"'&";
    let device = server.device(hostile, 1).await;

    for path in ["/devices".to_owned(), format!("/devices/{}", device.id), "/activity".to_owned()] {
        let page = browser.get(&path).await;

        assert_eq!(page.status, 200);
        assert!(!page.body.contains("<img"), "{path}");
    }
    let own = browser.get(&format!("/devices/{}", device.id)).await;
    assert!(text(&own.body).contains(hostile), "the host name is shown as it is");
}

#[tokio::test]
async fn an_unknown_device_is_a_page_that_says_so() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;

    for path in ["/devices/nonsense", "/devices/00000000000000000000000000000000", "/no/such/page"] {
        let page = browser.get(path).await;

        assert_eq!(page.status, 404);
        assert!(text(&page.body).contains("There is no such page"), "{path}");
    }
}

#[tokio::test]
async fn a_page_of_a_long_list_stays_below_20_kilobytes() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    for key in 1..=120 {
        server.device("a-rather-long-host-name-of-a-device", key).await;
    }
    browser.headers.push(("accept-encoding", "gzip".to_owned()));

    let response = browser.open("/devices").await;

    assert_eq!(response.headers()["content-encoding"], "gzip");
    let size = to_bytes(response.into_body(), 1 << 20).await.unwrap().len();
    assert!(size < 20 * 1024, "{size} bytes");
    browser.headers.pop();
    let second = browser.get("/devices?page=2").await;
    assert!(text(&second.body).contains("Page 2 of 2") && second.body.contains("/devices/live?page=2"));
    assert_eq!(second.body.matches("<tr role=\"row\" id=").count(), 20);
}

/// The line to paste.
fn command(body: &str) -> String {
    let (_, rest) = body.split_once("<code id=\"command\">").unwrap();
    rest.split('<').next().unwrap().to_owned()
}
