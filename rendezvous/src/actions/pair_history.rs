//! What is remembered of the paths of a pair, or of a device, in a stretch of time.

use std::time::Duration;

use warren_proto::keys::{NodeId, UnixTime};

use crate::app::App;
use crate::domain::history::{PathChange, Point, Range, Way, merged, slot};
use crate::error::Error;

/// A stretch of time in points of one length; where nothing was reported there is no point.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct History {
    /// Which stretch.
    pub range: Range,
    /// When the first point would begin.
    pub since: UnixTime,
    /// When the last point ends.
    pub until: UnixTime,
    /// What a point covers.
    pub step: Duration,
    /// One line of points for each who reports.
    pub lines: Vec<Vec<Point>>,
    /// When paths became others, newest first; by the number of the line.
    pub changes: Vec<(usize, PathChange)>,
}

/// The paths between two devices: what the first reports, what the second does.
pub async fn pair_history(app: &App, pair: [NodeId; 2], range: Range) -> Result<History, Error> {
    let mut history = empty(range, app.now());
    let span = range.span();
    let ways = [Way { from: pair[0], to: pair[1] }, Way { from: pair[1], to: pair[0] }];
    for (line, way) in ways.into_iter().enumerate() {
        let mut points = app.store().path_points(way, span, history.since).await?;
        let mut changes = app.store().path_changes(way, history.since).await?;
        {
            let recorder = app.hub().recorder();
            points.extend(recorder.pending(way));
            changes.extend(recorder.pending_changes(way));
        }
        history.lines.push(history.fitted(points));
        history.changes.extend(changes.into_iter().map(|change| (line, change)));
    }
    history.changes.sort_by_key(|(_, change)| std::cmp::Reverse(change.at));
    Ok(history)
}

/// All that a device has to do with its peers.
pub async fn device_history(app: &App, device: NodeId, range: Range) -> Result<History, Error> {
    let mut history = empty(range, app.now());
    let way = Way { from: device, to: device };
    let mut points = app.store().path_points(way, range.span(), history.since).await?;
    points.extend(app.hub().recorder().pending_of(device));
    history.lines.push(history.fitted(points));
    Ok(history)
}

fn empty(range: Range, now: UnixTime) -> History {
    let step = range.step();
    let until = slot(now, step).plus(step);
    let since = UnixTime::new(until.since_epoch().saturating_sub(range.length()));
    History { range, since, until, step, lines: Vec::new(), changes: Vec::new() }
}

impl History {
    fn fitted(&self, points: Vec<Point>) -> Vec<Point> {
        merged(points.into_iter().filter(|point| point.at >= self.since && point.at < self.until), self.step)
    }
}
