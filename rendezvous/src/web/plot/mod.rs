//! Plots of what was measured over time, drawn on the server: a page shows them without a script, everybody sees the same
//! ones, and tests can read them.
//!
//! Across, a plot is as wide as its page: x is counted in slots and stretched by the browser, labels stand at per cents of
//! the width and are not. Down, it has a fixed height. `scale` says where values and times are and what is written
//! there, `draw` makes the lines. A plot's hash stands for what it shows.

mod draw;
mod scale;

use warren_proto::keys::UnixTime;

use crate::actions::History;
use crate::domain::history::{Kind, PathChange, Point};

use draw::{envelope, line, segments};
use scale::{Scale, across, moments};

pub(super) use scale::{Unit, clock, day};

/// One plot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Plot {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it shows, for those who do not see it.
    pub(super) label: String,
    pub(super) lines: Vec<Line>,
    /// From the least to the most of what was measured.
    pub(super) envelope: String,
    pub(super) levels: Vec<Tick>,
    pub(super) moments: Vec<Tick>,
    pub(super) marks: Vec<Mark>,
    pub(super) kinds: Vec<Segment>,
    /// Slots across.
    pub(super) slots: usize,
    /// When the first slot begins, in Unix seconds, and how long each is.
    pub(super) start: u64,
    pub(super) step: u64,
}

/// One of at most two lines.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Line {
    /// Whose it is.
    pub(super) name: String,
    /// Its SVG path, in slots and per cents.
    pub(super) path: String,
    /// Its values by slot, for the read-out.
    pub(super) values: String,
    pub(super) unit: &'static str,
}

/// A labelled place on an axis, in per cent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Tick {
    pub(super) at: String,
    pub(super) text: String,
}

/// A moment at which a path became another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Mark {
    pub(super) at: String,
    pub(super) kind: &'static str,
}

/// A stretch of time in which a path was of one kind, in per cents.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Segment {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) kind: &'static str,
}

/// What a plot takes of a point.
pub(super) type Take = fn(&Point, u64) -> Option<u64>;

/// What is to be drawn, beside the history.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// The name of each line, the number of the history's line, and what is taken of its points.
    pub(super) lines: &'a [(String, usize, Take)],
    /// Whether round trips' least and most are drawn.
    pub(super) with_envelope: bool,
    /// Whether the kinds of path are drawn below.
    pub(super) with_kinds: bool,
}

impl Plot {
    /// Draws a history.
    pub(super) fn new(history: &History, subject: &Subject<'_>) -> Self {
        let step = history.step.as_secs().max(1);
        let slots = usize::try_from(history.range.length().as_secs() / step).unwrap_or(1).max(1);
        let slot_of = |at: UnixTime| {
            usize::try_from(at.as_secs().saturating_sub(history.since.as_secs()) / step).unwrap_or(usize::MAX)
        };
        let series = |number: usize, take: Take| -> Vec<(usize, u64)> {
            let points = history.lines.get(number).into_iter().flatten();
            points.filter_map(|point| Some((slot_of(point.at), take(point, step)?))).collect()
        };
        let drawn: Vec<(&str, Vec<(usize, u64)>)> =
            subject.lines.iter().map(|(name, number, take)| (name.as_str(), series(*number, *take))).collect();
        let spread = if subject.with_envelope { spread(history, slot_of) } else { Vec::new() };
        let tops = drawn.iter().flat_map(|(_, values)| values).map(|(_, value)| *value);
        let most = tops.chain(spread.iter().map(|(_, _, max)| *max)).max();
        let scale = Scale::up_to(most.unwrap_or(0), subject.unit);
        let join = usize::try_from(JOINED_SECONDS / step).unwrap_or(0).max(1);
        Self {
            id: subject.id,
            title: subject.title,
            label: label(history, subject, &drawn),
            lines: drawn
                .iter()
                .map(|(name, values)| Line {
                    name: (*name).to_owned(),
                    path: line(values, join, &scale),
                    values: listed(values, slots),
                    unit: subject.unit.name(),
                })
                .collect(),
            envelope: envelope(&spread, join, &scale),
            levels: scale.ticks(),
            moments: moments(history.range, history.since, history.until),
            marks: history.changes.iter().take(MARKS).map(|(_, change)| mark(history, change)).collect(),
            kinds: if subject.with_kinds { kinds(history, slot_of, slots, join) } else { Vec::new() },
            slots,
            start: history.since.as_secs(),
            step,
        }
    }

