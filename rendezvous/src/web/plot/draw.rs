//! SVG paths of lines, of what lies between two lines, and stretches of one kind. Slots without a value are bridged when
//! they are few, and a gap when they are many.

use std::collections::BTreeMap;

use super::scale::{Scale, decimal};
use crate::domain::history::Kind;

/// A line through the middle of its slots; a value that stands alone is a dot.
pub(super) fn line(values: &[(usize, u64)], join: usize, scale: &Scale) -> String {
    let mut path = String::new();
    for run in runs(values, join, |(slot, _)| *slot) {
        for (index, (slot, value)) in run.iter().enumerate() {
            path.push(if index == 0 { 'M' } else { 'L' });
            path.push_str(&format!("{} {}", middle(*slot), scale.down(*value)));
        }
        if run.len() == 1 {
            path.push_str("h0");
        }
    }
    path
}

/// The area between the least and the most of each slot.
pub(super) fn envelope(spread: &[(usize, u64, u64)], join: usize, scale: &Scale) -> String {
    let mut path = String::new();
    for run in runs(spread, join, |(slot, ..)| *slot) {
        let above = run.iter().map(|(slot, _, max)| (*slot, *max));
        let below = run.iter().rev().map(|(slot, min, _)| (*slot, *min));
        for (index, (slot, value)) in above.chain(below).enumerate() {
            path.push(if index == 0 { 'M' } else { 'L' });
            path.push_str(&format!("{} {}", middle(slot), scale.down(value)));
        }
        path.push('Z');
    }
    path
}

/// From slot to slot, what was there; a kind holds for `join` slots when nothing else is known, and not beyond the end.
pub(super) fn segments(known: &BTreeMap<usize, Kind>, join: usize, slots: usize) -> Vec<(usize, usize, Kind)> {
    let mut found: Vec<(usize, usize, Kind)> = Vec::new();
    let mut following = known.keys().skip(1);
    for (slot, kind) in known {
        let next = following.next().copied().unwrap_or(slots);
        let end = next.min(slot + join).min(slots);
        match found.last_mut() {
            Some((_, to, held)) if held == kind && *to >= *slot => *to = end,
            _ => found.push((*slot, end, *kind)),
        }
    }
    found
}

/// Parts in which no two neighbours are further apart than `join`.
fn runs<T>(items: &[T], join: usize, slot: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    items.chunk_by(move |before, after| slot(after) - slot(before) <= join)
}

fn middle(slot: usize) -> String {
    decimal(slot as u64 * 10 + 5)
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::*;

    #[test]
    fn a_line_bridges_what_is_short_and_breaks_where_nothing_is_known() {
        let scale = Scale::up_to(1000, Unit::PerMille);

        assert_eq!(line(&[(0, 0), (3, 1000), (9, 500)], 3, &scale), "M.5 100L3.5 0M9.5 50h0");
        assert_eq!(line(&[], 3, &scale), "");
    }

    #[test]
    fn a_kind_holds_until_the_next_or_for_so_long() {
        let known = [(0, Kind::Direct), (2, Kind::Direct), (4, Kind::Relay), (20, Kind::Direct)].into();

        let found = segments(&known, 5, 22);

        assert_eq!(found, [(0, 4, Kind::Direct), (4, 9, Kind::Relay), (20, 22, Kind::Direct)]);
    }
}
