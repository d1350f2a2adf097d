//! How the newest attempts to tell a webhook went.

use std::time::Duration;

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, time, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// One attempt to deliver a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookAttempt {
    /// UUIDv7.
    pub id: Uuid,
    /// Whom to tell.
    pub webhook_id: Uuid,
    /// The message, which may have been tried before.
    pub delivery_id: Uuid,
    /// The word for what happened.
    pub event: String,
    /// When it ended.
    pub at: UnixTime,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why it did not go well.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

statements! {
    OF_WEBHOOK = "SELECT id, webhook_id, delivery_id, event, at, status, error, took_ms FROM webhook_attempt \
                  WHERE webhook_id = $1 ORDER BY id DESC LIMIT $2";
    INSERT = "INSERT INTO webhook_attempt (id, webhook_id, delivery_id, event, at, status, error, took_ms) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    TRIM = "DELETE FROM webhook_attempt WHERE webhook_id = $1 AND id NOT IN \
            (SELECT id FROM webhook_attempt WHERE webhook_id = $1 ORDER BY id DESC LIMIT $2)";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    webhook_id: Uuid,
    delivery_id: Uuid,
    event: String,
    at: i64,
    status: Option<i64>,
    error: Option<String>,
    took_ms: i64,
}

impl From<Row> for WebhookAttempt {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            webhook_id: row.webhook_id,
            delivery_id: row.delivery_id,
            event: row.event,
            at: time(row.at),
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            error: row.error,
            took: Duration::from_millis(unsigned(row.took_ms)),
        }
    }
}

impl Store {
    /// The newest `limit` attempts to tell a webhook, newest first.
    pub async fn webhook_attempts(&self, webhook_id: Uuid, limit: u32) -> Result<Vec<WebhookAttempt>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(OF_WEBHOOK)
            .bind(webhook_id).bind(i64::from(limit)).fetch_all(db).await?);
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

impl Tx {
    /// Adds an attempt, and forgets all of its webhook's but the newest `kept`.
    pub async fn insert_webhook_attempt(&mut self, attempt: &WebhookAttempt, kept: u32) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(attempt.id)
            .bind(attempt.webhook_id)
            .bind(attempt.delivery_id)
            .bind(&attempt.event)
            .bind(millis(attempt.at))
            .bind(attempt.status.map(i64::from))
            .bind(&attempt.error)
            .bind(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))
            .execute(db).await.map(drop))?;
        on_tx!(self, db => sqlx::query(TRIM)
            .bind(attempt.webhook_id).bind(i64::from(kept)).execute(db).await.map(drop))
    }
}