    /// Whether there is anything to see.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.path.is_empty())
    }
}

/// The mean round trip of a slot.
pub(super) fn mean_rtt(point: &Point, _: u64) -> Option<u64> {
    point.sample.rtts.map(|rtts| rtts.mean())
}

/// Lost of a thousand probes.
pub(super) fn loss(point: &Point, _: u64) -> Option<u64> {
    point.sample.loss_per_mille()
}

/// Bits sent a second.
pub(super) fn sent(point: &Point, step: u64) -> Option<u64> {
    Some(point.sample.tx_bytes.saturating_mul(8) / step.max(1))
}

/// Bits received a second.
pub(super) fn received(point: &Point, step: u64) -> Option<u64> {
    Some(point.sample.rx_bytes.saturating_mul(8) / step.max(1))
}

/// The least and the most round trip of each slot, of all lines.
fn spread(history: &History, slot_of: impl Fn(UnixTime) -> usize) -> Vec<(usize, u64, u64)> {
    let mut slots = std::collections::BTreeMap::<usize, (u64, u64)>::new();
    for point in history.lines.iter().flatten() {
        let Some(rtts) = point.sample.rtts else { continue };
        let slot = slots.entry(slot_of(point.at)).or_insert((rtts.min, rtts.max));
        *slot = (slot.0.min(rtts.min), slot.1.max(rtts.max));
    }
    slots.into_iter().map(|(slot, (min, max))| (slot, min, max)).collect()
}

/// What the worse of both ends had, slot by slot, the last one holding for as long as lines are joined.
fn kinds(history: &History, slot_of: impl Fn(UnixTime) -> usize, slots: usize, join: usize) -> Vec<Segment> {
    let mut known = std::collections::BTreeMap::<usize, Kind>::new();
    for point in history.lines.iter().flatten() {
        if let Some(kind) = point.sample.kinds.worst() {
            let held = known.entry(slot_of(point.at)).or_insert(kind);
            *held = (*held).max(kind);
        }
    }
    let segments = segments(&known, join, slots);
    let percent = |slot| across(slot as u64, slots as u64);
    segments
        .into_iter()
        .map(|(from, to, kind)| Segment { from: percent(from), to: percent(to), kind: kind.name() })
        .collect()
}

fn mark(history: &History, change: &PathChange) -> Mark {
    let whole = history.until.since_epoch().saturating_sub(history.since.since_epoch());
    let part = change.at.since_epoch().saturating_sub(history.since.since_epoch());
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Mark { at: across(millis(part), millis(whole)), kind: change.to.kind.name() }
}

fn label(history: &History, subject: &Subject<'_>, drawn: &[(&str, Vec<(usize, u64)>)]) -> String {
    let parts = drawn.iter().map(|(name, values)| {
        let least = values.iter().map(|(_, value)| *value).min();
        let most = values.iter().map(|(_, value)| *value).max();
        match (least, most) {
            (Some(least), Some(most)) => {
                format!("{name} {} to {}", subject.unit.text(least), subject.unit.text(most))
            }
            _ => format!("{name} not measured"),
        }
    });
    let parts: Vec<String> = parts.collect();
    format!("{}, last {}: {}", subject.title, in_words(history.range), parts.join("; "))
}

/// A range as people say it.
pub(super) const fn in_words(range: crate::domain::history::Range) -> &'static str {
    use crate::domain::history::Range;
    match range {
        Range::QuarterHour => "15 minutes",
        Range::Hour => "hour",
        Range::Day => "24 hours",
        Range::Week => "7 days",
        Range::Quarter => "90 days",
    }
}

