//! Writes down what agents reported of their paths since the last time: everything in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use warren_proto::keys::UnixTime;

use crate::app::App;
use crate::domain::history::{Batch, Point, Sample, Span, Way, slot};
use crate::error::Error;

/// Writes what waits, and deletes what is too old of the ways whose turn it is. Kept for the next time when that fails.
pub async fn record_paths(app: &App) -> Result<(), Error> {
    let now = app.now();
    let batch = app.hub().recorder().take(now);
    if batch == Batch::default() {
        return Ok(());
    }
    let written = write(app, &batch, now).await;
    if written.is_err() {
        app.hub().recorder().put_back(batch);
    }
    Ok(written?)
}

async fn write(app: &App, batch: &Batch, now: UnixTime) -> Result<(), sqlx::Error> {
    let mut tx = app.store().begin().await?;
    for ((way, span, at), sample) in rolled_up(batch) {
        tx.merge_path_point(way, span, &Point { at, sample }).await?;
    }
    for (way, change) in &batch.changes {
        tx.insert_path_change(*way, change).await?;
    }
    let overdue: BTreeSet<Way> = batch.overdue.iter().flat_map(|way| [*way, whole(*way)]).collect();
    for way in overdue {
        for span in Span::ALL {
            tx.trim_path_points(way, span, before(span, now)).await?;
        }
        tx.trim_path_changes(way).await?;
    }
    tx.commit().await
}

/// Every point in every span, of its way and of its device as a whole.
fn rolled_up(batch: &Batch) -> BTreeMap<(Way, Span, UnixTime), Sample> {
    let mut rows = BTreeMap::<_, Sample>::new();
    for (way, point) in &batch.points {
        for span in Span::ALL {
            for way in [*way, whole(*way)] {
                rows.entry((way, span, slot(point.at, span.length()))).or_default().merge(&point.sample);
            }
        }
    }
    rows
}

/// All that a device has to do with anybody.
fn whole(way: Way) -> Way {
    Way { from: way.from, to: way.from }
}

/// Points of a span that begin before this are too old.
pub(super) fn before(span: Span, now: UnixTime) -> UnixTime {
    UnixTime::new(now.since_epoch().saturating_sub(span.kept()))
}
