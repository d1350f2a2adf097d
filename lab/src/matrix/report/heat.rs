//! A matrix as a square of colours: the darker, the longer it took to go straight; relayed pairs stand apart.
//!
//! The drawing brings its own colours for light and dark and names the machine, so that it can stand anywhere alone.

use std::fmt::Write;

use super::table::short;
use crate::matrix::{Cell, Results};
use crate::svg::escape;

/// An SVG document.
pub(in crate::matrix) fn draw(results: &Results) -> String {
    let side = results.kinds.len() as f64 * CELL;
    let (width, height) = (MARGIN + (NAMES - MARGIN + side).max(LEGEND * 8.0), HEADER + side + FOOTER);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Time until two devices are direct, by the NATs before them</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n\
         <text class=\"head\" x=\"{MARGIN}\" y=\"34\">Seconds until two devices are direct</text>\n\
         <text class=\"note\" x=\"{MARGIN}\" y=\"54\">from the moment the second goes online, by the NATs before them</text>\n"
    );
    for (index, kind) in results.kinds.iter().enumerate() {
        let middle = CELL * (index as f64 + 0.5);
        let (x, y) = (NAMES + middle, HEADER + middle);
        let _ = writeln!(
            svg,
            "<text class=\"row\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <text class=\"column\" transform=\"translate({:.1} {:.1}) rotate(-45)\">{}</text>",
            NAMES - 8.0,
            y + 4.0,
            kind.name,
            x,
            HEADER - 8.0,
            kind.name
        );
    }
    for (row, left) in results.kinds.iter().enumerate() {
        for (column, right) in results.kinds.iter().enumerate() {
            let Some(cell) = results.cell(&left.name, &right.name) else { continue };
            svg += &square(cell, NAMES + CELL * column as f64, HEADER + CELL * row as f64);
        }
    }
    let _ = writeln!(svg, "{}", legend(HEADER + side + 22.0));
    let _ = writeln!(
        svg,
        "<text class=\"note\" x=\"{MARGIN}\" y=\"{:.1}\">{}</text>",
        height - 16.0,
        escape(&results.describe())
    );
    svg + "</svg>\n"
}

fn square(cell: &Cell, x: f64, y: f64) -> String {
    let text = short(cell);
    let wrong = if cell.passed() { "" } else { " wrong" };
    format!(
        "<rect class=\"{}{wrong}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\"><title>{}: {}</title></rect>\
         <text class=\"value {}\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>\n",
        class(cell),
        x + 1.0,
        y + 1.0,
        CELL - 2.0,
        CELL - 2.0,
        escape(&cell.title()),
        escape(&cell.reasons()),
        class(cell),
        x + CELL / 2.0,
        y + CELL / 2.0 + 4.0,
    )
}

/// Five steps of time, the last of them what a birthday search may take; two kinds of relay; nothing.
fn class(cell: &Cell) -> &'static str {
    match (cell.median(|one| one.direct_ms), short(cell).trim_end_matches(" !")) {
        (Some(time), _) if time < 300.0 => "t0",
        (Some(time), _) if time < 1_000.0 => "t1",
        (Some(time), _) if time < 3_000.0 => "t2",
        (Some(time), _) if time < 15_000.0 => "t3",
        (Some(_), _) => "t4",
        (None, "relay") => "relay",
        (None, "TCP") => "tcp",
        (None, _) => "nothing",
    }
}

fn legend(y: f64) -> String {
    let entries = [
        ("t0", "&lt; 0.3 s"),
        ("t1", "&lt; 1 s"),
        ("t2", "&lt; 3 s"),
        ("t3", "&lt; 15 s"),
        ("t4", "longer"),
        ("relay", "relayed"),
        ("tcp", "relayed over TCP"),
        ("nothing", "not connected"),
    ];
    let entry = |(index, (class, text)): (usize, (&str, &str))| {
        let x = MARGIN + LEGEND * index as f64;
        format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" rx=\"2\"/>\
             <text class=\"note\" x=\"{:.1}\" y=\"{y:.1}\">{text}</text>",
            y - 10.0,
            x + 18.0
        )
    };
    entries.into_iter().enumerate().map(entry).collect()
}

const CELL: f64 = 52.0;
const NAMES: f64 = 160.0;
const HEADER: f64 = 168.0;
const FOOTER: f64 = 66.0;
const MARGIN: f64 = 28.0;
const LEGEND: f64 = 104.0;
const STYLE: &str = "
text{font:12px system-ui,sans-serif;fill:#1f2328}
.head{font-size:18px;font-weight:600}.note{font-size:11px;fill:#59636e}
.row{text-anchor:end}.value{text-anchor:middle;font-variant-numeric:tabular-nums}
.ground{fill:#fff}
rect.t0{fill:#d7ecd9}rect.t1{fill:#a8d5ae}rect.t2{fill:#6db877}rect.t3{fill:#3b9149}rect.t4{fill:#1f6b30}
text.t3,text.t4{fill:#fff}
rect.relay{fill:#f6d9b8}rect.tcp{fill:#e9b98a}rect.nothing{fill:#d0d4da}
.wrong{stroke:#c4232b;stroke-width:2.5}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}.note{fill:#9198a1}.ground{fill:#0d1117}
rect.t0{fill:#1c3b24}rect.t1{fill:#23572f}rect.t2{fill:#2f7a3f}rect.t3{fill:#43a155}rect.t4{fill:#7fd08c}
text.t3,text.t4{fill:#0d1117}
rect.relay{fill:#5c3d1a}rect.tcp{fill:#7d501c}rect.nothing{fill:#3a4049}
.wrong{stroke:#ff7b72}}
";

#[cfg(test)]
mod tests {
    use crate::matrix::report::sample;

    #[test]
    fn a_square_shows_every_pair_twice_and_marks_what_is_wrong() {
        let expected = include_str!("sample.svg");

        let drawn = super::draw(&sample());

        assert_eq!(drawn, expected, "as drawn:\n{drawn}");
    }
}