/// `12,,14`: by slot, nothing where nothing was measured; as far as the last value.
fn listed(values: &[(usize, u64)], slots: usize) -> String {
    let mut text = String::new();
    let mut next = 0;
    for (slot, value) in values.iter().filter(|(slot, _)| *slot < slots) {
        while next < *slot {
            text.push(',');
            next += 1;
        }
        text.push_str(&value.to_string());
    }
    text
}

/// An idle pair reports every five minutes, so what is between two reports no further apart is no gap.
const JOINED_SECONDS: u64 = 330;
/// More changes than this in one plot are a wall.
const MARKS: usize = 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::history::{Kinds, PathName, Range, Rtts, Sample};

    fn history() -> History {
        let since = UnixTime::from_secs(1_795_436_100);
        let range = Range::QuarterHour;
        let until = since.plus(range.length());
        let point = |slot: u32, rtt: u64, kind| Point {
            at: since.plus(range.step() * slot),
            sample: Sample {
                kinds: Kinds::of(kind),
                rtts: Some(Rtts { min: rtt - 1000, max: rtt + 3000, sum: rtt * 2, count: 2 }),
                probes: 4,
                lost: 1,
                rx_bytes: 0,
                tx_bytes: 150_000,
            },
        };
        let name = |kind| PathName { kind, via: String::new() };
        let change = PathChange {
            at: since.plus(Duration::from_secs(450)),
            from: name(Kind::Relay),
            to: name(Kind::Direct),
            remote: String::new(),
            reason: String::new(),
        };
        History {
            range,
            since,
            until,
            step: range.step(),
            lines: vec![
                vec![point(0, 40_000, Kind::Relay), point(2, 42_000, Kind::Relay), point(30, 12_000, Kind::Direct)],
                vec![],
            ],
            changes: vec![(0, change)],
        }
    }

    fn plot(unit: Unit, take: Take) -> Plot {
        let lines = [("a to b".to_owned(), 0, take), ("b to a".to_owned(), 1, take)];
        let subject =
            Subject { id: "p", title: "Round trip", unit, lines: &lines, with_envelope: true, with_kinds: true };
        Plot::new(&history(), &subject)
    }

    #[test]
    fn a_plot_of_round_trips_is_what_it_was() {
        let plot = plot(Unit::Micros, mean_rtt);

        assert_eq!(plot.label, "Round trip, last 15 minutes: a to b 12 ms to 42 ms; b to a not measured");
        assert_eq!(plot.lines[0].path, "M.5 20L2.5 16M30.5 76h0");
        assert_eq!(plot.envelope, "M.5 14L2.5 10L2.5 18L.5 22ZM30.5 70L30.5 78Z");
        assert_eq!(plot.lines[0].values, format!("40000,,42000{}12000", ",".repeat(28)));
        assert_eq!(plot.levels.iter().map(|tick| tick.text.as_str()).collect::<Vec<_>>(), ["25 ms", "50 ms"]);
        assert_eq!(plot.marks, [Mark { at: "50".to_owned(), kind: "direct" }]);
        let kinds: Vec<_> = plot.kinds.iter().map(|part| (part.from.as_str(), part.to.as_str(), part.kind)).collect();
        assert_eq!(kinds, [("0", "40", "relay"), ("50", "86.7", "direct")]);
        assert_eq!((plot.slots, plot.step), (60, 15));
        assert!(plot.lines[1].path.is_empty() && !plot.is_empty());
    }

    #[test]
    fn loss_and_throughput_have_units_of_their_own() {
        assert_eq!(plot(Unit::PerMille, loss).lines[0].values.split(',').next(), Some("250"));
        assert_eq!(plot(Unit::BitsPerSecond, sent).lines[0].values.split(',').next(), Some("80000"));
    }
}
