//! `/webhooks/{id}`: how one webhook fares, and what can be done to it.
//!
//! Its secret is shown in the browser that made it until it is an hour old; the server can make it again, and does not.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;
use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::super::Web;
use super::super::format::{Moment, sentence};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::Row;
use super::form::{Fields, WebhookForm, can_be_put_right, change, field};
use crate::actions;
use crate::auth::{ManageServer, May, MayForm, Person, read_secret_cookie, secret_cookie};
use crate::domain::{Expected, Version};
use crate::error::Error;
use crate::store::{Delivery, Webhook, WebhookAttempt};

#[derive(Template)]
#[template(path = "webhooks/show.html")]
struct ShowPage {
    shell: Shell,
    webhook: Row,
    made: Moment,
    made_by: String,
    secret: Option<String>,
    form: WebhookForm,
    version: String,
    queued: Vec<Queued>,
    attempts: Vec<Attempt>,
    problem: Option<String>,
    done: Option<&'static str>,
}

/// A message that waits.
struct Queued {
    event: String,
    happened: Moment,
    tried: u64,
    due: Moment,
}

/// An attempt in words.
struct Attempt {
    event: String,
    at: Moment,
    status: Option<u16>,
    error: Option<String>,
    took_ms: u128,
}

/// `?done=WORD`
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Done {
    #[serde(default)]
    done: String,
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Nothing {}

/// `GET /webhooks/{id}`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageServer>,
    Path(id): Path<String>,
    Query(Done { done }): Query<Done>,
    headers: HeaderMap,
) -> Result<Html<String>, Problem> {
    let webhook = find(&web, &id).await?;
    let page = show(&web, &person, &webhook, WebhookForm::of(&webhook)).await?;
    let held = read_secret_cookie(&headers, person.client.is_secure);
    // one of before the last rotation would only mislead
    let secret = held.filter(|held| *held == actions::webhook_secret(&web.app, &webhook));
    page::html(&ShowPage { secret, done: told(&done), ..page })
}

/// `POST /webhooks/{id}`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: fields, .. }: MayForm<ManageServer, Fields>,
) -> Result<Response, Problem> {
    let webhook = find(&web, &id).await?;
    let seen = Version::parse(&field(&fields, "version"));
    let expected = Expected::OneOf(seen.into_iter().collect());
    match actions::change_webhook(&web.app, &person.actor(), webhook.id, change(&fields), &expected).await {
        Ok(_) => Ok(back(webhook.id, "changed").into_response()),
        Err(error) if can_be_put_right(&error) => {
            let words = if matches!(error, Error::ChangedMeanwhile) {
                "Somebody has changed it meanwhile. Look at it again, then save.".to_owned()
            } else {
                sentence(&error.to_string())
            };
            let problem = Some(words);
            let page = show(&web, &person, &webhook, WebhookForm::sent(&fields)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&ShowPage { problem, ..page })?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /webhooks/{id}/test`
pub(in crate::web) async fn test(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: Nothing {}, .. }: MayForm<ManageServer, Nothing>,
) -> Result<Redirect, Problem> {
    let outcome = actions::ping_webhook(&web.app, &person.actor(), webhook_id(&id)?).await?;
    Ok(back(webhook_id(&id)?, if outcome.error.is_none() { "told" } else { "untold" }))
}

/// `POST /webhooks/{id}/rotate`
pub(in crate::web) async fn rotate(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: Nothing {}, .. }: MayForm<ManageServer, Nothing>,
) -> Result<Response, Problem> {
    let webhook = actions::rotate_webhook(&web.app, &person.actor(), webhook_id(&id)?).await?;
    Ok(with_secret(&web, &person, &webhook, "rotated"))
}

/// `POST /webhooks/{id}/remove`
pub(in crate::web) async fn remove(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: Nothing {}, .. }: MayForm<ManageServer, Nothing>,
) -> Result<Redirect, Problem> {
    actions::delete_webhook(&web.app, &person.actor(), webhook_id(&id)?, &Expected::Any).await?;
    Ok(Redirect::to("/webhooks?done=removed"))
}

/// Leads to the webhook's page, which shows the secret in this browser.
pub(super) fn with_secret(web: &Web, person: &Person, webhook: &Webhook, done: &str) -> Response {
    let (path, secret) = (format!("/webhooks/{}", webhook.id), actions::webhook_secret(&web.app, webhook));
    let cookie = secret_cookie(secret, path, KEEP_FOR, person.client.is_secure);
    (CookieJar::new().add(cookie), back(webhook.id, done)).into_response()
}

fn back(id: Uuid, done: &str) -> Redirect {
    Redirect::to(&format!("/webhooks/{id}?done={done}"))
}

fn webhook_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::NotFound)
}

async fn find(web: &Web, id: &str) -> Result<Webhook, Problem> {
    web.app.store().webhook(webhook_id(id)?).await?.ok_or(Problem::NotFound)
}

async fn show(web: &Web, person: &Person, webhook: &Webhook, form: WebhookForm) -> Result<ShowPage, Problem> {
    let (store, now) = (web.app.store(), web.app.now());
    let queued = store.queued_deliveries(webhook.id, SHOWN).await?;
    let attempts = store.webhook_attempts(webhook.id, actions::ATTEMPTS_KEPT).await?;
    let by = webhook.created_by.as_str();
    Ok(ShowPage {
        shell: Shell::of_person(&web.app, person, "settings"),
        webhook: Row::new(webhook, store.waiting_deliveries(webhook.id).await?, now),
        made: Moment::new(webhook.created_at, now),
        made_by: by.split_once(':').map_or(by, |(_, name)| name).to_owned(),
        secret: None,
        form,
        version: actions::webhook_version(webhook).to_string(),
        queued: queued.into_iter().map(|delivery| Queued::new(delivery, now)).collect(),
        attempts: attempts.into_iter().map(|attempt| Attempt::new(attempt, now)).collect(),
        problem: None,
        done: None,
    })
}

/// The sentence for a word of ours; somebody else's words are never shown.
fn told(done: &str) -> Option<&'static str> {
    Some(match done {
        "changed" => "Saved. What was waiting is told as it says now.",
        "made" => "Made. Give the receiver its secret, then try it out.",
        "rotated" => "Its messages are signed with another secret from now on.",
        "told" => "It was told, and said yes.",
        "untold" => "It was told, and did not say yes: the newest attempt below says why.",
        _ => return None,
    })
}

impl Queued {
    fn new(delivery: Delivery, now: UnixTime) -> Self {
        Self {
            event: delivery.event,
            happened: Moment::new(delivery.created_at, now),
            tried: delivery.attempts,
            due: Moment::new(delivery.due_at, now),
        }
    }
}

impl Attempt {
    fn new(attempt: WebhookAttempt, now: UnixTime) -> Self {
        Self {
            event: attempt.event,
            at: Moment::new(attempt.at, now),
            status: attempt.status,
            error: attempt.error.map(|error| sentence(&error)),
            took_ms: attempt.took.as_millis(),
        }
    }
}

/// Messages that wait: enough to see what is stuck.
const SHOWN: u32 = 20;
/// Time to carry the secret to the receiver.
const KEEP_FOR: Duration = Duration::from_secs(3600);
