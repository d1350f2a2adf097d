//! Reports as people read them: aligned columns, sizes and durations in words, colour only on a terminal.
//!
//! What is said is decided in `report`; nothing here is for programs. Everything fits a terminal of 80 columns as far as
//! addresses let it: `path` and `netcheck` have much to say and files of their own.

mod diagnosis;
mod netcheck;
mod path;

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::config;
use crate::report::{Path, PathKind, Peer, Pong, State, Status};

pub use diagnosis::diagnosis;
pub use netcheck::netcheck;
pub use path::path;

/// Whether to paint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Escape codes are welcome.
    Ansi,
    /// A file, a pipe, or NO_COLOR.
    None,
}

impl Colour {
    /// What standard output takes.
    pub fn of_stdout() -> Self {
        if std::io::stdout().is_terminal() && !config::no_color() { Self::Ansi } else { Self::None }
    }

    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::Ansi => format!("\x1b[{}m{text}\x1b[0m", style as u8),
            Self::None => text.to_owned(),
        }
    }
}

/// `warren status`.
pub fn status(status: &Status, colour: Colour) -> String {
    let mut text = headline(status, colour);
    if let Some(problem) = &status.problem {
        let _ = writeln!(text, "{}", colour.paint(Style::Red, &problem.text));
    }
    if is_alone(status) {
        let reached = status.peers.iter().filter(|peer| peer.path.kind != PathKind::None).count();
        let peers = plural(status.peers.len(), "peer");
        let _ = writeln!(text, "Rendezvous unreachable; {peers} from memory, {reached} of them reached.");
    }
    if status.peers.is_empty() {
        if status.device.is_some() {
            text.push_str("\nNo other device is in this mesh. Add one in the dashboard.\n");
        }
        return text;
    }
    let mut rows = vec![["NAME", "ADDRESS", "ONLINE", "PATH", "RTT", "RECEIVED", "SENT"].map(str::to_owned).to_vec()];
    rows.extend(status.peers.iter().map(|peer| peer_row(peer, status.rendezvous.connected)));
    text.push('\n');
    text.push_str(&table(&rows, colour));
    text
}

/// `warren up`, while a person is to let this device in.
pub fn asked(code: &str, url: &str, left: Duration, colour: Colour) -> String {
    let code: String = code.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    let url: String = url.chars().filter(char::is_ascii_graphic).collect();
    let link = format!("{url}?code={code}");
    let minutes = left.as_secs().div_ceil(60);
    let mut text = format!("Somebody who runs this network lets this device in. Open\n\n    {link}\n\n");
    let _ = writeln!(
        text,
        "or type the code {} there. It is good for {minutes} minutes.",
        colour.paint(Style::Bold, &code)
    );
    if colour == Colour::Ansi
        && let Ok(picture) = QrCode::with_error_correction_level(&link, EcLevel::L)
    {
        // black on white whatever the terminal's colours are: that is what cameras look for
        let picture = picture.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        let _ = write!(text, "\n{picture}\n");
    }
    text.push_str("\nWaiting ...\n");
    text
}

/// `warren up`, when it worked.
pub fn up(status: &Status) -> String {
    match &status.device {
        Some(device) => format!("{} is up: {}, {}\n", device.name, device.addresses[0], device.addresses[1]),
        None => String::new(),
    }
}

/// One answer of `warren ping`.
pub fn pong(peer: &str, pong: &Pong) -> String {
    format!("answer {} from {peer} in {} ms, {}", pong.seq, pong.rtt_ms, path_words(&pong.path))
}

/// A path in a few words.
pub fn path_words(path: &Path) -> String {
    let remote = path.remote.map(|remote| remote.to_string()).unwrap_or_default();
    let via = path.via.as_deref().unwrap_or("");
    match path.kind {
        PathKind::Direct => format!("direct {via} {remote}"),
        PathKind::Relay => format!("relayed {via} {remote}"),
        PathKind::None => "no path".to_owned(),
    }
}

fn headline(status: &Status, colour: Colour) -> String {
    let server = status.rendezvous.url.as_deref().unwrap_or("its server");
    let standing = match status.state {
        State::NeedsEnrolment => {
            return "This device is not enrolled in any mesh. Get an invite from the dashboard (\"Add device\") and run \
                    `warren up INVITE`.\n"
                .to_owned();
        }
        State::Stopped => "stopped (`warren up` connects it)".to_owned(),
        State::Connecting => format!("{} to {server}", colour.paint(Style::Yellow, "connecting")),
        State::Connected => {
            let rtt = status.rendezvous.rtt_ms.map(|rtt| format!(" ({rtt} ms)")).unwrap_or_default();
            format!("{} to {server}{rtt}", colour.paint(Style::Green, "connected"))
        }
    };
    match &status.device {
        Some(device) => {
            let name = colour.paint(Style::Bold, &device.name);
            format!("{name}  {}  {}  {standing}\n", device.addresses[0], device.addresses[1])
        }
        None => format!("{standing}\n"),
    }
}

