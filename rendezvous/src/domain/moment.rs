//! How moments are written for programs.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use warren_proto::keys::UnixTime;

/// RFC 3339 in UTC, to the millisecond. What lies beyond the calendar (a device may claim anything) is its last second.
pub fn rfc3339(at: UnixTime) -> String {
    let millis = i128::try_from(at.since_epoch().as_millis()).unwrap_or(i128::MAX);
    let at = OffsetDateTime::from_unix_timestamp_nanos(millis.saturating_mul(1_000_000)).unwrap_or(LAST);
    at.format(&Rfc3339).unwrap_or_default()
}

/// RFC 3339 has four digits for the year.
const LAST: OffsetDateTime = time::macros::datetime!(9999-12-31 23:59:59 UTC);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_is_written_to_the_millisecond_and_one_beyond_the_calendar_is_its_end() {
        let at = |millis| rfc3339(UnixTime::new(Duration::from_millis(millis)));

        assert_eq!(at(1_795_436_311_042), "2026-11-23T12:18:31.042Z");
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
