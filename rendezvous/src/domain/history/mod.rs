//! What is remembered of the paths between devices: points of three spans, and when a path became another.
//!
//! A *way* is a pair in one direction: who reports, of the path to whom. Points of 15 s are kept for an hour, of a minute
//! for a day, of an hour for 90 days; every report is merged into all three. So one way that never rests has at most
//! 240 + 1,440 + 2,160 points, and those of the quarter of an hour between two looks at what is too old: 3,920 rows of
//! about 90 bytes, 350 KB. One that only keeps its path open has 2,500. A way without reports has no rows, so what a mesh
//! of 1,000 devices takes goes by the pairs that talk. Of changes the newest 200 of a way are kept.

mod recorder;

use std::time::Duration;

use warren_proto::keys::{NodeId, UnixTime};

pub use recorder::{Batch, Recorder};

/// A pair in one direction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Way {
    /// Who reports.
    pub from: NodeId,
    /// The peer; the reporter itself stands for all its peers together.
    pub to: NodeId,
}

/// How long one point covers; the shortest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Span {
    /// As fine as reports are.
    Fine,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Span {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fine, Self::Minute, Self::Hour];

    /// How long it is.
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fine => 15,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }

    /// How long its points are kept.
    pub const fn kept(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fine => 3600,
            Self::Minute => 86_400,
            Self::Hour => 90 * 86_400,
        })
    }
}

/// When the slot of this length that holds a moment begins.
pub fn slot(at: UnixTime, length: Duration) -> UnixTime {
    let (at, length) = (at.since_epoch().as_millis(), length.as_millis().max(1));
    UnixTime::new(Duration::from_millis(u64::try_from(at - at % length).unwrap_or(u64::MAX)))
}

/// A stretch of time that somebody wants to see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Range {
    /// A quarter of an hour.
    QuarterHour,
    /// An hour.
    #[default]
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
    /// A quarter of a year.
    Quarter,
}

impl Range {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::QuarterHour, Self::Hour, Self::Day, Self::Week, Self::Quarter];

    /// The word in URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QuarterHour => "15m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Quarter => "90d",
        }
    }

    /// The range of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.name() == word)
    }

    /// How long it is.
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::QuarterHour => 900,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Quarter => 90 * 86_400,
        })
    }

    /// The points it is made from.
    pub const fn span(self) -> Span {
        match self {
            Self::QuarterHour | Self::Hour => Span::Fine,
            Self::Day => Span::Minute,
            Self::Week | Self::Quarter => Span::Hour,
        }
    }

    /// What one of its at most 300 shown points covers.
    pub const fn step(self) -> Duration {
        Duration::from_secs(match self {
            Self::QuarterHour | Self::Hour => 15,
            Self::Day => 300,
            Self::Week => 3600,
            Self::Quarter => 8 * 3600,
        })
    }
}

/// The kinds of path, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// From socket to socket.
    Direct,
    /// Through the relay.
    Relay,
    /// None.
    None,
}

impl Kind {
    /// The kind of an agent's report; an unknown word is no path.
    pub fn parse(word: &str) -> Self {
        match word {
            "direct" => Self::Direct,
            "relay" => Self::Relay,
            _ => Self::None,
        }
    }

    /// The word of reports and of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::None => "none",
        }
    }
}

/// The kinds that a path had in some time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// One kind.
    pub const fn of(kind: Kind) -> Self {
        Self(match kind {
            Kind::Direct => 1,
            Kind::Relay => 2,
            Kind::None => 4,
        })
    }

    /// As stored; bits of no kind are nothing.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 7)
    }

    /// As stored.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The worst of them, so that a plot hides no trouble; `None` where nothing was reported.
    pub fn worst(self) -> Option<Kind> {
        [Kind::None, Kind::Relay, Kind::Direct].into_iter().find(|kind| self.0 & Self::of(*kind).0 != 0)
    }
}

/// Round-trip times of some time, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rtts {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// Of all.
    pub sum: u64,
    /// How many.
    pub count: u64,
}

impl Rtts {
    /// One.
    pub const fn of(micros: u64) -> Self {
        Self { min: micros, max: micros, sum: micros, count: 1 }
    }

    /// Their mean.
    pub const fn mean(&self) -> u64 {
        self.sum / if self.count == 0 { 1 } else { self.count }
    }

