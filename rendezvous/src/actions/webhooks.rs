//! Webhooks: who is told what happens. The messages are `deliver_webhooks`' business.

use data_encoding::HEXLOWER;
use sqlx::types::Uuid;

use super::audit;
use crate::app::App;
use crate::domain::{Actor, Expected, Version};
use crate::error::Error;
use crate::store::Webhook;
use crate::webhook::Target;

/// What is to be different; `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct WebhookChange {
    /// What people call it.
    pub(crate) name: Option<String>,
    /// Where it is told.
    pub(crate) url: Option<String>,
    /// Patterns of what it is told.
    pub(crate) events: Option<Vec<String>>,
    /// Whether it is told anything.
    pub(crate) enabled: Option<bool>,
}

/// Makes a webhook that is told everything unless `wanted` says less.
pub(crate) async fn create_webhook(app: &App, actor: &Actor, wanted: WebhookChange) -> Result<Webhook, Error> {
    let mut webhook = Webhook {
        id: app.new_id(),
        name: String::new(),
        url: String::new(),
        events: Vec::new(),
        enabled: true,
        generation: 1,
        created_by: actor.to_string(),
        created_at: app.now(),
        dropped: 0,
        last: None,
    };
    apply(&mut webhook, wanted)?;
    check_label(&webhook.name)?;
    let mut tx = app.store().begin().await?;
    if tx.webhooks().await?.len() >= MAX_WEBHOOKS {
        return Err(Error::LimitReached("a server has at most 32 webhooks"));
    }
    tx.insert_webhook(&webhook).await?;
    audit(app, &mut tx, actor, "webhook.create", webhook.id, &webhook.name).await?;
    tx.commit().await?;
    Ok(webhook)
}

/// Changes a webhook, if it is what is expected. One that is switched off forgets what it was not told.
pub(crate) async fn change_webhook(
    app: &App,
    actor: &Actor,
    id: Uuid,
    change: WebhookChange,
    expected: &Expected,
) -> Result<Webhook, Error> {
    let mut tx = app.store().begin().await?;
    let before = tx.webhook(id).await?.ok_or(Error::Unknown)?;
    if !expected.holds(version(&before)) {
        return Err(Error::ChangedMeanwhile);
    }
    let mut webhook = before.clone();
    apply(&mut webhook, change)?;
    if webhook == before {
        return Ok(webhook);
    }
    tx.update_webhook(&webhook).await?;
    if !webhook.enabled {
        tx.clear_deliveries(id).await?;
    }
    audit(app, &mut tx, actor, "webhook.change", id, &webhook.name).await?;
    tx.commit().await?;
    Ok(webhook)
}

/// Gives a webhook another signing secret; what is sent from now on is signed with that one.
pub(crate) async fn rotate_webhook(app: &App, actor: &Actor, id: Uuid) -> Result<Webhook, Error> {
    let mut tx = app.store().begin().await?;
    let mut webhook = tx.webhook(id).await?.ok_or(Error::Unknown)?;
    webhook.generation += 1;
    tx.update_webhook(&webhook).await?;
    audit(app, &mut tx, actor, "webhook.rotate", id, &webhook.name).await?;
    tx.commit().await?;
    Ok(webhook)
}

/// Removes a webhook with what waits for it, if it is what is expected.
pub(crate) async fn delete_webhook(app: &App, actor: &Actor, id: Uuid, expected: &Expected) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    let webhook = tx.webhook(id).await?.ok_or(Error::Unknown)?;
    if !expected.holds(version(&webhook)) {
        return Err(Error::ChangedMeanwhile);
    }
    tx.delete_webhook(id).await?;
    audit(app, &mut tx, actor, "webhook.delete", id, &webhook.name).await?;
    Ok(tx.commit().await?)
}

/// Names what can be changed of a webhook.
pub(crate) fn version(webhook: &Webhook) -> Version {
    let enabled = if webhook.enabled { "on" } else { "off" };
    let mut fields = vec![webhook.name.as_str(), webhook.url.as_str(), enabled];
    fields.extend(webhook.events.iter().map(String::as_str));
    Version::of(&fields)
}

/// What a webhook's messages are signed with, as its owner is shown it.
pub(crate) fn webhook_secret(app: &App, webhook: &Webhook) -> String {
    HEXLOWER.encode(&app.server_key().webhook_secret(webhook.id.as_bytes(), webhook.generation))
}

fn apply(webhook: &mut Webhook, change: WebhookChange) -> Result<(), Error> {
    if let Some(name) = change.name {
        name.trim().clone_into(&mut webhook.name);
        check_label(&webhook.name)?;
    }
    if let Some(url) = change.url {
        Target::parse(&url).map_err(Error::WebhookUrlInvalid)?;
        webhook.url = url;
    }
    if let Some(events) = change.events {
        if events.len() > MAX_EVENTS || !events.iter().all(|event| is_pattern(event)) {
            return Err(Error::EventInvalid);
        }
        webhook.events = events;
    }
    webhook.enabled = change.enabled.unwrap_or(webhook.enabled);
    Ok(())
}

fn check_label(name: &str) -> Result<(), Error> {
    let good = !name.is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(Error::LabelInvalid) }
}

/// A word of the audit log, or the beginning of some and a star.
fn is_pattern(event: &str) -> bool {
    let (word, is_open) = event.strip_suffix('*').map_or((event, false), |word| (word, true));
    let good = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'-');
    good && word.len() <= 64 && (is_open || !word.is_empty())
}

/// Each costs a row per change.
const MAX_WEBHOOKS: usize = 32;
/// More words than there are.
const MAX_EVENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::is_pattern;

    #[test]
    fn a_pattern_is_a_word_or_the_beginning_of_one() {
        assert!(["device.revoke", "device.*", "*", "device.hold-to-relay"].into_iter().all(is_pattern));
        assert!(["", "Device.revoke", "device.*.a", "a b", "**"].into_iter().all(|bad| !is_pattern(bad)));
    }
}
