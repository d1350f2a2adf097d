//! Webhooks, and the outbox of what they have not been told yet.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{integer, millis, tags, tags_text, time, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// A webhook as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    /// UUIDv7.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// Patterns of what it is told; none for everything.
    pub events: Vec<String>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Of its signing secret.
    pub generation: u64,
    /// The actor that made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// How many deliveries were given up.
    pub dropped: u64,
    /// The last attempt.
    pub last: Option<Attempted>,
}

/// How an attempt to deliver went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempted {
    /// When.
    pub at: UnixTime,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why it did not go well.
    pub error: Option<String>,
}

/// One message for one webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// UUIDv7; the receiver tells repetitions by it.
    pub id: Uuid,
    /// Whom to tell.
    pub webhook_id: Uuid,
    /// The word for what happened.
    pub event: String,
    /// What to send.
    pub body: String,
    /// When it happened.
    pub created_at: UnixTime,
    /// How often it was tried.
    pub attempts: u64,
    /// When it is to be tried next.
    pub due_at: UnixTime,
}

statements! {
    BY_ID = "SELECT id, name, url, events, enabled, generation, created_by, created_at, dropped, last_at, last_status, \
             last_error FROM webhook WHERE id = $1";
    LIST = "SELECT id, name, url, events, enabled, generation, created_by, created_at, dropped, last_at, last_status, \
            last_error FROM webhook ORDER BY id";
    INSERT = "INSERT INTO webhook (id, name, url, events, enabled, generation, created_by, created_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    UPDATE = "UPDATE webhook SET name = $2, url = $3, events = $4, enabled = $5, generation = $6 WHERE id = $1";
    DELETE = "DELETE FROM webhook WHERE id = $1";
    ATTEMPTED = "UPDATE webhook SET last_at = $2, last_status = $3, last_error = $4 WHERE id = $1";
    DROPPED = "UPDATE webhook SET dropped = dropped + $2 WHERE id = $1";
    TAKE = "UPDATE webhook SET busy_until = $3 WHERE id = $1 AND busy_until <= $2 AND enabled";
    RELEASE = "UPDATE webhook SET busy_until = 0 WHERE id = $1";
    ENQUEUE = "INSERT INTO webhook_delivery (id, webhook_id, event, body, created_at, attempts, due_at) \
               VALUES ($1, $2, $3, $4, $5, 0, $5)";
    WAITING = "SELECT COUNT(*) FROM webhook_delivery WHERE webhook_id = $1";
    DROP_OLDEST = "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery WHERE webhook_id = $1 \
                   ORDER BY id LIMIT $2)";
    DUE = "SELECT id, webhook_id, event, body, created_at, attempts, due_at FROM webhook_delivery \
           WHERE webhook_id = $1 AND due_at <= $2 ORDER BY due_at, id LIMIT 1";
    CLAIM = "UPDATE webhook_delivery SET attempts = attempts + 1, due_at = $3 WHERE id = $1 AND due_at = $2";
    QUEUED = "SELECT id, webhook_id, event, body, created_at, attempts, due_at FROM webhook_delivery \
              WHERE webhook_id = $1 ORDER BY due_at, id LIMIT $2";
    POSTPONE = "UPDATE webhook_delivery SET due_at = $2 WHERE id = $1";
    DONE = "DELETE FROM webhook_delivery WHERE id = $1";
    CLEAR = "DELETE FROM webhook_delivery WHERE webhook_id = $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    url: String,
    events: String,
    enabled: bool,
    generation: i64,
    created_by: String,
    created_at: i64,
    dropped: i64,
    last_at: Option<i64>,
    last_status: Option<i64>,
    last_error: Option<String>,
}

impl Row {
    fn read(self) -> Result<Webhook> {
        let status = self.last_status.and_then(|status| u16::try_from(status).ok());
        Ok(Webhook {
            id: self.id,
            name: self.name,
            url: self.url,
            events: tags(&self.events)?,
            enabled: self.enabled,
            generation: unsigned(self.generation),
            created_by: self.created_by,
            created_at: time(self.created_at),
            dropped: unsigned(self.dropped),
            last: self.last_at.map(|at| Attempted { at: time(at), status, error: self.last_error }),
        })
    }
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: Uuid,
    webhook_id: Uuid,
    event: String,
    body: String,
    created_at: i64,
    attempts: i64,
    due_at: i64,
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            webhook_id: row.webhook_id,
            event: row.event,
            body: row.body,
            created_at: time(row.created_at),
            attempts: unsigned(row.attempts),
            due_at: time(row.due_at),
        }
    }
}

impl Store {
    /// Every webhook, oldest first.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(LIST).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }

    /// The webhook of this id.
    pub async fn webhook(&self, id: Uuid) -> Result<Option<Webhook>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// How many messages wait for a webhook.
    pub async fn waiting_deliveries(&self, webhook_id: Uuid) -> Result<u64> {
        let (count,): (i64,) = on_reader!(self, db => sqlx::query_as(WAITING).bind(webhook_id).fetch_one(db).await?);
        Ok(unsigned(count))
    }

