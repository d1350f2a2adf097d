//! The chart of a population: how many pairs are direct after how long, and how that depends on the network of one end.
//!
//! It brings its own colours for light and dark, so that it can stand anywhere alone.

use std::fmt::Write;

use super::Site;
use super::report::{Report, ratio};

/// An SVG document.
pub(super) fn draw(report: &Report) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">Pairs that are direct, over time and by NAT</title>\n\
         <style>{STYLE}</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n\
         <text class=\"head\" x=\"{MARGIN}\" y=\"34\">{} pairs behind the field's mix of NATs: {:.1} % direct</text>\n",
        report.pairs(),
        100.0 * report.share_direct()
    );
    svg += &draw_curve(report);
    svg += &draw_bars(report);
    svg + "</svg>\n"
}

/// The share of all pairs that are direct, over the time since their first packet.
fn draw_curve(report: &Report) -> String {
    let mut svg = format!("<text class=\"title\" x=\"{MARGIN}\" y=\"{TITLE_Y}\">Share of all pairs over time</text>\n");
    for percent in [0, 25, 50, 75, 100] {
        let y = share_y(f64::from(percent) / 100.0);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{PLOT_X} {y:.1}h{PLOT_WIDTH}\"/>\
             <text class=\"axis end\" x=\"{}\" y=\"{:.1}\">{percent} %</text>",
            PLOT_X - 8.0,
            y + 4.0
        );
    }
    for (millis, label) in
        [(100, "0.1 s"), (300, "0.3 s"), (1000, "1 s"), (3000, "3 s"), (10_000, "10 s"), (60_000, "60 s")]
    {
        let x = time_x(f64::from(millis));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {:.1}v{PLOT_HEIGHT}\"/>\
             <text class=\"axis middle\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
            PLOT_Y,
            PLOT_Y + PLOT_HEIGHT + 18.0
        );
    }
    let mut line = format!("M{:.1} {:.1}", time_x(FASTEST), share_y(0.0));
    for step in 0..=STEPS {
        let millis = FASTEST * (SLOWEST / FASTEST).powf(f64::from(step) / f64::from(STEPS));
        let done = report.times.partition_point(|time| time.as_secs_f64() * 1000.0 <= millis);
        let _ = write!(line, "L{:.1} {:.1}", time_x(millis), share_y(ratio(done, report.pairs())));
    }
    let _ = writeln!(svg, "<path class=\"line\" d=\"{line}\"/>");
    svg
}

fn draw_bars(report: &Report) -> String {
    let mut svg = format!(
        "<text class=\"title\" x=\"{BARS_X}\" y=\"{TITLE_Y}\">Share of pairs, by the network of one end</text>\n"
    );
    for (index, site) in Site::ALL.into_iter().enumerate() {
        let (pairs, direct) = report.of_site(site);
        let share = ratio(direct, pairs);
        let y = PLOT_Y + ROW_HEIGHT * index as f64;
        let start = BARS_X + NAME_WIDTH;
        let _ = writeln!(
            svg,
            "<text class=\"axis end\" x=\"{:.1}\" y=\"{:.1}\">{site}</text>\
             <rect class=\"bar\" x=\"{start}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\
             <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{:.1} %</text>",
            start - 8.0,
            y + 12.0,
            BAR_WIDTH * share,
            start + BAR_WIDTH * share + 6.0,
            y + 12.0,
            100.0 * share
        );
    }
    svg
}

fn time_x(millis: f64) -> f64 {
    PLOT_X + PLOT_WIDTH * (millis / FASTEST).ln() / (SLOWEST / FASTEST).ln()
}

fn share_y(share: f64) -> f64 {
    PLOT_Y + PLOT_HEIGHT * (1.0 - share)
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 340.0;
const MARGIN: f64 = 24.0;
const TITLE_Y: f64 = 66.0;
const PLOT_X: f64 = 72.0;
const PLOT_Y: f64 = 84.0;
const PLOT_WIDTH: f64 = 380.0;
const PLOT_HEIGHT: f64 = 216.0;
const BARS_X: f64 = 500.0;
const NAME_WIDTH: f64 = 176.0;
const BAR_WIDTH: f64 = 196.0;
const BAR_HEIGHT: f64 = 15.0;
const ROW_HEIGHT: f64 = 22.0;
const STEPS: u32 = 200;
/// Where the time axis begins, in milliseconds.
const FASTEST: f64 = 50.0;
const SLOWEST: f64 = 60_000.0;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-size:18px;font-weight:600}\
    .title{font-weight:600}.axis{fill:#59636e;font-size:12px}.end{text-anchor:end}.middle{text-anchor:middle}\
    .ground{fill:#fff}.grid{stroke:#d1d9e0;fill:none}.line{stroke:#0969da;stroke-width:2;fill:none}.bar{fill:#0969da}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.axis{fill:#9198a1}.ground{fill:#0d1117}.grid{stroke:#3d444d}\
    .line{stroke:#4493f8}.bar{fill:#4493f8}}";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::population::{Meeting, Outcome};

    #[test]
    fn the_chart_names_every_network_and_the_share_of_all() {
        let meeting = |direct_after| Meeting { sites: [Site::Public, Site::Carrier], direct_after };
        let meetings = vec![meeting(Some(Duration::from_millis(200))), meeting(None)];
        let report = Report::new(50, 1, &Outcome { meetings, ..Outcome::default() });

        let svg = draw(&report);

        assert!(Site::ALL.iter().all(|site| svg.contains(&site.to_string())));
        assert!(svg.contains("50.0 % direct") && svg.ends_with("</svg>\n"));
    }
}
