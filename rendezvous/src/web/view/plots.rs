//! What the plots of a pair and of a device show, and the same in numbers.

use crate::actions::History;
use crate::domain::history::{Point, Range, merged};

use super::super::format::Rtt;
use super::super::plot::{Plot, Subject, Take, Unit, clock, day, loss, mean_rtt, received, sent};

/// The plots of a history, and a table of what they show.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct Plots {
    pub(in crate::web) range: Range,
    pub(in crate::web) plots: Vec<Plot>,
    /// The names of the lines.
    pub(in crate::web) names: Vec<String>,
    pub(in crate::web) rows: Vec<Row>,
}

/// A line of the table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct Row {
    pub(in crate::web) at: String,
    /// Of each line.
    pub(in crate::web) cells: Vec<Cell>,
}

/// What one line says of a row's time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(in crate::web) struct Cell {
    pub(in crate::web) rtt: String,
    pub(in crate::web) loss: String,
    pub(in crate::web) received: String,
    pub(in crate::web) sent: String,
}

impl Plots {
    /// Of a pair: each direction is a line.
    pub(in crate::web) fn of_pair(history: &History, [a, b]: [&str; 2]) -> Self {
        let names = [format!("{a} to {b}"), format!("{b} to {a}")];
        let both = |take: Take| [(names[0].clone(), 0, take), (names[1].clone(), 1, take)];
        let [rtts, losses, rates] = [both(mean_rtt), both(loss), both(sent)];
        let subject =
            Subject { id: "", title: "", unit: Unit::Micros, lines: &[], with_envelope: false, with_kinds: true };
        let subjects = [
            Subject {
                id: "rtt",
                title: "Round trip, with its least and most",
                lines: &rtts,
                with_envelope: true,
                ..subject
            },
            Subject { id: "loss", title: "Loss", unit: Unit::PerMille, lines: &losses, ..subject },
            Subject { id: "rate", title: "Throughput", unit: Unit::BitsPerSecond, lines: &rates, ..subject },
        ];
        let plots = subjects.iter().map(|subject| Plot::new(history, subject)).collect();
        Self { range: history.range, plots, rows: rows(history), names: names.into() }
    }

    /// Of a device: what it receives and sends.
    pub(in crate::web) fn of_device(history: &History) -> Self {
        let lines: [(String, usize, Take); 2] = [("received".to_owned(), 0, received), ("sent".to_owned(), 0, sent)];
        let subject = Subject {
            id: "rate",
            title: "Throughput, all peers together",
            unit: Unit::BitsPerSecond,
            lines: &lines,
            with_envelope: false,
            with_kinds: false,
        };
        let trips: [(String, usize, Take); 1] = [("mean".to_owned(), 0, mean_rtt)];
        let round_trips = Subject {
            id: "rtt",
            title: "Round trips to all peers",
            unit: Unit::Micros,
            lines: &trips,
            with_envelope: true,
            with_kinds: false,
        };
        Self {
            range: history.range,
            plots: vec![Plot::new(history, &subject), Plot::new(history, &round_trips)],
            rows: rows(history),
            names: vec!["all peers".to_owned()],
        }
    }
}

/// Between a dozen and thirty rows, newest first.
fn rows(history: &History) -> Vec<Row> {
    let step = std::time::Duration::from_secs(match history.range {
        Range::QuarterHour => 60,
        Range::Hour => 300,
        Range::Day => 3600,
        Range::Week => 6 * 3600,
        Range::Quarter => 3 * 86_400,
    });
    let lines: Vec<Vec<Point>> = history.lines.iter().map(|line| merged(line.iter().copied(), step)).collect();
    let mut moments: Vec<_> = lines.iter().flatten().map(|point| point.at).collect();
    moments.sort_unstable();
    moments.dedup();
    let cell = |line: &Vec<Point>, at| {
        let point = line.iter().find(|point| point.at == at);
        point.map(|point| Cell::new(point, step.as_secs())).unwrap_or_default()
    };
    moments
        .into_iter()
        .rev()
        .map(|at| {
            let text = if step.as_secs() < 3600 { clock(at) } else { format!("{} {}", day(at), clock(at)) };
            Row { at: text, cells: lines.iter().map(|line| cell(line, at)).collect() }
        })
        .collect()
}

impl Cell {
    fn new(point: &Point, step: u64) -> Self {
        let sample = &point.sample;
        let micros = |micros| Rtt(std::time::Duration::from_micros(micros)).to_string();
        Self {
            rtt: sample
                .rtts
                .map(|rtts| format!("{} ({} to {})", micros(rtts.mean()), micros(rtts.min), micros(rtts.max)))
                .unwrap_or_default(),
            loss: sample.loss_per_mille().map(|loss| Unit::PerMille.text(loss)).unwrap_or_default(),
            received: received(point, step).map(|rate| Unit::BitsPerSecond.text(rate)).unwrap_or_default(),
            sent: sent(point, step).map(|rate| Unit::BitsPerSecond.text(rate)).unwrap_or_default(),
        }
    }
}
