//! The audit log: who did what, when. Append only.

use serde::{Deserialize, Serialize};
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
    /// From where it was asked for; empty for the server itself and its shell.
    pub address: String,
    /// What became of what.
    pub changes: Vec<FieldChange>,
}

/// One field of the object, before and after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldChange(pub String, pub String, pub String);

/// Which entries are asked for; what is absent excludes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action, or with a star at its end of those that begin so.
    pub action: Option<String>,
    /// About this object.
    pub subject: Option<String>,
    /// From this moment on.
    pub since: Option<UnixTime>,
    /// Before this moment.
    pub until: Option<UnixTime>,
    /// Older than this entry.
    pub before: Option<Uuid>,
}

statements! {
    INSERT = "INSERT INTO audit (id, at, actor, action, subject, detail, address, changes) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    DELETE_OLD = "DELETE FROM audit WHERE at < $1";
    FILTERED = "SELECT id, at, actor, action, subject, detail, address, changes FROM audit \
                WHERE ($1 = '' OR actor = $1) AND action LIKE $2 ESCAPE '!' AND ($3 = '' OR subject = $3) \
                AND at >= $4 AND at < $5 AND id < $6 ORDER BY id DESC LIMIT $7";
    RECENT = "SELECT at, actor, action, subject, detail, address, changes FROM audit ORDER BY id DESC LIMIT $1";
    NEWEST = "SELECT MAX(at) FROM audit";
}

#[derive(sqlx::FromRow)]
struct IdRow {
    id: Uuid,
    #[sqlx(flatten)]
    row: Row,
}

#[derive(sqlx::FromRow)]
struct Row {
    at: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    address: String,
    changes: String,
}

impl From<Row> for AuditEntry {
    fn from(row: Row) -> Self {
        Self {
            at: time(row.at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
            address: row.address,
            // what no program of ours wrote is not shown
            changes: serde_json::from_str(&row.changes).unwrap_or_default(),
        }
    }
}

/// A word, or its beginning with a star, as SQL has it; what SQL would take for a wildcard stands for itself.
fn pattern(action: &str) -> String {
    let (word, rest) = action.strip_suffix('*').map_or((action, ""), |word| (word, "%"));
    let plain = word.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("{plain}{rest}")
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
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The newest `limit` entries that the filter lets through, newest first, by their ids.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<(Uuid, AuditEntry)>> {
        let rows: Vec<IdRow> = on_reader!(self, db => sqlx::query_as(FILTERED)
            .bind(filter.actor.as_deref().unwrap_or_default())
            .bind(pattern(filter.action.as_deref().unwrap_or("*")))
            .bind(filter.subject.as_deref().unwrap_or_default())
            .bind(filter.since.map_or(0, millis))
            .bind(filter.until.map_or(i64::MAX, millis))
            .bind(filter.before.unwrap_or(Uuid::max()))
            .bind(i64::from(limit))
            .fetch_all(db).await?);
        Ok(rows.into_iter().map(|IdRow { id, row }| (id, row.into())).collect())
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
            .bind(&entry.address)
            .bind(serde_json::to_string(&entry.changes).expect("strings always have a JSON form"))
            .execute(db).await.map(drop))
    }
}
