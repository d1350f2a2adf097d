//! A flame graph: every function a box as wide as its samples, standing on its caller.
//!
//! Plain SVG without scripts: a box's tooltip has the whole name. Kernel, Rust and the rest of the program are told
//! apart by colour, in light and in dark.

use std::fmt::Write;

use super::stacks::{Frame, KERNEL};

/// An SVG document.
pub(super) fn draw(title: &str, root: &Frame) -> String {
    let least = root.samples as f64 * NARROWEST / INNER;
    let height = HEADER + BOX_HEIGHT * (depth(root, least) + 1) as f64 + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\">\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"head\" x=\"{MARGIN}\" y=\"24\">{}</text>\n",
        escape(title)
    );
    let scale = INNER / root.samples as f64;
    let picture = Picture { scale, all: root.samples, least };
    picture.draw_box(&mut svg, "all", root, Corner { x: MARGIN, y: height - MARGIN - BOX_HEIGHT });
    svg + "</svg>\n"
}

struct Picture {
    /// Width of a sample.
    scale: f64,
    all: u64,
    /// Samples below which a box is too narrow to see.
    least: f64,
}

struct Corner {
    x: f64,
    y: f64,
}

impl Picture {
    fn draw_box(&self, svg: &mut String, name: &str, frame: &Frame, at: Corner) {
        let width = frame.samples as f64 * self.scale;
        let percent = frame.samples as f64 * 100.0 / self.all as f64;
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<g><title>{} {percent:.1}%</title><rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" rx=\"1\"/>",
            escape(name),
            kind(name),
            at.x,
            at.y,
            (width - 0.5).max(0.2),
            BOX_HEIGHT - 1.0,
        );
        if let Some(label) = fit(name, width) {
            let _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", at.x + 3.0, at.y + 12.0, escape(&label));
        }
        svg.push_str("</g>\n");
        let mut x = at.x;
        for (name, callee) in &frame.callees {
            if callee.samples as f64 >= self.least {
                self.draw_box(svg, name, callee, Corner { x, y: at.y - BOX_HEIGHT });
            }
            x += callee.samples as f64 * self.scale;
        }
    }
}

/// How many boxes stand on the frame where it is highest.
fn depth(frame: &Frame, least: f64) -> usize {
    let seen = frame.callees.values().filter(|callee| callee.samples as f64 >= least);
    seen.map(|callee| 1 + depth(callee, least)).max().unwrap_or_default()
}

/// The kernel, Rust (whose names are paths), and what else runs in the program.
fn kind(name: &str) -> &'static str {
    match name {
        kernel if kernel.ends_with(KERNEL) => "kernel",
        path if path.contains("::") => "rust",
        _ => "other",
    }
}

/// As much of the name as the width holds: of a path the end, which tells most.
fn fit(name: &str, width: f64) -> Option<String> {
    let letters = ((width - 6.0) / LETTER) as usize;
    if letters < 3 {
        return None;
    }
    let name = name.trim_end_matches(KERNEL);
    let short = name.rsplit("::").take(2).collect::<Vec<_>>();
    let short = short.into_iter().rev().collect::<Vec<_>>().join("::");
    [name, &short].into_iter().find(|text| text.chars().count() <= letters).map(str::to_owned).or_else(|| {
        let cut: String = short.chars().take(letters - 1).collect();
        Some(cut + "…")
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
const INNER: f64 = WIDTH - 2.0 * MARGIN;
const HEADER: f64 = 40.0;
const BOX_HEIGHT: f64 = 17.0;
/// Boxes narrower than this are left out: thousands of them would make a large file and show nothing.
const NARROWEST: f64 = 1.0;
/// Width of a letter at the size of `STYLE`.
const LETTER: f64 = 6.7;
const STYLE: &str = "
text{font:11px ui-monospace,monospace;fill:#1f2328;pointer-events:none}.head{font:600 15px system-ui,sans-serif}
.ground{fill:#fff}.rust{fill:#f3b27a}.kernel{fill:#b9c8dc}.other{fill:#e3d596}g:hover rect{stroke:#1f2328}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}.ground{fill:#0d1117}.rust{fill:#8f4a12}.kernel{fill:#35506f}.other{fill:#6b5f1c}g:hover rect{stroke:#e6edf3}}
";

#[cfg(test)]
mod tests {
    use super::super::stacks::parse;
    use super::*;

    #[test]
    fn a_box_is_as_wide_as_its_share_and_stands_on_its_caller() {
        let root = parse("t\n\t1 a::b<u8>\n\t2 main\n\nt\n\t2 main\n\n");

        let svg = draw("title", &root);

        assert!(svg.contains("<title>a::b&lt;u8&gt; 50.0%</title><rect class=\"rust\""), "{svg}");
        let y = |name: &str| {
            let (_, rest) = svg.split_once(&format!("<title>{name}")).unwrap();
            let (_, rest) = rest.split_once(" y=\"").unwrap();
            rest.split_once('"').unwrap().0.parse::<f64>().unwrap()
        };
        assert!(y("a::b") < y("main") && y("main") < y("all"), "{svg}");
    }

    #[test]
    fn a_name_that_does_not_fit_is_cut_at_its_front() {
        assert_eq!(fit("warren::data_plane::outbound::run", 120.0).as_deref(), Some("outbound::run"));
        assert_eq!(fit("warren::data_plane::outbound::run", 60.0).as_deref(), Some("outboun…"));
        assert_eq!(fit("run", 20.0), None);
    }
}
