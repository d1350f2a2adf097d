//! Between columns and domain values: ids, times, tags, and the error for a row that no program of ours wrote.

use std::time::Duration;

use sqlx::types::Uuid;
use warren_proto::keys::{NodeId, UnixTime};

use super::Result;

/// A device id as the database's own type.
pub(super) fn uuid(node: NodeId) -> Uuid {
    Uuid::from_bytes(*node.as_bytes())
}

/// A device id from the database's own type.
pub(super) fn node(id: Uuid) -> NodeId {
    NodeId::new(*id.as_bytes())
}

/// Unix milliseconds; times beyond what fits are far past any use and saturate.
pub(super) fn millis(time: UnixTime) -> i64 {
    i64::try_from(time.since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// The time of a column of Unix milliseconds.
pub(super) fn time(millis: i64) -> UnixTime {
    UnixTime::new(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// A count or revision for the database.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or revision of the database.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Tags as a JSON array.
pub(super) fn tags_text(tags: &[String]) -> String {
    serde_json::to_string(tags).expect("strings always have a JSON form")
}

/// Tags of a JSON array.
pub(super) fn tags(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A value parsed from a column, or the error that names the column.
pub(super) fn parsed<T>(value: Option<T>, column: &'static str) -> Result<T> {
    value.ok_or_else(|| sqlx::Error::ColumnDecode { index: column.to_owned(), source: "no valid reading".into() })
}
