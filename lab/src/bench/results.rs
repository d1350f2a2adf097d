//! What came out: all figures of all rounds, and what is read off them. This is also the JSON file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::contender::Contender;
use super::figure::Figure;
use crate::machine::Machine;

/// A whole benchmark.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Results {
    /// The version of this layout.
    pub schema: u32,
    /// The day.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// How often every contender ran.
    pub rounds: u32,
    /// How long each phase measured.
    pub seconds: u32,
    /// Who ran, in the order of the command.
    pub contenders: Vec<Entry>,
    /// Who did not.
    pub skipped: Vec<Skipped>,
}

/// One contender's results.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Medians over the rounds.
    pub median: BTreeMap<Figure, f64>,
    /// As measured.
    pub rounds: Vec<Round>,
}

/// One contender's figures of one round.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Round {
    /// What was measured.
    pub figures: BTreeMap<Figure, f64>,
    /// What could not be.
    pub failures: Vec<Failure>,
}

/// A phase that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Which one.
    pub phase: String,
    /// Why.
    pub reason: String,
}

/// A contender that could not run on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Results {
    pub(super) fn new(settings: &Settings, machine: Machine, contenders: Vec<Entry>, skipped: Vec<Skipped>) -> Self {
        let Settings { seconds, date, .. } = settings.clone();
        let rounds = settings.rounds + settings.earlier.as_ref().map_or(0, |earlier| earlier.rounds);
        Self { schema: 1, date, machine, rounds, seconds, contenders, skipped }
    }

    /// Where, when and how long, in one line.
    pub fn describe(&self) -> String {
        let rounds =
            if self.rounds == 1 { "one round".to_owned() } else { format!("median of {} rounds", self.rounds) };
        let Self { date, machine, seconds, .. } = self;
        format!("{} · {date} · TCP {} · {rounds}, {seconds} s each", machine.describe(), machine.tcp_congestion_control)
    }

    /// The contender of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.contenders.iter().find(|entry| entry.name == name)
    }

    /// How a contender's figure compares with the yardstick's: the median of the ratios within each round.
    pub fn ratio_to_limit(&self, entry: &Entry, figure: Figure) -> Option<f64> {
        let limit = self.entry(&Contender::Limit.name())?;
        let pairs = entry.rounds.iter().zip(&limit.rounds);
        let ratios = pairs.filter_map(|(own, limit)| Some(own.figures.get(&figure)? / limit.figures.get(&figure)?));
        median(ratios.collect())
    }
}

impl Entry {
    pub(super) fn new(contender: Contender, version: String, rounds: Vec<Round>) -> Self {
        let values = |figure| rounds.iter().filter_map(|round| round.figures.get(&figure).copied()).collect();
        let medians = Figure::ALL.into_iter().filter_map(|figure| Some((figure, median(values(figure))?)));
        Self { name: contender.name(), version, median: medians.collect(), rounds }
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_round_does_not_move_the_median() {
        assert_eq!(median(vec![3.0, 0.1, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 2.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_round_is_compared_with_the_yardstick_of_the_same_round() {
        let entry = |contender, values: &[f64]| {
            let round = |&value| Round { figures: [(Figure::OneFlowGbps, value)].into(), failures: Vec::new() };
            Entry::new(contender, String::new(), values.iter().map(round).collect())
        };
        let mut results = super::super::report::sample();

        // The machine was slow in the third round, and both felt it.
        results.contenders =
            vec![entry(Contender::Limit, &[10.0, 8.0, 2.0]), entry(Contender::Warren, &[7.0, 5.6, 1.4])];

        let ratio = results.ratio_to_limit(&results.contenders[1], Figure::OneFlowGbps).unwrap();
        assert!((ratio - 0.7).abs() < 1e-9, "{ratio}");
    }
}
