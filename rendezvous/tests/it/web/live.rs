//! The live streams: what changed and only that, resumed where a page stands.

use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::Response;
use futures_util::StreamExt as _;
use warren_rendezvous::actions;
use warren_rendezvous::domain::Actor;

use crate::common::{TestApp, attribute};

/// Reads a stream event by event.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event, or `None` when the stream ends.
    async fn next(&mut self) -> Option<String> {
        while !self.text.contains("\n\n") {
            let chunk = tokio::time::timeout(Duration::from_secs(15), self.body.next()).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        let (event, rest) = self.text.split_once("\n\n").unwrap();
        let event = event.to_owned();
        self.text = rest.to_owned();
        Some(event)
    }
}

#[tokio::test]
async fn a_page_that_is_up_to_date_is_told_nothing_but_that_it_is_live() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    server.device("laptop", 1).await;
    let page = browser.get("/devices").await;
    let state = attribute(&page.body, "data-live=", "data-state").unwrap();

    let mut events = Events::of(browser.open(&format!("/devices/live?from={state}")).await);

    assert!(events.next().await.unwrap().contains("event: beat"));
}

#[tokio::test]
async fn a_page_that_missed_something_gets_the_whole_list_and_the_name_of_its_state() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    server.device("laptop", 1).await;

    let mut events = Events::of(browser.open("/devices/live?from=0").await);

    let summary = events.next().await.unwrap();
    let list = events.next().await.unwrap();
    assert!(summary.contains("id=\"summary\"") && !summary.contains("\nid:"), "{summary}");
    assert!(list.contains("id=\"device-list\"") && list.contains("laptop") && list.contains("\nid:"), "{list}");
}

#[tokio::test]
async fn only_the_row_that_changed_is_sent() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (laptop, desktop) = (server.device("laptop", 1).await, server.device("desktop", 2).await);
    let mut events = Events::of(browser.open("/devices/live?from=0").await);
    events.next().await;
    events.next().await;

    actions::rename_device(&server.app, &Actor::Cli, laptop.id, "laundry").await.unwrap();

    let row = events.next().await.unwrap();
    assert!(row.contains(&format!("<tr role=\"row\" id=\"device-{}\"", laptop.id)) && row.contains("laundry"), "{row}");
    assert!(!row.contains(desktop.name.as_str()));
}

#[tokio::test]
async fn a_device_that_comes_by_an_invite_shows_on_its_page() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices/new").await;
    let path = browser.submit(&page, "/devices/new", &[]).await.location().to_owned();
    let shown = browser.get(&path).await;
    let command = shown.body.split_once("<code id=\"command\">").unwrap().1.split('<').next().unwrap();
    let invite = command.rsplit(' ').next().unwrap().parse().unwrap();
    let state = attribute(&shown.body, "data-live=", "data-state").unwrap();
    let mut events = Events::of(browser.open(&format!("{path}/live?from={state}")).await);
    assert!(events.next().await.unwrap().contains("event: beat"));

    server.enrol(&invite, "laptop", 1).await;

    let arrived = events.next().await.unwrap();
    assert!(arrived.contains("id=\"enrolment\"") && arrived.contains("laptop"), "{arrived}");
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let page = browser.get("/devices").await;
    let mut events = Events::of(browser.open("/devices/live?from=0").await);
    events.next().await;
    events.next().await;

    browser.submit(&page, "/sign-out", &[]).await;
    server.device("laptop", 1).await;

    assert_eq!(events.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_that_happens_at_once_reaches_a_page_four_times_a_second() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let laptop = server.device("laptop", 1).await;
    let mut events = Events::of(browser.open("/devices/live?from=0").await);
    events.next().await;
    events.next().await;
    let began = Instant::now();

    let app = server.app.clone();
    let busy = tokio::spawn(async move {
        let mut renamed = 0;
        while began.elapsed() < Duration::from_secs(2) {
            renamed += 1;
            actions::rename_device(&app, &Actor::Cli, laptop.id, &format!("name-{renamed}")).await.unwrap();
        }
        renamed
    });
    let mut patches = 0;
    while !busy.is_finished() {
        let event = events.next().await.unwrap();
        patches += usize::from(event.contains("event: patch"));
    }
    let renamed = busy.await.unwrap();

    let seconds = began.elapsed().as_secs_f64();
    assert!(renamed > 20, "{renamed} changes are no rush");
    assert!(patches >= 2 && patches as f64 <= 4.0 * seconds + 1.0, "{patches} patches in {seconds:.1} s");
}
