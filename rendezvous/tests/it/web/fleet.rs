//! The list of devices: searched, filtered, sorted, changed many at once, and a thousand long.

use std::time::Instant;

use axum::body::to_bytes;
use warren_proto::certificate::IdentitySecret;
use warren_proto::keys::StaticPublic;
use warren_rendezvous::actions::{self, Enrolment, InviteRequest, TagChange};
use warren_rendezvous::domain::{Actor, DeviceState, Role};

use crate::common::{Page, TestApp, text};

#[tokio::test]
async fn the_list_is_searched_filtered_and_sorted_by_its_url() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let laptop = server.device("laptop", 1).await;
    let printer = server.device("printer", 2).await;
    server.device("phone", 3).await;
    let tag = TagChange::Add(vec!["office".to_owned()]);
    actions::tag_devices(&server.app, &Actor::Cli, &[printer.id], &tag).await.unwrap();

    for (query, expected) in [
        ("", vec!["laptop", "phone", "printer"]),
        ("?q=P", vec!["laptop", "phone", "printer"]),
        ("?q=pR", vec!["printer"]),
        ("?q=offic", vec!["printer"]),
        ("?tag=office", vec!["printer"]),
        ("?tag=other", vec![]),
        ("?state=online", vec![]),
        ("?state=offline&sort=-name", vec!["printer", "phone", "laptop"]),
        ("?path=none", vec!["laptop", "phone", "printer"]),
        ("?path=relay", vec![]),
        ("?nat=endpoint-dependent", vec![]),
    ] {
        let page = browser.get(&format!("/devices{query}")).await;

        assert_eq!(names(&page), expected, "{query}");
    }
    let by_address = browser.get(&format!("/devices?q={}", laptop.v6)).await;
    assert_eq!(names(&by_address), ["laptop"]);
    let nothing = browser.get("/devices?q=nobody").await;
    assert!(text(&nothing.body).contains("No device is like that"));
}

#[tokio::test]
async fn what_was_selected_is_tagged_held_and_revoked_after_a_question() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (laptop, desktop) = (server.device("laptop", 1).await, server.device("desktop", 2).await);
    let (one, other) = (laptop.id.to_string(), desktop.id.to_string());
    let stored = async |id| server.app.store().device(id).await.unwrap().unwrap();
    let page = browser.get("/devices?sort=-name").await;
    let both =
        |action| [("back", "?sort=-name"), ("do", action), ("tags", "lab b"), ("device", &one), ("device", &other)];

    let tagged = browser.submit(&page, "/devices/bulk", &both("tag")).await;
    assert_eq!(tagged.location(), "/devices?sort=-name&done=tagged");
    assert_eq!(stored(laptop.id).await.tags, ["b", "lab"]);
    browser.submit(&page, "/devices/bulk", &both("hold")).await;
    assert!(stored(laptop.id).await.relay_only && stored(desktop.id).await.relay_only);
    let question = browser.submit(&page, "/devices/bulk", &both("revoke")).await;
    assert!(text(&question.body).contains("Revoke 2 devices?") && question.status == 200);
    assert_eq!(stored(laptop.id).await.state, DeviceState::Active);
    let revoked = browser.submit(&page, "/devices/bulk", &both("revoke-them")).await;

    assert_eq!(revoked.location(), "/devices?sort=-name&done=revoked-many");
    assert_eq!(stored(desktop.id).await.state, DeviceState::Revoked);
    let nothing = browser.submit(&page, "/devices/bulk", &[("do", "hold")]).await;
    assert_eq!(nothing.location(), "/devices?done=none-selected");
}

#[tokio::test]
async fn nobody_changes_a_device_of_somebody_else_by_selecting_it() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut member = server.person("mia", Role::Member).await;
    let foreign = server.device("vault", 1).await;
    let page = member.get("/devices/new").await;

    let answer =
        member.submit(&page, "/devices/bulk", &[("do", "revoke-them"), ("device", &foreign.id.to_string())]).await;

    assert_eq!(answer.status, 404);
    assert_eq!(server.app.store().device(foreign.id).await.unwrap().unwrap().state, DeviceState::Active);
}

