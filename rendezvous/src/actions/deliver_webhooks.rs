//! The messages to webhooks: written in the transaction of the change they tell of, so that none is sent of a change that
//! was rolled back and none is lost of one that was not; then sent, one at a time per webhook, until the receiver says
//! yes.
//!
//! A message that is refused is tried again after 10 s, 40 s, and so on up to an hour, and given up after a day. A webhook
//! that has too many waiting loses the oldest. Both are counted. Servers that share a database share the work: whoever takes
//! a webhook sends it one message, and the others leave it alone until that is noted or a minute has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use sqlx::types::Uuid;
use tracing::warn;
use warren_proto::keys::UnixTime;

use super::audit;
use super::webhooks::webhook_secret;
use crate::app::App;
use crate::domain::{Actor, rfc3339};
use crate::error::Error;
use crate::store::{Attempted, AuditEntry, Delivery, Tx, Webhook, WebhookAttempt};
use crate::webhook::{Message, Outcome, Target, post};

/// Puts a line of the audit log into the outbox of every webhook that wants it.
pub(super) async fn announce(app: &App, tx: &mut Tx, id: Uuid, entry: &AuditEntry) -> Result<(), Error> {
    for webhook in tx.webhooks().await?.iter().filter(|webhook| wants(webhook, &entry.action)) {
        if tx.waiting_deliveries(webhook.id).await? >= MAX_WAITING {
            tx.drop_oldest_deliveries(webhook.id, 1).await?;
            tx.count_dropped(webhook.id, 1).await?;
        }
        let delivery = Delivery {
            id: app.new_id(),
            webhook_id: webhook.id,
            event: entry.action.clone(),
            body: body(app, id, entry),
            created_at: entry.at,
            attempts: 0,
            due_at: entry.at,
        };
        tx.enqueue_delivery(&delivery).await?;
        // it sees the message after the commit, or five seconds later
        app.outbox().notify_one();
    }
    Ok(())
}

