//! What is remembered of paths: three months of reports, with the clock moved by hand.

use std::time::Duration;

use warren_proto::control::PathReport;
use warren_proto::keys::UnixTime;
use warren_rendezvous::actions;
use warren_rendezvous::domain::history::{Kind, Range, Span, Way};

use crate::common::TestApp;

const BEGINNING: UnixTime = UnixTime::from_secs(0);

#[tokio::test]
async fn ninety_one_days_of_reports_stay_within_the_rows_promised() {
    let server = TestApp::new().await;
    let (a, b) = (server.device("laptop", 1).await.id, server.device("nas", 2).await.id);
    let (busy, silent) = (Way { from: a, to: b }, Way { from: b, to: a });
    let (mut bytes, mut number) = (0, 0);
    let mut report = |way: Way| {
        bytes += 15_000;
        number += 1;
        let kind = if number % 1000 == 0 { "relay" } else { "direct" };
        let report = PathReport { kind: kind.to_owned(), tx_bytes: bytes, ..path(way) };
        server.app.hub().recorder().note(way, &report, server.app.now());
    };

    report(silent);
    for _ in 0..89 * 24 {
        report(busy);
        server.clock.advance(Duration::from_secs(3600));
        actions::record_paths(&server.app).await.unwrap();
    }
    for _ in 0..2 * 24 * 6 {
        for _ in 0..40 {
            report(busy);
            server.clock.advance(Duration::from_secs(15));
        }
        actions::record_paths(&server.app).await.unwrap();
    }
    let rows = async |way, span| server.app.store().path_points(way, span, BEGINNING).await.unwrap().len();
    let held = [rows(busy, Span::Fine).await, rows(busy, Span::Minute).await, rows(busy, Span::Hour).await];
    assert_eq!(held[2].clamp(90 * 24, 90 * 24 + 2), held[2], "{held:?}");
    assert!((240..=302).contains(&held[0]) && (1440..=1457).contains(&held[1]), "{held:?}");
    assert!(held.iter().sum::<usize>() <= 3920, "{held:?}");
    let whole = Way { from: a, to: a };
    assert_eq!([rows(whole, Span::Fine).await, rows(whole, Span::Hour).await], [held[0], held[2]]);
    let changes = server.app.store().path_changes(busy, BEGINNING).await.unwrap();
    assert!(changes.len() <= 200, "{}", changes.len());

    assert_eq!(rows(silent, Span::Hour).await, 1, "nobody writes of it any more, so nobody trims it");
    actions::tidy(&server.app).await.unwrap();
    assert_eq!(rows(silent, Span::Hour).await + rows(silent, Span::Fine).await, 0);
    let week = actions::pair_history(&server.app, [a, b], Range::Week).await.unwrap();
    assert_eq!(week.lines[0].len(), 168);
    let hour = actions::pair_history(&server.app, [a, b], Range::Hour).await.unwrap();
    let steady = &hour.lines[0][10..230];
    assert!(steady.iter().all(|point| point.sample.tx_bytes == 15_000), "1,000 bytes a second");
}

#[tokio::test]
async fn what_is_not_written_yet_shows_and_is_written_once() {
    let server = TestApp::new().await;
    let (a, b) = (server.device("laptop", 1).await.id, server.device("nas", 2).await.id);
    let way = Way { from: a, to: b };
    let say = |kind: &str, tx_bytes| {
        let report = PathReport { kind: kind.to_owned(), tx_bytes, reason_code: "no-answer".to_owned(), ..path(way) };
        server.app.hub().recorder().note(way, &report, server.app.now());
        server.clock.advance(Duration::from_secs(15));
    };

    say("direct", 0);
    say("relay", 3000);
    let shown = actions::pair_history(&server.app, [b, a], Range::QuarterHour).await.unwrap();
    actions::record_paths(&server.app).await.unwrap();
    actions::record_paths(&server.app).await.unwrap();
    let written = actions::pair_history(&server.app, [b, a], Range::QuarterHour).await.unwrap();

    assert_eq!(shown.lines[1].iter().map(|point| point.sample.tx_bytes).sum::<u64>(), 3000);
    assert_eq!((&shown.lines, &shown.changes), (&written.lines, &written.changes));
    assert_eq!(shown.changes.len(), 1);
    let (line, change) = &shown.changes[0];
    assert_eq!((*line, change.from.kind, change.to.kind), (1, Kind::Direct, Kind::Relay));
    assert_eq!(change.reason, "no-answer");
    let device = actions::device_history(&server.app, a, Range::Day).await.unwrap();
    assert_eq!(device.lines[0].iter().map(|point| point.sample.tx_bytes).sum::<u64>(), 3000);
}

#[tokio::test]
async fn a_database_that_fails_costs_nothing_but_time() {
    let server = TestApp::new().await;
    let (a, b) = (server.device("laptop", 1).await.id, server.device("nas", 2).await.id);
    let way = Way { from: a, to: b };
    for tx_bytes in [0, 500] {
        server.app.hub().recorder().note(way, &PathReport { tx_bytes, ..path(way) }, server.app.now());
    }
    server.app.store().close().await;

    assert!(actions::record_paths(&server.app).await.is_err());

    let waiting = server.app.hub().recorder().pending(way);
    assert_eq!(waiting.iter().map(|point| point.sample.tx_bytes).sum::<u64>(), 500);
}

fn path(way: Way) -> PathReport {
    PathReport {
        peer: way.to,
        kind: "direct".to_owned(),
        via: "ipv4".to_owned(),
        remote: None,
        rtt_us: 12_000,
        mtu: 1466,
        since_unix_ms: 1,
        rx_bytes: 0,
        tx_bytes: 0,
        reason_code: "direct".to_owned(),
        rx_packets: 0,
        tx_packets: 0,
        probes: 0,
        probes_lost: 0,
    }
}