    fn and(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            sum: self.sum.saturating_add(other.sum),
            count: self.count.saturating_add(other.count),
        }
    }
}

/// What was measured in some time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sample {
    /// The kinds of path there were.
    pub kinds: Kinds,
    /// Round-trip times, if any was measured.
    pub rtts: Option<Rtts>,
    /// Probes of which it is known what became.
    pub probes: u64,
    /// Those not answered.
    pub lost: u64,
    /// Inner bytes received.
    pub rx_bytes: u64,
    /// Inner bytes sent.
    pub tx_bytes: u64,
}

impl Sample {
    /// Takes another one of the same time into this.
    pub fn merge(&mut self, other: &Self) {
        self.kinds = self.kinds.with(other.kinds);
        self.rtts = match (self.rtts, other.rtts) {
            (Some(one), Some(two)) => Some(one.and(two)),
            (one, two) => one.or(two),
        };
        self.probes = self.probes.saturating_add(other.probes);
        self.lost = self.lost.saturating_add(other.lost);
        self.rx_bytes = self.rx_bytes.saturating_add(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.saturating_add(other.tx_bytes);
    }

    /// Lost of a thousand probes; `None` where there were none.
    pub fn loss_per_mille(&self) -> Option<u64> {
        self.lost.saturating_mul(1000).checked_div(self.probes)
    }
}

/// A sample of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Point {
    /// When the slot begins.
    pub at: UnixTime,
    /// What was measured in it.
    pub sample: Sample,
}

/// Points in slots of this length, by time.
pub fn merged(points: impl IntoIterator<Item = Point>, length: Duration) -> Vec<Point> {
    let mut slots = std::collections::BTreeMap::<UnixTime, Sample>::new();
    for point in points {
        slots.entry(slot(point.at, length)).or_default().merge(&point.sample);
    }
    slots.into_iter().map(|(at, sample)| Point { at, sample }).collect()
}

/// A path became another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PathChange {
    /// When it was reported.
    pub at: UnixTime,
    /// What it was.
    pub from: PathName,
    /// What it is since.
    pub to: PathName,
    /// Where data goes since: `ip:port`, or nothing through a relay.
    pub remote: String,
    /// The agent's word for why.
    pub reason: String,
}

/// A path by the words of reports.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PathName {
    /// Its kind.
    pub kind: Kind,
    /// `lan`, `ipv6`, `ipv4`, `udp-relay`, `websocket-relay` or nothing.
    pub via: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_at_most_300_points_of_a_span_that_is_kept_for_it() {
        for range in Range::ALL {
            let points = range.length().as_secs() / range.step().as_secs();

            assert!(points <= 300 && range.span().kept() >= range.length(), "{range:?}: {points}");
            assert_eq!(range.step().as_secs() % range.span().length().as_secs(), 0, "{range:?}");
            assert_eq!(Range::parse(range.name()), Some(range));
        }
        assert_eq!(Range::parse("1y"), None);
    }

    #[test]
    fn merging_keeps_the_envelope_and_adds_the_rest() {
        let sample = |rtt, kind| Sample {
            kinds: Kinds::of(kind),
            rtts: Some(Rtts::of(rtt)),
            probes: 2,
            lost: 1,
            rx_bytes: 10,
            tx_bytes: 1,
        };
        let points = [(0, 30, Kind::Direct), (15, 10, Kind::Direct), (45, 20, Kind::Relay), (60, 5, Kind::Direct)];
        let points = points.map(|(at, rtt, kind)| Point { at: UnixTime::from_secs(at), sample: sample(rtt, kind) });

        let minutes = merged(points, Span::Minute.length());

        assert_eq!(minutes.iter().map(|point| point.at.as_secs()).collect::<Vec<_>>(), [0, 60]);
        let first = minutes[0].sample;
        assert_eq!(first.rtts, Some(Rtts { min: 10, max: 30, sum: 60, count: 3 }));
        assert_eq!(first.rtts.unwrap().mean(), 20);
        assert_eq!((first.kinds.worst(), first.loss_per_mille()), (Some(Kind::Relay), Some(500)));
        assert_eq!((first.rx_bytes, first.tx_bytes), (30, 3));
        assert_eq!(Sample::default().loss_per_mille(), None);
    }
}
