//! Where values and moments are on a plot, and what is written there. Round numbers, few of them.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use warren_proto::keys::UnixTime;

use super::super::format::{Rate, Rtt};
use super::Tick;
use crate::domain::history::{Range, slot};

/// What values are in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) enum Unit {
    /// Bits a second.
    BitsPerSecond,
    /// Microseconds.
    Micros,
    /// Thousandths.
    PerMille,
}

impl Unit {
    /// The word by which the read-out knows it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BitsPerSecond => "bits",
            Self::Micros => "micros",
            Self::PerMille => "permille",
        }
    }

    /// A value with its unit.
    pub(in crate::web) fn text(self, value: u64) -> String {
        match self {
            Self::BitsPerSecond => Rate(value).to_string(),
            Self::Micros => Rtt(Duration::from_micros(value)).to_string(),
            Self::PerMille if value.is_multiple_of(10) => format!("{} %", value / 10),
            Self::PerMille => format!("{}.{} %", value / 10, value % 10),
        }
    }

    /// The least that a whole plot is high: what is hardly there must not look large.
    const fn floor(self) -> u64 {
        match self {
            Self::BitsPerSecond => 10_000,
            Self::Micros => 2_000,
            Self::PerMille => 50,
        }
    }
}

/// From nothing at the bottom to a round number at the top.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    top: u64,
    unit: Unit,
}

impl Scale {
    /// The least round one that holds `most`.
    pub(super) fn up_to(most: u64, unit: Unit) -> Self {
        let ceiling = if unit == Unit::PerMille { 1000 } else { u64::MAX / 100 };
        let most = most.clamp(unit.floor(), ceiling);
        let mut power = 1;
        while power * 10 < most {
            power *= 10;
        }
        let top = [1, 2, 5, 10].into_iter().map(|factor| factor * power).find(|top| *top >= most).unwrap_or(most);
        Self { top, unit }
    }

    /// How far down a value is, in per cent.
    pub(super) fn down(&self, value: u64) -> String {
        let tenths = u128::from(value.min(self.top)) * 1000 / u128::from(self.top);
        decimal(1000 - u64::try_from(tenths).unwrap_or(1000))
    }

    /// The top and the middle.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let tick = |value| Tick { at: self.down(value), text: self.unit.text(value) };
        vec![tick(self.top / 2), tick(self.top)]
    }
}

/// How far across a part of a whole is, in per cent.
pub(super) fn across(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole.max(1));
    decimal(u64::try_from(tenths).unwrap_or(1000).min(1000))
}

/// Tenths, as short as SVG allows.
pub(super) fn decimal(tenths: u64) -> String {
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (0, part) => format!(".{part}"),
        (whole, part) => format!("{whole}.{part}"),
    }
}

/// Three to five round moments, none so near an edge that its label would be cut.
pub(super) fn moments(range: Range, since: UnixTime, until: UnixTime) -> Vec<Tick> {
    let every = Duration::from_secs(match range {
        Range::QuarterHour => 300,
        Range::Hour => 900,
        Range::Day => 6 * 3600,
        Range::Week => 2 * 86_400,
        Range::Quarter => 21 * 86_400,
    });
    let write = if range.length() > Duration::from_secs(86_400) { day } else { clock };
    let first = slot(since, every).plus(every);
    let ticks = (0..8).map(|number| first.plus(every * number)).take_while(|at| *at < until);
    let whole = until.as_secs().saturating_sub(since.as_secs());
    let ticks = ticks.map(|at| (at, at.as_secs().saturating_sub(since.as_secs())));
    let inside = ticks.filter(|(_, part)| part * 100 >= whole * EDGE && part * 100 <= whole * (100 - EDGE));
    inside.map(|(at, part)| Tick { at: across(part, whole), text: write(at) }).collect()
}

/// `14:05`
pub(in crate::web) fn clock(at: UnixTime) -> String {
    written(at, CLOCK)
}

/// `23 Nov`
pub(in crate::web) fn day(at: UnixTime) -> String {
    written(at, DAY)
}

fn written(at: UnixTime, format: &[BorrowedFormatItem<'_>]) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(format).unwrap_or_default()
}

/// Per cent of the width that half a label takes on a small screen.
const EDGE: u64 = 7;
const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none] [month repr:short]");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_the_least_round_number_that_holds_everything() {
        let top = |most, unit| Scale::up_to(most, unit).ticks()[1].text.clone();

        assert_eq!([top(0, Unit::Micros), top(2_001, Unit::Micros)], ["2.0 ms", "5.0 ms"]);
        assert_eq!([top(50_000, Unit::Micros), top(50_001, Unit::Micros)], ["50 ms", "100 ms"]);
        assert_eq!([top(0, Unit::PerMille), top(1000, Unit::PerMille)], ["5 %", "100 %"]);
        assert_eq!([top(1_200_000, Unit::BitsPerSecond), top(u64::MAX, Unit::BitsPerSecond)].len(), 2);
    }

    #[test]
    fn the_top_is_up_and_nothing_is_down() {
        let scale = Scale::up_to(1000, Unit::PerMille);

        assert_eq!([scale.down(0), scale.down(1000), scale.down(333), scale.down(9999)], ["100", "0", "66.7", "0"]);
        assert_eq!([across(1, 3), across(0, 7), across(9, 7)], ["33.3", "0", "100"]);
        assert_eq!(decimal(3), ".3");
    }

    #[test]
    fn moments_are_round_and_away_from_the_edges() {
        let until = UnixTime::from_secs(1_795_436_311);
        let texts = |range: Range| {
            let since = UnixTime::new(until.since_epoch().saturating_sub(range.length()));
            moments(range, since, until).into_iter().map(|tick| tick.text).collect::<Vec<_>>()
        };

        assert_eq!(texts(Range::Hour), ["11:30", "11:45", "12:00"].map(str::to_owned)[..]);
        assert_eq!(texts(Range::Day), ["18:00", "00:00", "06:00"].map(str::to_owned)[..]);
        for range in Range::ALL {
            assert!((2..=5).contains(&texts(range).len()), "{range:?}: {:?}", texts(range));
        }
    }
}
