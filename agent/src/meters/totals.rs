//! Sums of counters whose owners come and go: what was counted stays counted.

use std::collections::{BTreeMap, HashMap};

/// Sums by label, made of counters by owner and label.
#[derive(Debug, Default)]
pub(super) struct Totals {
    last: HashMap<(String, String), u64>,
    sums: BTreeMap<String, u64>,
}

impl Totals {
    /// Takes one reading of all owners. An owner's counter that is lower than before has begun anew.
    pub(super) fn read(&mut self, counters: impl IntoIterator<Item = (String, String, u64)>) {
        let mut last = HashMap::new();
        for (owner, label, count) in counters {
            let key = (owner, label);
            let before = self.last.get(&key).copied().filter(|before| *before <= count).unwrap_or(0);
            *self.sums.entry(key.1.clone()).or_insert(0) += count - before;
            last.insert(key, count);
        }
        // an owner that is gone is forgotten: should it come back, it begins at nought
        self.last = last;
    }

    /// Everything counted so far, by label.
    pub(super) fn sums(&self) -> &BTreeMap<String, u64> {
        &self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(counts: &[(&str, u64)]) -> Vec<(String, String, u64)> {
        counts.iter().map(|(owner, count)| ((*owner).to_owned(), "bytes".to_owned(), *count)).collect()
    }

    #[test]
    fn a_sum_never_falls_whoever_leaves_or_begins_anew() {
        let mut totals = Totals::default();
        let mut sums = Vec::new();

        for counts in [&[("a", 10), ("b", 5)][..], &[("a", 12)], &[("a", 2), ("b", 1)], &[]] {
            totals.read(reading(counts));
            sums.push(totals.sums()["bytes"]);
        }

        assert_eq!(sums, [15, 17, 20, 20]);
    }
}
