//! `/webhooks`: web servers that are told what happens.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Id, IfMatch, Json, Path, etag};
use super::output::{List, Moment};
use super::problem::{Code, Problem};
use crate::actions::{self, WebhookChange};
use crate::app::App;
use crate::auth::ManageServer;
use crate::store::{Delivery, Webhook, WebhookAttempt};

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookBody {
    id: String,
    name: String,
    #[schema(example = "https://hooks.example.org/warren")]
    url: String,
    /// Words of the audit log, or their beginnings with a star; empty for everything.
    #[schema(example = json!(["device.*", "user.create"]))]
    events: Vec<String>,
    enabled: bool,
    created_by: String,
    created_at: Moment,
    /// Messages that wait to be delivered.
    waiting: u64,
    /// Messages that were given up.
    dropped: u64,
    /// How the last attempt went; absent before the first.
    last: Option<AttemptedBody>,
}

/// How an attempt to deliver went.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(super) struct AttemptedBody {
    at: Moment,
    /// The HTTP status, if there was an answer.
    status: Option<u16>,
    /// Absent when it went well.
    error: Option<String>,
}

/// A webhook with what its messages are signed with.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: WebhookBody,
    /// The key of the HMAC, as these letters; shown this once.
    secret: String,
}

/// A webhook that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookWish {
    #[schema(example = "chat", min_length = 1, max_length = 100)]
    name: String,
    #[schema(example = "https://hooks.example.org/warren")]
    url: String,
    /// Words of the audit log, or their beginnings with a star; everything unless you say otherwise.
    #[serde(default)]
    #[schema(example = json!(["device.*"]))]
    events: Vec<String>,
    /// It is, unless you say otherwise.
    enabled: Option<bool>,
}

/// What is to be different; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookEdit {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    url: Option<String>,
    events: Option<Vec<String>>,
    enabled: Option<bool>,
}

/// How a test went.
#[derive(Serialize, ToSchema)]
pub(super) struct TestResult {
    /// Whether the receiver said yes.
    delivered: bool,
    /// The HTTP status, if there was an answer.
    status: Option<u16>,
    error: Option<String>,
    took_ms: u64,
}

/// A message that waits to be delivered.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryBody {
    /// `Warren-Delivery` of the message.
    id: String,
    #[schema(example = "device.revoke")]
    event: String,
    /// When it happened.
    at: Moment,
    /// How often it was tried.
    attempts: u64,
    /// When it is tried next.
    due_at: Moment,
}

/// An attempt to deliver a message.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub(super) struct AttemptBody {
    id: String,
    /// `Warren-Delivery` of the message, which may have been tried before.
    delivery_id: String,
    #[schema(example = "device.revoke")]
    event: String,
    at: Moment,
    /// Whether the receiver said yes.
    delivered: bool,
    /// The HTTP status, if there was an answer.
    status: Option<u16>,
    /// Absent when it went well.
    error: Option<String>,
    took_ms: u64,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// The webhooks, oldest first
#[utoipa::path(get, path = "/webhooks", tag = "Webhooks", responses((status = 200, body = List<WebhookBody>)),
    security(("token" = ["manage-server"]), ("session" = [])))]
pub(super) async fn list(
    State(app): State<App>,
    _: Caller<ManageServer>,
) -> Result<axum::Json<List<WebhookBody>>, Problem> {
    let mut items = Vec::new();
    for webhook in app.store().webhooks().await? {
        items.push(body(&app, webhook).await?);
    }
    Ok(axum::Json(List::whole(items)))
}

/// Make a webhook
#[utoipa::path(post, path = "/webhooks", tag = "Webhooks", request_body = WebhookWish,
    responses((status = 201, body = WebhookWithSecret, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["value-invalid", "limit-reached"]))))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller<ManageServer>,
    Json(wish): Json<WebhookWish>,
) -> Result<(StatusCode, Tagged<WebhookWithSecret>), Problem> {
    let wanted =
        WebhookChange { name: Some(wish.name), url: Some(wish.url), events: Some(wish.events), enabled: wish.enabled };
    let webhook = actions::create_webhook(&app, &caller.identity.actor(), wanted).await?;
    Ok((StatusCode::CREATED, with_secret(&app, webhook).await?))
}

/// One webhook
#[utoipa::path(get, path = "/webhooks/{id}", tag = "Webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = WebhookBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-server"]), ("session" = [])), extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn show(
    State(app): State<App>,
    _: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
) -> Result<Tagged<WebhookBody>, Problem> {
    let webhook = app.store().webhook(id).await?.ok_or(Code::NotFound)?;
    let tag = etag(actions::webhook_version(&webhook));
    Ok((tag, axum::Json(body(&app, webhook).await?)))
}

