//! What was measured, in words.

use std::fmt;
use std::time::Duration;

/// One figure after the other, in the order of the stages.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    rows: Vec<(String, String)>,
}

impl Figures {
    /// Adds one, and says it at once: a run takes minutes.
    pub(super) fn add(&mut self, name: &str, value: impl fmt::Display) {
        eprintln!("{name}: {value}");
        self.rows.push((name.to_owned(), value.to_string()));
    }
}

impl fmt::Display for Figures {
    /// A table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | value |\n|---|---:|")?;
        self.rows.iter().try_for_each(|(name, value)| writeln!(f, "| {name} | {value} |"))
    }
}

/// How long something took, many times.
#[derive(Clone, Debug, Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        // a share of a length is within it
        let index = (share * (sorted.len() as f64 - 1.0)).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.at(share).as_secs_f64() * 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, last {:.1} ms ({} times)", ms(0.5), ms(0.99), ms(1.0), self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_times_is_the_one_at_its_place() {
        let mut times = Times::default();
        (0..=100).rev().for_each(|ms| times.add(Duration::from_millis(ms)));

        assert_eq!(times.to_string(), "p50 50.0 ms, p99 99.0 ms, last 100.0 ms (101 times)");
    }
}
