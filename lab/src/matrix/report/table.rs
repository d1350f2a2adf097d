//! A matrix as Markdown: the square of times, then every pair with all its figures, then what was built.

use std::fmt::Write;

use crate::matrix::{Cell, Expectation, Results, Try};

/// Medians over the tries; then what is not as expected.
pub(in crate::matrix) fn draw(results: &Results) -> String {
    let good = results.all().filter(|cell| cell.passed()).count();
    let mut text = format!("{}\n\n", results.describe());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "As expected: {good} of {} pairs and scenes.\n", results.all().count());
    text += "Seconds until both sent straight to each other, over all tries that came to what was expected:\n\n";
    text += &grid(&times(results));
    text += "\nSeconds from the moment the second device was told to go online until both sent straight to each other, or\n\
             the kind of relay:\n\n";
    text += &grid(&square(results));
    text += "\nEvery pair:\n\n";
    text += &grid(&pairs(results));
    text += "\nWhat was built:\n\n";
    text += &grid(&kinds(results));
    text + &remarks(results)
}

/// How soon each technique succeeds, against what is promised of it.
fn times(results: &Results) -> Vec<Vec<String>> {
    let mut rows = vec![["expected", "tries", "p50", "p95", "promised"].map(str::to_owned).to_vec()];
    for (expected, promised) in PROMISED {
        let cells = results.all().filter(|cell| cell.expected == expected);
        let mut times: Vec<_> = cells.flat_map(|cell| &cell.tries).filter_map(|one| one.direct_ms).collect();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let (Some(middle), Some(late)) = (at(50), at(95)) else { continue };
        let kept = if late < promised { "" } else { " !" };
        let row = [expected.name().to_owned(), times.len().to_string(), seconds(middle), seconds(late) + kept];
        rows.push(row.into_iter().chain([format!("{:.0}", promised / 1e3)]).collect());
    }
    rows
}

fn square(results: &Results) -> Vec<Vec<String>> {
    let numbers = (1..=results.kinds.len()).map(|number| number.to_string());
    let mut rows = vec![["".to_owned()].into_iter().chain(numbers).collect()];
    for (number, row) in (1..).zip(&results.kinds) {
        let cells =
            results.kinds.iter().map(|column| results.cell(&row.name, &column.name).map_or_else(nothing, short));
        rows.push([format!("{number} {}", row.name)].into_iter().chain(cells).collect());
    }
    rows
}

/// What a cell came to in a few characters.
pub(super) fn short(cell: &Cell) -> String {
    let vias = || cell.tries.iter().flat_map(|one| [&one.via, &one.far_via]).flatten();
    let text = match cell.median(|one| one.direct_ms) {
        Some(direct) => seconds(direct),
        None if vias().any(|via| via == "websocket-relay") => "TCP".to_owned(),
        None if vias().next().is_some() => "relay".to_owned(),
        None => "none".to_owned(),
    };
    if cell.passed() { text } else { format!("{text} !") }
}

fn pairs(results: &Results) -> Vec<Vec<String>> {
    let heading = [
        "pair",
        "expected",
        "good",
        "found by",
        "reason",
        "first byte ms",
        "direct ms",
        "slowest ms",
        "probes",
        "mappings",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for cell in results.all() {
        let whole = |value: Option<f64>| value.map_or_else(nothing, |value| format!("{value:.0}"));
        let slowest = cell.tries.iter().filter_map(|one| one.direct_ms).reduce(f64::max);
        rows.push(vec![
            cell.title(),
            cell.expected.name().to_owned(),
            format!("{} of {}", cell.good(), cell.tries.len()),
            cell.techniques(),
            cell.reasons(),
            whole(cell.median(|one| one.first_byte_ms)),
            whole(cell.median(|one| one.direct_ms)),
            whole(slowest),
            whole(cell.median(Try::probes)),
            whole(cell.median(Try::mappings)),
        ]);
    }
    rows
}

fn kinds(results: &Results) -> Vec<Vec<String>> {
    let mut rows = vec![["kind", "what it is", "measured"].map(str::to_owned).to_vec()];
    for kind in &results.kinds {
        let v6 = match kind.firewall_v6 {
            Some(true) => "; IPv6 lets in what was asked for",
            Some(false) => "; IPv6 lets anyone in",
            None => "",
        };
        rows.push(vec![kind.name.clone(), kind.description.clone(), format!("{}{v6}", kind.class)]);
    }
    rows
}

fn remarks(results: &Results) -> String {
    let mut text = String::new();
    for cell in results.all() {
        for complaint in cell.complaints() {
            let complaint = complaint.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "- {}: {complaint}", cell.title());
        }
    }
    if text.is_empty() { text } else { format!("\nNot as expected:\n\n{text}") }
}

fn grid(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:<width$} ")).collect();
        let _ = writeln!(text, "|{}|", cells.join("|"));
        if index == 0 {
            let rules: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            let _ = writeln!(text, "|{}|", rules.join("|"));
        }
    }
    text
}

/// The time that 95 in 100 are to keep within, in milliseconds.
const PROMISED: [(Expectation, f64); 3] =
    [(Expectation::Basic, 1_000.0), (Expectation::Prediction, 3_000.0), (Expectation::Birthday, 15_000.0)];

fn seconds(milliseconds: f64) -> String {
    format!("{:.2}", milliseconds / 1e3)
}

fn nothing() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use crate::matrix::report::sample;

    #[test]
    fn a_table_shows_times_relays_and_what_is_not_as_expected() {
        let expected = include_str!("sample.md");

        let drawn = super::draw(&sample());

        assert_eq!(drawn, expected, "as drawn:\n{drawn}");
    }
}
