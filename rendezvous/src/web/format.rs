//! How values look to a person: sizes, round trips, moments.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use warren_proto::keys::UnixTime;

/// A count of bytes: `0 B`, `999 B`, `1.2 MB`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "B")
    }
}

/// Bits a second: `0 b/s`, `80 kb/s`, `1.2 Mb/s`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Rate(pub(super) u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "b/s")
    }
}

fn scaled(f: &mut fmt::Formatter<'_>, value: u64, name: &str) -> fmt::Result {
    let Some((unit, prefix)) = UNITS.into_iter().find(|(unit, _)| value >= *unit) else {
        return write!(f, "{value} {name}");
    };
    let tenths = value / (unit / 10);
    if tenths >= 1000 {
        write!(f, "{} {prefix}{name}", tenths / 10)
    } else {
        write!(f, "{}.{} {prefix}{name}", tenths / 10, tenths % 10)
    }
}

/// A round-trip time: `0.4 ms`, `12 ms`, `1.5 s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Rtt(pub(super) Duration);

impl fmt::Display for Rtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0..10_000 => write!(f, "{}.{} ms", micros / 1000, micros % 1000 / 100),
            10_000..1_000_000 => write!(f, "{} ms", micros / 1000),
            _ => write!(f, "{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        }
    }
}

/// A point in time in the three forms a page needs: relative for the eye, exact on hover, RFC 3339 for programs.
///
/// Two moments are equal when they are the same point in time, whenever they are told.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    pub(super) relative: String,
    pub(super) exact: String,
    pub(super) rfc3339: String,
}

impl Moment {
    /// `at`, told at `now`.
    pub(super) fn new(at: UnixTime, now: UnixTime) -> Self {
        let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self {
            relative: relative(at, now),
            exact: date.format(EXACT).unwrap_or_default(),
            rfc3339: date.format(&Rfc3339).unwrap_or_default(),
        }
    }
}

/// A browser as its owner would call it: `Firefox on Linux`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Browser(String);

impl Browser {
    /// From what it calls itself; every browser also claims to be most of the others, so the order decides.
    pub(super) fn of(agent: &str) -> Self {
        let first =
            |known: &[(&str, &'static str)]| known.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
        Self(match (first(BROWSERS), first(SYSTEMS)) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(browser), None) => browser.to_owned(),
            (None, _) if agent.is_empty() => "Unknown browser".to_owned(),
            (None, _) => agent.chars().take(MAX_AGENT).collect(),
        })
    }
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error's text as a sentence of a page: with a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.rfc3339 == other.rfc3339
    }
}

impl Eq for Moment {}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rfc3339.hash(state);
    }
}

fn relative(at: UnixTime, now: UnixTime) -> String {
    let ago = now.since_epoch().saturating_sub(at.since_epoch());
    let ahead = at.since_epoch().saturating_sub(now.since_epoch());
    let distance = ago.max(ahead).as_secs();
    let (amount, unit) = match distance {
        0..5 => return "just now".to_owned(),
        5..60 => (distance, "s"),
        60..3600 => (distance / 60, "min"),
        3600..86400 => (distance / 3600, "h"),
        _ => (distance / 86400, "d"),
    };
    if ahead > ago { format!("in {amount} {unit}") } else { format!("{amount} {unit} ago") }
}

const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];
/// Of an agent that is no browser we know.
const MAX_AGENT: usize = 40;
const EXACT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
/// Decimal units, as network tools print them; the largest first.
const UNITS: [(u64, &str); 4] = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_with_three_digits() {
        let text = |bytes| Bytes(bytes).to_string();

        assert_eq!([text(0), text(999), text(1_000)], ["0 B", "999 B", "1.0 kB"]);
        assert_eq!([text(1_250_000), text(123_456_789), text(u64::MAX)], ["1.2 MB", "123 MB", "18446744 TB"]);
        assert_eq!([Rate(8).to_string(), Rate(12_340_000).to_string()], ["8 b/s", "12.3 Mb/s"]);
    }

    #[test]
    fn round_trips_read_in_milliseconds() {
        let text = |micros| Rtt(Duration::from_micros(micros)).to_string();

        assert_eq!([text(430), text(9_990), text(12_345), text(1_540_000)], ["0.4 ms", "9.9 ms", "12 ms", "1.5 s"]);
    }

    #[test]
    fn a_browser_is_told_by_its_own_name_among_those_it_claims() {
        let text = |agent: &str| Browser::of(agent).to_string();

        assert_eq!(text("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox on Linux");
        assert_eq!(
            text("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537 Edg/140"),
            "Edge on Windows"
        );
        assert_eq!(
            text("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) Version/18 Safari/604"),
            "Safari on iPhone"
        );
        assert_eq!((text("").as_str(), text("wget 1.2").as_str()), ("Unknown browser", "wget 1.2"));
    }

    #[test]
    fn a_moment_is_told_relative_and_exact() {
        let now = UnixTime::from_secs(1_795_436_311);
        let moment = Moment::new(UnixTime::from_secs(1_795_436_311 - 130), now);

        assert_eq!(moment.relative, "2 min ago");
        assert_eq!(moment.exact, "2026-11-23 12:16:21 UTC");
        assert_eq!(moment.rfc3339, "2026-11-23T12:16:21Z");
        assert_eq!(Moment::new(now.plus(Duration::from_secs(900)), now).relative, "in 15 min");
        assert_eq!(Moment::new(now, now).relative, "just now");
    }
}