#[tokio::test]
async fn tags_are_set_on_the_page_of_a_device_and_never_markup() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    let path = format!("/devices/{}", device.id);
    let page = browser.get(&path).await;

    let good = browser.submit(&page, &format!("{path}/tags"), &[("tags", "lab, linux")]).await;
    let bad = browser.submit(&page, &format!("{path}/tags"), &[("tags", "<script>alert(1)</script>")]).await;

    assert!(good.location().ends_with("done=tagged") && bad.location().ends_with("done=no-tag"));
    let after = browser.get(&path).await;
    assert!(text(&after.body).contains("lab linux") && !after.body.contains("<script>alert"));
    let activity = text(&browser.get("/activity").await.body);
    assert!(activity.contains("ada changed the tags of laptop") && activity.contains("tags: lab, linux"), "{activity}");
}

#[tokio::test]
async fn the_table_for_spreadsheets_has_what_the_list_has() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    server.device("phone", 2).await;

    let table = browser.get("/devices.csv?q=lap").await;

    assert!(table.headers["content-disposition"].to_str().unwrap().contains("devices.csv"));
    let lines: Vec<&str> = table.body.lines().collect();
    assert_eq!(lines.len(), 2, "{}", table.body);
    assert!(lines[0].starts_with("id,name,tags,ipv4") && lines[1].starts_with(&format!("{},laptop,", device.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_thousand_devices_is_small_and_quick() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    enrol_many(&server, 1_000).await;
    browser.headers.push(("accept-encoding", "gzip".to_owned()));

    let mut times = Vec::new();
    let lists = ["/devices", "/devices?sort=-address&page=7", "/devices?q=rack-3", "/devices?tag=rack-4"];
    for path in [&lists[..], &["/", "/map", "/activity", "/keys"]].concat().repeat(10) {
        let began = Instant::now();
        let response = browser.open(path).await;
        let size = to_bytes(response.into_body(), 1 << 20).await.unwrap().len();
        times.push(began.elapsed());
        assert!(size < 20 * 1024, "{path}: {size} bytes");
    }

    times.sort();
    println!(
        "a page of 1,000 devices: median {:?}, p95 {:?} (this build)",
        times[times.len() / 2],
        times[times.len() * 95 / 100]
    );
    browser.headers.pop();
    let page = browser.get("/devices?sort=-address&page=7").await;
    assert_eq!(names(&page).len(), 100);
    assert!(text(&page.body).contains("0 of 1000 online") && text(&page.body).contains("Page 7 of 10"));
}

/// Enrols so many devices with one reusable key, sixteen at a time.
async fn enrol_many(server: &TestApp, count: u32) {
    let request = InviteRequest { reusable: true, ..InviteRequest::default() };
    let invite = actions::create_invite(&server.app, &Actor::Cli, request).await.unwrap().invite;
    let tasks = (0..16_u32).map(|first| {
        let (app, invite) = (server.app.clone(), invite.clone());
        tokio::spawn(async move {
            for number in (first..count).step_by(16) {
                let mut seed = [7; 32];
                seed[..4].copy_from_slice(&number.to_be_bytes());
                let enrolment = Enrolment {
                    secret: invite.secret.to_vec(),
                    identity_key: IdentitySecret::new(&seed).public(),
                    static_key: StaticPublic::new(seed),
                    hostname: format!("rack-{}-server-{number}", number % 10),
                    os: ["linux x86_64", "linux aarch64"][number as usize % 2].to_owned(),
                    agent_version: "0.1.0".to_owned(),
                };
                let device = actions::enrol_device(&app, &enrolment).await.unwrap();
                let tags = TagChange::Set(vec![format!("rack-{}", number % 10)]);
                actions::tag_devices(&app, &Actor::Cli, &[device.id], &tags).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// The names of the rows, from the first to the last.
fn names(page: &Page) -> Vec<String> {
    let rows = page.body.split("<tr role=\"row\" id=\"device-").skip(1);
    let name =
        |row: &str| Some(row.split_once("<a class=\"name\"")?.1.split_once('>')?.1.split('<').next()?.to_owned());
    rows.filter_map(name).collect()
}
