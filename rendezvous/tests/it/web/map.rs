//! The map: graph, matrix and table of the paths there are.

use axum::body::to_bytes;

use super::pairs::Pair;
use crate::common::{TestApp, lint, text};

#[tokio::test]
async fn the_map_draws_devices_as_links_and_paths_by_kind() {
    let mut pair = Pair::online().await;
    pair.report(0, "direct", 0).await;
    pair.report(1, "relay", 0).await;
    pair.server.device("phone", 3).await;

    let page = pair.saying("/map", "2 of 3 devices online, 1 path: 0 direct, 1 through the relay").await;

    let shown = text(&page.body);
    for device in &pair.devices {
        assert!(page.body.contains(&format!("<a href=\"/devices/{}\" class=\"online node\"", device.id)));
    }
    assert!(page.body.contains("<title>phone, offline</title>") && page.body.contains("class=\"edge relay\""));
    assert!(shown.contains("laptop and nas relay UDP relay 26 ms"), "the mean of both, the worse kind: {shown}");
    assert!(page.body.contains(&format!("href=\"{}\"", pair.path())));
    lint("/map", &page.body);

    let direct = pair.browser.get("/map?kind=direct").await;
    assert!(
        text(&direct.body).contains("0 paths") && !direct.body.contains("class=\"edge relay\" stroke-width=\"1.5\"")
    );
    let named = pair.browser.get("/map?name=LAP").await;
    assert!(named.body.contains(">laptop</text>") && named.body.contains(">nas</text>"), "whom it has a path to");
    assert!(!named.body.contains(">phone</text>"));
    let matrix = pair.browser.get("/map?form=matrix").await;
    assert!(matrix.body.contains("class=\"cell relay\"") && !matrix.body.contains("id=\"map-graph\""));
    lint("/map?form=matrix", &matrix.body);
    let nobody = pair.browser.get("/map?name=%22%3E%3Cscript%3E").await;
    assert!(text(&nobody.body).contains("No device has that name") && !nobody.body.contains("<script>"));
    lint("/map?name", &nobody.body);
}

#[tokio::test]
async fn a_large_mesh_is_a_matrix_that_fits_its_page() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    for key in 1..=61 {
        server.device("a-rather-long-host-name-of-a-device", key).await;
    }

    let page = browser.get("/map").await;
    let graph = browser.get("/map?form=graph").await;
    browser.headers.push(("accept-encoding", "gzip".to_owned()));
    let response = browser.open("/map?form=graph").await;
    let size = to_bytes(response.into_body(), 1 << 20).await.unwrap().len();

    assert!(page.body.contains("id=\"map-matrix\"") && graph.body.contains("id=\"map-graph\""));
    assert_eq!(graph.body.matches("class=\"node\"").count(), 61);
    assert!(size < 20 * 1024, "{size} bytes");
}
