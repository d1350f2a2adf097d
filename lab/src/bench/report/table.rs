//! All figures as a Markdown table, which a terminal shows as well as a browser.

use std::fmt::Write;

use crate::bench::{Entry, Figure, Results};

/// Medians, a row for each figure and a column for each contender; then what failed and what was left out.
pub(in crate::bench) fn draw(results: &Results) -> String {
    let mut rows = vec![row("", results, |entry| entry.name.clone())];
    for figure in Figure::ALL {
        rows.push(row(figure.heading(), results, |entry| {
            entry.median.get(&figure).map_or_else(nothing, |value| figure.show(*value))
        }));
        if figure == Figure::OneFlowGbps {
            rows.push(row("of limit", results, |entry| {
                results.ratio_to_limit(entry, figure).map_or_else(nothing, |ratio| format!("{ratio:.2}"))
            }));
        }
    }
    let widths: Vec<_> = (0..rows[0].len()).map(|column| width(&rows, column)).collect();
    let mut text = format!("{}\n\n", results.describe());
    for (index, cells) in rows.iter().enumerate() {
        let cells = cells.iter().zip(&widths).enumerate();
        text += &line(cells.map(|(column, (cell, &width))| match column {
            0 => format!(" {cell:<width$} "),
            _ => format!(" {cell:>width$} "),
        }));
        if index == 0 {
            let rules = widths.iter().enumerate();
            text += &line(rules.map(|(column, width)| "-".repeat(width + 1) + if column == 0 { "-" } else { ":" }));
        }
    }
    text + &remarks(results)
}

fn row(heading: &str, results: &Results, cell: impl Fn(&Entry) -> String) -> Vec<String> {
    [heading.to_owned()].into_iter().chain(results.contenders.iter().map(cell)).collect()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
}

fn nothing() -> String {
    "-".to_owned()
}

fn remarks(results: &Results) -> String {
    let mut text = String::from("\n");
    for entry in &results.contenders {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {}: {}", entry.name, entry.version);
        for (index, round) in entry.rounds.iter().enumerate() {
            for failure in &round.failures {
                let reason = failure.reason.split_whitespace().collect::<Vec<_>>().join(" ");
                let _ = writeln!(text, "  - round {}, {}: failed: {reason}", index + 1, failure.phase);
            }
        }
    }
    for skipped in &results.skipped {
        let _ = writeln!(text, "- {}: skipped: {}", skipped.name, skipped.reason);
    }
    text
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::bench::report::sample;

    #[test]
    fn a_table_shows_medians_ratios_failures_and_who_was_skipped() {
        let expected = include_str!("sample.md");

        let drawn = super::draw(&sample());

        assert_eq!(drawn, expected, "as drawn:\n{drawn}");
    }
}
