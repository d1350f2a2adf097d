//! What answers are made of: times, pages of a list, and the cursor that leads to the next.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use warren_proto::keys::UnixTime;

use super::problem::{Code, Problem};
use crate::domain::rfc3339;

/// A moment in RFC 3339, UTC, to the millisecond.
#[derive(Serialize, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T20:00:00Z")]
#[serde(transparent)]
pub(super) struct Moment(String);

impl From<UnixTime> for Moment {
    fn from(at: UnixTime) -> Self {
        Self(rfc3339(at))
    }
}

impl Moment {
    /// The moment so many milliseconds after 1970.
    pub(super) fn of_millis(millis: u64) -> Self {
        UnixTime::new(Duration::from_millis(millis)).into()
    }
}

/// Reads a moment that a request names.
pub(super) fn parse_moment(text: &str) -> Result<UnixTime, Problem> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Problem::with_detail(Code::QueryInvalid, "a time is RFC 3339, as 2026-11-23T20:00:00Z"))?;
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Ok(UnixTime::new(Duration::from_millis(millis)))
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T: ToSchema> {
    /// The things, in the list's order.
    pub(super) items: Vec<T>,
    /// `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
}

impl<T: ToSchema> List<T> {
    /// Everything there is.
    pub(super) const fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// Up to `limit` of those that follow `cursor`; `all` is in the order of the keys that `key` tells.
    pub(super) fn page<A>(
        all: Vec<A>,
        cursor: Option<&str>,
        limit: Option<u16>,
        key: impl Fn(&A) -> String,
        body: impl FnMut(A) -> T,
    ) -> Result<Self, Problem> {
        let after = cursor.map(read_cursor).transpose()?;
        let limit = limit_of(limit)?;
        let mut rest = all.into_iter().skip_while(|item| after.as_ref().is_some_and(|after| key(item) <= *after));
        let items: Vec<A> = rest.by_ref().take(limit).collect();
        let next = rest.next().and_then(|_| items.last()).map(|last| make_cursor(&key(last)));
        Ok(Self { items: items.into_iter().map(body).collect(), next })
    }
}

/// The number of things on a page.
pub(super) fn limit_of(asked: Option<u16>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit.into()),
        _ => Err(Problem::with_detail(Code::QueryInvalid, format!("limit is 1 to {MAX_LIMIT}"))),
    }
}

/// Opaque to callers: the key of the last thing they saw.
pub(super) fn make_cursor(key: &str) -> String {
    BASE64URL_NOPAD.encode(key.as_bytes())
}

/// The key in a cursor.
pub(super) fn read_cursor(cursor: &str) -> Result<String, Problem> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| Code::CursorInvalid)?;
    Ok(String::from_utf8(bytes).map_err(|_| Code::CursorInvalid)?)
}

/// A screenful.
const DEFAULT_LIMIT: u16 = 50;
/// Bounds an answer to what a client reads at once.
const MAX_LIMIT: u16 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: Option<&str>, limit: u16) -> List<String> {
        let all = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        List::page(all, cursor, Some(limit), Clone::clone, |item| item).unwrap()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let first = page(None, 2);
        let second = page(first.next.as_deref(), 2);
        let third = page(second.next.as_deref(), 2);

        assert_eq!(
            (first.items.concat(), second.items.concat(), third.items.concat()),
            ("ab".into(), "cd".into(), "e".into())
        );
        assert_eq!(third.next, None);
    }

    #[test]
    fn a_page_that_ends_with_the_list_is_the_last() {
        assert_eq!(page(None, 5).next, None);
    }

    #[test]
    fn a_moment_reads_back() {
        let at = UnixTime::new(Duration::from_millis(1_795_436_311_042));

        assert_eq!(parse_moment("2026-11-23T12:18:31.042Z").unwrap(), at);
        assert_eq!(Moment::from(at).0, "2026-11-23T12:18:31.042Z");
        assert!(parse_moment("yesterday").is_err());
    }
}
