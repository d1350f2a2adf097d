//! The audit log: who did what, when. Append only.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: UnixTime,
    /// Who: "admin:NAME", "device:ID", "cli".
    pub actor: String,
    /// What, as a stable word ("device.revoke").
    pub action: String,
    /// To what.
    pub subject: String,
    /// For people.
    pub detail: String,
}

statements! {
    INSERT = "INSERT INTO audit (id, at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)";
    DELETE_OLD = "DELETE FROM audit WHERE at < $1";
    RECENT = "SELECT at, actor, action, subject, detail FROM audit ORDER BY id DESC LIMIT $1";
    NEWEST = "SELECT MAX(at) FROM audit";
}

#[derive(sqlx::FromRow)]
struct Row {
    at: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

impl Store {
    /// When the newest entry was written.
    pub async fn newest_audit(&self) -> Result<Option<UnixTime>> {
        let row: (Option<i64>,) = on_reader!(self, db => sqlx::query_as(NEWEST).fetch_one(db).await?);
        Ok(row.0.map(time))
    }

    /// The newest `limit` entries, newest first.
    pub async fn recent_audit(&self, limit: u32) -> Result<Vec<AuditEntry>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(RECENT).bind(i64::from(limit)).fetch_all(db).await?);
        Ok(rows
            .into_iter()
            .map(|row| AuditEntry {
                at: time(row.at),
                actor: row.actor,
                action: row.action,
                subject: row.subject,
                detail: row.detail,
            })
            .collect())
    }
}

impl Tx {
    /// Forgets entries from before `since`.
    pub async fn delete_old_audit(&mut self, since: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD).bind(millis(since)).execute(db).await.map(drop))
    }

    /// Appends an entry under a UUIDv7 of the caller's.
    pub async fn insert_audit(&mut self, id: Uuid, entry: &AuditEntry) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(id)
            .bind(millis(entry.at))
            .bind(&entry.actor)
            .bind(&entry.action)
            .bind(&entry.subject)
            .bind(&entry.detail)
            .execute(db).await.map(drop))
    }
}
