//! The change log: an ordered list of what changed, from which agents and pages take what they have missed.
//!
//! The revision is counted in the network's row, which every writer locks: a reader that has seen revision N has seen
//! everything up to N.

use sqlx::types::Uuid;
use warren_proto::keys::{NodeId, UnixTime};

use super::value::{integer, millis, node, unsigned, uuid};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// What kind of thing changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChangeKind {
    /// A device was enrolled, renamed, held to the relay or released from it, revoked, or left.
    Device,
}

impl ChangeKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
        }
    }
}

/// One line of the change log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its place in the order.
    pub revision: u64,
    /// What changed.
    pub subject: NodeId,
}

statements! {
    NEXT = "UPDATE network SET revision = revision + 1 RETURNING revision";
    INSERT = "INSERT INTO change_log (revision, kind, subject, at) VALUES ($1, $2, $3, $4)";
    SINCE = "SELECT revision, subject FROM change_log WHERE revision > $1 AND kind = $2 ORDER BY revision LIMIT $3";
    LATEST = "SELECT MAX(revision), subject FROM change_log WHERE kind = $1 GROUP BY subject ORDER BY 1";
    OLDEST = "SELECT MIN(revision) FROM change_log";
    CURRENT = "SELECT revision FROM network";
    TRIM = "DELETE FROM change_log WHERE revision <= $1";
}

impl Store {
    /// The newest revision; 0 before the first change.
    pub async fn revision(&self) -> Result<u64> {
        let row: Option<(i64,)> = on_reader!(self, db => sqlx::query_as(CURRENT).fetch_optional(db).await?);
        Ok(row.map_or(0, |(revision,)| unsigned(revision)))
    }

    /// Up to `limit` changes after `revision`, oldest first.
    pub async fn changes_since(&self, revision: u64, kind: ChangeKind, limit: u32) -> Result<Vec<Change>> {
        let rows: Vec<(i64, Uuid)> = on_reader!(self, db => sqlx::query_as(SINCE)
            .bind(integer(revision)).bind(kind.name()).bind(i64::from(limit)).fetch_all(db).await?);
        Ok(rows
            .into_iter()
            .map(|(revision, subject)| Change { revision: unsigned(revision), subject: node(subject) })
            .collect())
    }

    /// The newest change of each subject, oldest first.
    pub async fn latest_changes(&self, kind: ChangeKind) -> Result<Vec<Change>> {
        let rows: Vec<(i64, Uuid)> =
            on_reader!(self, db => sqlx::query_as(LATEST).bind(kind.name()).fetch_all(db).await?);
        Ok(rows
            .into_iter()
            .map(|(revision, subject)| Change { revision: unsigned(revision), subject: node(subject) })
            .collect())
    }

    /// The oldest revision still in the log.
    pub async fn oldest_revision(&self) -> Result<Option<u64>> {
        let row: (Option<i64>,) = on_reader!(self, db => sqlx::query_as(OLDEST).fetch_one(db).await?);
        Ok(row.0.map(unsigned))
    }
}

impl Tx {
    /// Appends a change and returns its revision.
    pub async fn log_change(&mut self, kind: ChangeKind, subject: NodeId, now: UnixTime) -> Result<u64> {
        let (revision,): (i64,) = on_tx!(self, db => sqlx::query_as(NEXT).fetch_one(db).await?);
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(revision).bind(kind.name()).bind(uuid(subject)).bind(millis(now)).execute(db).await.map(drop)?);
        self.2.note(unsigned(revision));
        Ok(unsigned(revision))
    }

    /// Forgets changes up to and including `revision`.
    pub async fn trim_changes(&mut self, revision: u64) -> Result<()> {
        on_tx!(self, db => sqlx::query(TRIM).bind(integer(revision)).execute(db).await.map(drop))
    }
}