/// Change a webhook
///
/// One that is switched off forgets what waits for it.
#[utoipa::path(patch, path = "/webhooks/{id}", tag = "Webhooks",
    params(("id" = Uuid, Path), ("if-match" = String, Header, description = "The ETag of what you have read, or *")),
    request_body = WebhookEdit,
    responses((status = 200, body = WebhookBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found", "value-invalid", "precondition-failed", "precondition-required"]))))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
    if_match: IfMatch,
    Json(edit): Json<WebhookEdit>,
) -> Result<Tagged<WebhookBody>, Problem> {
    let change = WebhookChange { name: edit.name, url: edit.url, events: edit.events, enabled: edit.enabled };
    let expected = if_match.required()?;
    let webhook = actions::change_webhook(&app, &caller.identity.actor(), id, change, &expected).await?;
    let tag = etag(actions::webhook_version(&webhook));
    Ok((tag, axum::Json(body(&app, webhook).await?)))
}

/// Remove a webhook, and what waits for it
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "Webhooks",
    params(("id" = Uuid, Path), ("if-match" = Option<String>, Header, description = "Remove only this version")),
    responses((status = 204, description = "It is told nothing more.")),
    security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found", "precondition-failed"]))))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    actions::delete_webhook(&app, &caller.identity.actor(), id, &if_match.or_any()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook another signing secret
///
/// Everything sent from now on is signed with the new one, also what was waiting.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", tag = "Webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = WebhookWithSecret, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-server"]), ("session" = [])), extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn rotate(
    State(app): State<App>,
    caller: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
) -> Result<Tagged<WebhookWithSecret>, Problem> {
    let webhook = actions::rotate_webhook(&app, &caller.identity.actor(), id).await?;
    with_secret(&app, webhook).await
}

/// Send a webhook a `ping` at once, and say how that went
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "Webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = TestResult)), security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn test(
    State(app): State<App>,
    caller: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
) -> Result<axum::Json<TestResult>, Problem> {
    let outcome = actions::ping_webhook(&app, &caller.identity.actor(), id).await?;
    Ok(axum::Json(TestResult {
        delivered: outcome.error.is_none(),
        status: outcome.status,
        error: outcome.error,
        took_ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// What waits for a webhook, up to 200, due first
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "Webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = List<DeliveryBody>)), security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn deliveries(
    State(app): State<App>,
    _: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
) -> Result<axum::Json<List<DeliveryBody>>, Problem> {
    let webhook = app.store().webhook(id).await?.ok_or(Code::NotFound)?;
    let queued = app.store().queued_deliveries(webhook.id, SHOWN).await?;
    let body = |delivery: Delivery| DeliveryBody {
        id: delivery.id.to_string(),
        event: delivery.event,
        at: delivery.created_at.into(),
        attempts: delivery.attempts,
        due_at: delivery.due_at.into(),
    };
    Ok(axum::Json(List::whole(queued.into_iter().map(body).collect())))
}

/// How the last 50 attempts to tell a webhook went, newest first
#[utoipa::path(get, path = "/webhooks/{id}/attempts", tag = "Webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = List<AttemptBody>)), security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn attempts(
    State(app): State<App>,
    _: Caller<ManageServer>,
    Path(Id(id)): Path<Id>,
) -> Result<axum::Json<List<AttemptBody>>, Problem> {
    let webhook = app.store().webhook(id).await?.ok_or(Code::NotFound)?;
    let attempts = app.store().webhook_attempts(webhook.id, actions::ATTEMPTS_KEPT).await?;
    let body = |attempt: WebhookAttempt| AttemptBody {
        id: attempt.id.to_string(),
        delivery_id: attempt.delivery_id.to_string(),
        event: attempt.event,
        at: attempt.at.into(),
        delivered: attempt.error.is_none(),
        status: attempt.status,
        error: attempt.error,
        took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(axum::Json(List::whole(attempts.into_iter().map(body).collect())))
}

async fn body(app: &App, webhook: Webhook) -> Result<WebhookBody, Problem> {
    Ok(WebhookBody {
        id: webhook.id.to_string(),
        waiting: app.store().waiting_deliveries(webhook.id).await?,
        name: webhook.name,
        url: webhook.url,
        events: webhook.events,
        enabled: webhook.enabled,
        created_by: webhook.created_by,
        created_at: webhook.created_at.into(),
        dropped: webhook.dropped,
        last: webhook.last.map(|last| AttemptedBody { at: last.at.into(), status: last.status, error: last.error }),
    })
}

async fn with_secret(app: &App, webhook: Webhook) -> Result<Tagged<WebhookWithSecret>, Problem> {
    let secret = actions::webhook_secret(app, &webhook);
    let tag = etag(actions::webhook_version(&webhook));
    Ok((tag, axum::Json(WebhookWithSecret { webhook: body(app, webhook).await?, secret })))
}

/// A screenful of what is stuck.
const SHOWN: u32 = 200;
