//! How people see the results: a table of all figures, and a chart of those that decide.

mod chart;
mod table;

pub(super) use chart::draw as chart;
pub(super) use table::draw as table;

/// Invented results that have one of everything: what is fast, what is slow, what failed and what was skipped.
#[cfg(test)]
pub(super) fn sample() -> super::Results {
    use std::collections::BTreeMap;

    use super::contender::Contender;
    use super::{Entry, Failure, Figure, Machine, Results, Round, Skipped};

    let figures = |scale: f64| -> BTreeMap<Figure, f64> {
        let values = [9.5, 9.25, 8.0, 1.5, 0.5, 12.0, 3.0, 6e5, 7e5, 0.05, 0.125, 0.75, 1.5, 0.0, 8e6, 1.0456];
        Figure::ALL.into_iter().zip(values.map(|value| value * scale)).collect()
    };
    let entry = |contender: Contender, version: &str, scale: f64| {
        Entry::new(contender, version.to_owned(), vec![Round { figures: figures(scale), failures: Vec::new() }])
    };
    let mut failed = entry(Contender::Nebula, "nebula 1.6.1", 0.25);
    failed.rounds[0].failures =
        vec![Failure { phase: "both-directions".to_owned(), reason: "iperf3: timed out <after 3 s>".to_owned() }];
    failed.rounds[0].figures.remove(&Figure::BothDirectionsGbps);
    failed.median = failed.rounds[0].figures.clone();
    Results {
        schema: 1,
        date: "2026-01-31".to_owned(),
        machine: Machine {
            cpu: "Example & Sons CPU".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.18.0".to_owned(),
            tcp_congestion_control: "cubic".to_owned(),
        },
        rounds: 1,
        seconds: 5,
        contenders: vec![
            entry(Contender::Plain, "the kernel's", 1.5),
            entry(Contender::Limit, "the yardstick", 1.0),
            entry(Contender::Warren, "warren 0.1.0", 0.75),
            failed,
        ],
        skipped: vec![Skipped { name: "gotatun".to_owned(), reason: "gotatun is not installed".to_owned() }],
    }
}
