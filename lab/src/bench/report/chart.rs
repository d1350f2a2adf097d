//! The figures that decide as bars: one panel a figure, one bar a contender.
//!
//! The drawing brings its own colours for light and dark and names the machine, so that it can stand anywhere alone.

use std::fmt::Write;

use crate::bench::{Entry, Figure, Results};
use crate::svg::escape;

/// An SVG document.
pub(in crate::bench) fn draw(results: &Results) -> String {
    let panel_height = TITLE_HEIGHT + ROW_HEIGHT * results.contenders.len() as f64 + GAP;
    let height = HEADER_HEIGHT + panel_height * PANELS.len().div_ceil(COLUMNS) as f64 + FOOTER_HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Warren and other tunnels on one machine</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n\
         <text class=\"head\" x=\"{MARGIN}\" y=\"34\">Two hosts, one cable, both on the same machine</text>\n"
    );
    for (index, panel) in PANELS.iter().enumerate() {
        let x = MARGIN + (index % COLUMNS) as f64 * (PANEL_WIDTH + MARGIN);
        let y = HEADER_HEIGHT + (index / COLUMNS) as f64 * panel_height;
        svg += &draw_panel(results, panel, x, y);
    }
    let _ = writeln!(
        svg,
        "<text class=\"note\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
        height - 18.0,
        escape(&results.describe())
    );
    svg + "</svg>\n"
}

/// One figure's place in the chart.
struct Panel {
    figure: Figure,
    title: &'static str,
    note: &'static str,
}

const PANELS: [Panel; 6] = [
    Panel { figure: Figure::OneFlowGbps, title: "One TCP flow", note: "Gb/s, more is better" },
    Panel { figure: Figure::CpuSecondsPerGb, title: "CPU for a gigabyte", note: "s/GB, whole machine, less is better" },
    Panel { figure: Figure::EightFlowsGbps, title: "Eight TCP flows", note: "Gb/s, more is better" },
    Panel { figure: Figure::PingIdleP50Ms, title: "Ping, idle", note: "ms, median, less is better" },
    Panel { figure: Figure::SmallPacketsDelivered, title: "64-byte datagrams", note: "thousand/s, more is better" },
    Panel {
        figure: Figure::PingLoadedP99Ms,
        title: "Ping under one TCP flow",
        note: "ms, 99th percentile, less is better",
    },
];

fn draw_panel(results: &Results, panel: &Panel, x: f64, y: f64) -> String {
    let values = results.contenders.iter().filter_map(|entry| entry.median.get(&panel.figure));
    let largest = values.copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!(
        "<text class=\"title\" x=\"{x}\" y=\"{}\">{}<tspan class=\"note\" dx=\"8\">{}</tspan></text>\n",
        y + 14.0,
        panel.title,
        panel.note
    );
    for (index, entry) in results.contenders.iter().enumerate() {
        svg += &draw_bar(entry, panel.figure, largest, x, y + TITLE_HEIGHT + ROW_HEIGHT * index as f64);
    }
    svg
}

fn draw_bar(entry: &Entry, figure: Figure, largest: f64, x: f64, y: f64) -> String {
    let baseline = y + ROW_HEIGHT - 6.0;
    let start = x + NAME_WIDTH;
    let name =
        format!("<text class=\"name\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>", start - 8.0, escape(&entry.name));
    let Some(&value) = entry.median.get(&figure) else {
        return format!(
            "{name}<text class=\"note\" x=\"{:.1}\" y=\"{baseline:.1}\">not measured</text>\n",
            start + 4.0
        );
    };
    let length = (PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH) * value / largest;
    format!(
        "{name}<rect class=\"{}\" x=\"{start:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>\
         <text class=\"value\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>\n",
        kind(&entry.name),
        y + 2.0,
        length.max(1.0),
        ROW_HEIGHT - 5.0,
        start + length.max(1.0) + 6.0,
        figure.show(value),
    )
}

/// Who stands out: ourselves; who steps back: what is no tunnel at all.
fn kind(name: &str) -> &'static str {
    match name {
        "plain" | "limit" => "bound",
        "warren" | "warren-relay" => "ours",
        _ => "other",
    }
}

const WIDTH: f64 = 920.0;
const COLUMNS: usize = 2;
const MARGIN: f64 = 28.0;
const PANEL_WIDTH: f64 = (WIDTH - 3.0 * MARGIN) / COLUMNS as f64;
const HEADER_HEIGHT: f64 = 58.0;
const FOOTER_HEIGHT: f64 = 34.0;
const TITLE_HEIGHT: f64 = 24.0;
const ROW_HEIGHT: f64 = 20.0;
const GAP: f64 = 26.0;
const NAME_WIDTH: f64 = 96.0;
const VALUE_WIDTH: f64 = 56.0;
const STYLE: &str = "
text{font:12px system-ui,sans-serif;fill:#1f2328}
.head{font-size:18px;font-weight:600}.title{font-size:13px;font-weight:600}
.note{font-size:11px;font-weight:400;fill:#59636e}
.name{text-anchor:end}.value{font-variant-numeric:tabular-nums}
.ground{fill:#fff}.bound{fill:#c4c9d0}.ours{fill:#bc5a00}.other{fill:#7c93b2}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}.note{fill:#9198a1}
.ground{fill:#0d1117}.bound{fill:#4a525c}.ours{fill:#f08a24}.other{fill:#5f7ea8}}
";

#[cfg(test)]
mod tests {
    use crate::bench::report::sample;

    #[test]
    fn a_chart_shows_every_contender_and_the_machine() {
        let expected = include_str!("sample.svg");

        let drawn = super::draw(&sample());

        assert_eq!(drawn, expected, "as drawn:\n{drawn}");
    }
}