/// Sends what is due, for as long as the server runs.
///
/// What there is to note is noted together: however many webhooks there are, they cost the database two transactions a
/// round.
pub(crate) async fn keep_delivering(app: &App) {
    let mut busy = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    loop {
        let taken = take_due(app, &busy).await.unwrap_or_else(|error| {
            warn!(%error, "cannot read what webhooks are to be told; it will be tried again");
            Vec::new()
        });
        for (webhook, delivery) in taken {
            busy.insert(webhook.id);
            running.push(async move { (send(app, &webhook, &delivery.message()).await, delivery) });
        }
        let mut done = Vec::new();
        tokio::select! {
            Some(first) = running.next(), if !running.is_empty() => {
                done.push(first);
                while let Some(Some(other)) = running.next().now_or_never() {
                    done.push(other);
                }
            }
            () = app.outbox().notified() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        for (_, delivery) in &done {
            busy.remove(&delivery.webhook_id);
        }
        if let Err(error) = note(app, &done).await {
            warn!(%error, "cannot note what became of webhooks' messages; they will be sent again");
        }
    }
}

/// Sends one message at once and says how that went, without a place in the outbox.
pub(crate) async fn ping_webhook(app: &App, actor: &Actor, id: Uuid) -> Result<Outcome, Error> {
    let webhook = app.store().webhook(id).await?.ok_or(Error::Unknown)?;
    let now = app.now();
    let entry = AuditEntry {
        at: now,
        actor: actor.to_string(),
        action: "ping".to_owned(),
        subject: webhook.id.to_string(),
        detail: "a test".to_owned(),
        address: String::new(),
        changes: Vec::new(),
    };
    let message_id = app.new_id();
    let message = Message { id: message_id.to_string(), event: "ping".to_owned(), body: body(app, message_id, &entry) };
    let outcome = send(app, &webhook, &message).await;
    let mut tx = app.store().begin().await?;
    tx.note_attempt(id, &attempted(&outcome, now)).await?;
    keep_attempt(app, &mut tx, (id, message_id, "ping"), &outcome, now).await?;
    audit(app, &mut tx, actor, "webhook.test", id, &webhook.name).await?;
    tx.commit().await?;
    Ok(outcome)
}

/// For each webhook that is not being told something, the message that has waited longest, claimed.
async fn take_due(app: &App, busy: &BTreeSet<Uuid>) -> Result<Vec<(Webhook, Delivery)>, Error> {
    let now = app.now();
    let mut due = Vec::new();
    for webhook in app.store().webhooks().await? {
        if webhook.enabled
            && !busy.contains(&webhook.id)
            && let Some(delivery) = app.store().due_delivery(webhook.id, now).await?
        {
            due.push((webhook, delivery));
        }
    }
    if due.is_empty() {
        return Ok(due);
    }
    let mut taken = Vec::new();
    let mut tx = app.store().begin().await?;
    for (webhook, delivery) in due {
        // the message after the webhook: whoever was here meanwhile has postponed or removed it
        if tx.take_webhook(webhook.id, now, now.plus(LEASE)).await? {
            if !tx.claim_delivery(&delivery, now.plus(LEASE)).await? {
                tx.release_webhook(webhook.id).await?;
                continue;
            }
            taken.push((webhook, Delivery { attempts: delivery.attempts + 1, ..delivery }));
        }
    }
    tx.commit().await?;
    Ok(taken)
}

/// Writes down how attempts went, and what becomes of their messages.
async fn note(app: &App, done: &[(Outcome, Delivery)]) -> Result<(), Error> {
    if done.is_empty() {
        return Ok(());
    }
    let now = app.now();
    let mut tx = app.store().begin().await?;
    for (outcome, delivery) in done {
        tx.note_attempt(delivery.webhook_id, &attempted(outcome, now)).await?;
        let told = (delivery.webhook_id, delivery.id, delivery.event.as_str());
        keep_attempt(app, &mut tx, told, outcome, now).await?;
        tx.release_webhook(delivery.webhook_id).await?;
        let is_over = outcome.error.is_none();
        if is_over || now >= delivery.created_at.plus(GIVEN_UP_AFTER) {
            tx.delete_delivery(delivery.id).await?;
            tx.count_dropped(delivery.webhook_id, u32::from(!is_over)).await?;
        } else {
            tx.postpone_delivery(delivery.id, now.plus(pause(delivery.attempts))).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Notes an attempt for those who want to see how it goes; one for a webhook that was removed meanwhile is nobody's.
async fn keep_attempt(
    app: &App,
    tx: &mut Tx,
    (webhook_id, delivery_id, event): (Uuid, Uuid, &str),
    outcome: &Outcome,
    at: UnixTime,
) -> Result<(), Error> {
    if tx.webhook(webhook_id).await?.is_none() {
        return Ok(());
    }
    let attempt = WebhookAttempt {
        id: app.new_id(),
        webhook_id,
        delivery_id,
        event: event.to_owned(),
        at,
        status: outcome.status,
        error: outcome.error.clone(),
        took: outcome.took,
    };
    Ok(tx.insert_webhook_attempt(&attempt, ATTEMPTS_KEPT).await?)
}

impl Delivery {
    fn message(&self) -> Message {
        Message { id: self.id.to_string(), event: self.event.clone(), body: self.body.clone() }
    }
}

async fn send(app: &App, webhook: &Webhook, message: &Message) -> Outcome {
    let secret = webhook_secret(app, webhook);
    match Target::parse(&webhook.url) {
        Ok(target) => post(&target, message, &secret, &app.config().webhook_allow, app.now().as_secs()).await,
        Err(error) => Outcome { status: None, error: Some(error.to_owned()), took: Duration::ZERO },
    }
}

fn attempted(outcome: &Outcome, at: UnixTime) -> Attempted {
    Attempted { at, status: outcome.status, error: outcome.error.clone() }
}

fn body(app: &App, id: Uuid, entry: &AuditEntry) -> String {
    json!({
        "id": id.to_string(),
        "event": entry.action,
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "subject": entry.subject,
        "detail": entry.detail,
        "network": app.network().id.to_string(),
    })
    .to_string()
}

fn wants(webhook: &Webhook, event: &str) -> bool {
    let fits = |pattern: &String| pattern.strip_suffix('*').map_or(pattern == event, |begin| event.starts_with(begin));
    webhook.enabled && (webhook.events.is_empty() || webhook.events.iter().any(fits))
}

/// How long after so many attempts the next one is made.
fn pause(attempts: u64) -> Duration {
    let quadruplings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    (FIRST_PAUSE * 4_u32.pow(quadruplings)).min(LONGEST_PAUSE)
}

/// A receiver that restarts is back by then.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Whoever was away for longer reads the audit log.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Of one webhook: what somebody reads who looks for what is wrong.
pub(crate) const ATTEMPTS_KEPT: u32 = 50;
/// Messages that wait for one webhook, about half a megabyte.
const MAX_WAITING: u64 = 1000;
/// Longer than an attempt takes: whoever claimed it is gone.
const LEASE: Duration = Duration::from_secs(60);
/// What other processes write, and what is due again.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// From the writing of a message to its commit.
const SETTLE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_fourfold_up_to_an_hour() {
        let seconds: Vec<_> = (1..=7).map(|attempts| pause(attempts).as_secs()).collect();

        assert_eq!(seconds, [10, 40, 160, 640, 2560, 3600, 3600]);
        assert_eq!(pause(u64::MAX), LONGEST_PAUSE);
    }
}