/// Whether this device has nothing but what it remembers, and not for a moment only.
fn is_alone(status: &Status) -> bool {
    status.state == State::Connecting && status.problem.is_some() && !status.peers.is_empty()
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Who is online is the rendezvous's knowledge: without it there is none.
fn peer_row(peer: &Peer, known: bool) -> Vec<String> {
    vec![
        peer.name.clone(),
        peer.addresses[0].to_string(),
        match (known, peer.online) {
            (false, _) => "?",
            (true, true) => "yes",
            (true, false) => "no",
        }
        .to_owned(),
        path_words(&peer.path),
        peer.path.rtt_ms.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt} ms")),
        bytes(peer.rx_bytes),
        bytes(peer.tx_bytes),
    ]
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Sizes in units of 1024, as people know them from other tools.
pub fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(count) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, units[unit]),
    }
}

/// A duration rounded for reading.
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
        .to_string()
}

/// Sentences in lines of at most 80 columns, those after the first under the beginning of the first.
fn wrapped(label: &str, text: &str) -> String {
    let indent = " ".repeat(label.chars().count() + 2);
    let mut lines = vec![format!("{label}  ")];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.trim_end().chars().count() >= indent.len() && line.chars().count() + word.chars().count() > WIDTH {
            lines.push(format!("{indent}{word} "));
        } else {
            let _ = write!(line, "{word} ");
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Left-aligned columns two spaces apart; the first row is the header when painting.
fn table(rows: &[Vec<String>], colour: Colour) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        text.push_str(&if index == 0 { colour.paint(Style::Bold, line) } else { line.to_owned() });
        text.push('\n');
    }
    text
}

/// The width that every terminal has.
const WIDTH: usize = 80;

/// SGR parameters of ECMA-48.
#[derive(Clone, Copy)]
enum Style {
    Bold = 1,
    Green = 32,
    Red = 31,
    Yellow = 33,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["NAME".to_owned(), "PATH".to_owned()], vec!["desktop".to_owned(), "direct".to_owned()]];

        assert_eq!(table(&rows, Colour::None), "NAME     PATH\ndesktop  direct\n");
    }

    #[test]
    fn sentences_stay_inside_a_narrow_terminal_and_under_their_beginning() {
        let text = wrapped("Why", &"kitten ".repeat(30));

        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("Why  kitten") && text.lines().skip(1).all(|line| line.starts_with("     kitten")));
        assert_eq!(wrapped("Why", &"x".repeat(100)).lines().count(), 1);
    }

    #[test]
    fn a_pipe_gets_no_escape_codes() {
        let rows = [vec!["NAME".to_owned()]];

        assert!(!table(&rows, Colour::None).contains('\x1b'));
        assert!(table(&rows, Colour::Ansi).starts_with("\x1b[1mNAME"));
    }

    #[test]
    fn without_its_rendezvous_a_device_says_that_it_goes_by_memory() {
        let peer = |kind: &str| {
            serde_json::json!({
                "id": "1", "name": "desktop", "addresses": ["100.64.0.2", "fd00::2"], "online": false,
                "from_memory": true, "path": {"kind": kind}, "session": null,
                "rx_bytes": 0, "tx_bytes": 0, "rx_packets": 0, "tx_packets": 0, "dropped": {},
            })
        };
        let report = serde_json::json!({
            "schema": 1, "state": "connecting", "self": null,
            "rendezvous": {"url": null, "connected": false, "transport": null, "rtt_ms": null},
            "nat": {"mapping": "unknown", "preserves_port": false, "observed": []},
            "peers": [peer("direct"), peer("none")], "dropped": {},
            "problem": {"code": "server-unreachable", "text": "no answer"},
        });
        let mut report: Status = serde_json::from_value(report).unwrap();

        assert!(
            status(&report, Colour::None).contains("Rendezvous unreachable; 2 peers from memory, 1 of them reached.")
        );
        report.problem = None;
        assert!(!status(&report, Colour::None).contains("memory"), "at a start it has hardly been tried");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
    }
}
