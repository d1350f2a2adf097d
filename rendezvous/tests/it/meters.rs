//! What Prometheus reads: that it counts, that no name becomes a label, and that the dashboards ask for nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::TestApp;

#[tokio::test]
async fn what_happens_is_counted_and_nobodys_name_becomes_a_label() {
    let app = TestApp::new().await;
    app.device("annas-laptop", 1).await;
    let mut browser = app.visitor();

    browser.get("/sign-in").await;
    browser.get("/nowhere/very-secret").await;
    let page = app.app.meters().scrape(&app.app).unwrap();

    for line in [
        "warren_rendezvous_enrolments_total 1",
        "warren_rendezvous_refusals_total{code=\"invite_used\"} 0",
        "warren_rendezvous_agents_connected 0.0",
        "warren_rendezvous_http_requests_total{method=\"GET\",route=\"/sign-in\",status=\"200\"} 1",
        "warren_rendezvous_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "warren_rendezvous_http_request_duration_seconds_count{route=\"/sign-in\"} 1",
        "warren_relay_dropped_packets_total{reason=\"unknown_channel\"} 0.0",
        "warren_database_connections{pool=\"sqlite-write\"} 1.0",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
    }
    for secret in ["annas-laptop", "very-secret", "100.64.", "192.0.2."] {
        assert!(!page.contains(secret), "{secret}\n{page}");
    }
    assert!(page.contains("warren_database_write_duration_seconds_count "), "{page}");
    assert!(page.contains("process_resident_memory_bytes "), "{page}");
}

#[tokio::test]
async fn the_dashboard_asks_for_metrics_that_there_are() {
    let app = TestApp::new().await;
    app.visitor().get("/sign-in").await;
    let page = app.app.meters().scrape(&app.app).unwrap();
    let there: BTreeSet<&str> =
        page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/grafana/warren-rendezvous.json");
    let asked = metrics_of(&std::fs::read_to_string(file).unwrap());

    assert!(asked.len() >= 12, "{asked:?}");
    for name in asked {
        assert!(there.contains(name.as_str()), "{name} is not among {there:?}");
    }
}

/// The metrics that a dashboard's queries name.
fn metrics_of(dashboard: &str) -> BTreeSet<String> {
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    queries
        .flat_map(|query| {
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned);
            words.filter(|word| word.starts_with("warren_") || word.starts_with("process_")).collect::<Vec<_>>()
        })
        .collect()
}