    /// The `limit` messages for a webhook whose time comes first.
    pub async fn queued_deliveries(&self, webhook_id: Uuid, limit: u32) -> Result<Vec<Delivery>> {
        let rows: Vec<DeliveryRow> = on_reader!(self, db => sqlx::query_as(QUEUED)
            .bind(webhook_id).bind(i64::from(limit)).fetch_all(db).await?);
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The message for a webhook whose time came first, if it has come.
    pub async fn due_delivery(&self, webhook_id: Uuid, now: UnixTime) -> Result<Option<Delivery>> {
        let row: Option<DeliveryRow> = on_reader!(self, db => sqlx::query_as(DUE)
            .bind(webhook_id).bind(millis(now)).fetch_optional(db).await?);
        Ok(row.map(Into::into))
    }
}

impl Tx {
    /// Every webhook, oldest first.
    pub async fn webhooks(&mut self) -> Result<Vec<Webhook>> {
        let rows: Vec<Row> = on_tx!(self, db => sqlx::query_as(LIST).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }

    /// The webhook of this id.
    pub async fn webhook(&mut self, id: Uuid) -> Result<Option<Webhook>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// Adds a webhook that was told nothing yet.
    pub async fn insert_webhook(&mut self, webhook: &Webhook) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(webhook.id)
            .bind(&webhook.name)
            .bind(&webhook.url)
            .bind(tags_text(&webhook.events))
            .bind(webhook.enabled)
            .bind(integer(webhook.generation))
            .bind(&webhook.created_by)
            .bind(millis(webhook.created_at))
            .execute(db).await.map(drop))
    }

    /// Stores what can be changed of a webhook.
    pub async fn update_webhook(&mut self, webhook: &Webhook) -> Result<()> {
        on_tx!(self, db => sqlx::query(UPDATE)
            .bind(webhook.id)
            .bind(&webhook.name)
            .bind(&webhook.url)
            .bind(tags_text(&webhook.events))
            .bind(webhook.enabled)
            .bind(integer(webhook.generation))
            .execute(db).await.map(drop))
    }

    /// Removes a webhook with what waits for it.
    pub async fn delete_webhook(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(id).execute(db).await.map(drop))
    }

    /// Notes how the last attempt went.
    pub async fn note_attempt(&mut self, webhook_id: Uuid, attempted: &Attempted) -> Result<()> {
        on_tx!(self, db => sqlx::query(ATTEMPTED)
            .bind(webhook_id)
            .bind(millis(attempted.at))
            .bind(attempted.status.map(i64::from))
            .bind(&attempted.error)
            .execute(db).await.map(drop))
    }

    /// Counts messages that were given up.
    pub async fn count_dropped(&mut self, webhook_id: Uuid, count: u32) -> Result<()> {
        on_tx!(self, db => sqlx::query(DROPPED).bind(webhook_id).bind(i64::from(count)).execute(db).await.map(drop))
    }

    /// Puts a message into the outbox, due at once.
    pub async fn enqueue_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        on_tx!(self, db => sqlx::query(ENQUEUE)
            .bind(delivery.id)
            .bind(delivery.webhook_id)
            .bind(&delivery.event)
            .bind(&delivery.body)
            .bind(millis(delivery.created_at))
            .execute(db).await.map(drop))
    }

    /// How many messages wait for a webhook.
    pub async fn waiting_deliveries(&mut self, webhook_id: Uuid) -> Result<u64> {
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(WAITING).bind(webhook_id).fetch_one(db).await?);
        Ok(unsigned(count))
    }

    /// Removes the `count` oldest messages that wait for a webhook.
    pub async fn drop_oldest_deliveries(&mut self, webhook_id: Uuid, count: u32) -> Result<()> {
        on_tx!(self, db => sqlx::query(DROP_OLDEST)
            .bind(webhook_id).bind(i64::from(count)).execute(db).await.map(drop))
    }

    /// Takes a webhook to tell it something: until `lease` no other server does. False when one does, or it is switched off.
    pub async fn take_webhook(&mut self, id: Uuid, now: UnixTime, lease: UnixTime) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(TAKE)
            .bind(id).bind(millis(now)).bind(millis(lease)).execute(db).await?.rows_affected() > 0))
    }

    /// Others may tell a webhook the next thing.
    pub async fn release_webhook(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(RELEASE).bind(id).execute(db).await.map(drop))
    }

    /// Takes a message to deliver it: until `lease` nobody else will. False when somebody was quicker.
    pub async fn claim_delivery(&mut self, delivery: &Delivery, lease: UnixTime) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(CLAIM)
            .bind(delivery.id).bind(millis(delivery.due_at)).bind(millis(lease))
            .execute(db).await?.rows_affected() > 0))
    }

    /// Has a message tried again at `due_at`.
    pub async fn postpone_delivery(&mut self, id: Uuid, due_at: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(POSTPONE).bind(id).bind(millis(due_at)).execute(db).await.map(drop))
    }

    /// Removes a message that was delivered or given up.
    pub async fn delete_delivery(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DONE).bind(id).execute(db).await.map(drop))
    }

    /// Removes everything that waits for a webhook.
    pub async fn clear_deliveries(&mut self, webhook_id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(CLEAR).bind(webhook_id).execute(db).await.map(drop))
    }
}
