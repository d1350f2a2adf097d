//! `GET /webhooks` and `POST /webhooks`: those that there are, and a form for one more.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::format::sentence;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::Row;
use super::form::{Fields, WebhookForm, can_be_put_right, change};
use super::show::with_secret;
use crate::actions;
use crate::auth::{ManageServer, May, MayForm, Person};

#[derive(Template)]
#[template(path = "webhooks/list.html")]
struct ListPage {
    shell: Shell,
    webhooks: Vec<Row>,
    form: WebhookForm,
    /// No version: there is none yet.
    version: String,
    problem: Option<String>,
    done: Option<&'static str>,
}

/// `?done`, set when one was removed.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Done {
    done: Option<String>,
}

/// `GET /webhooks`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageServer>,
    Query(Done { done }): Query<Done>,
) -> Result<Html<String>, Problem> {
    let done = done.map(|_| "Removed. It is told nothing more.");
    page::html(&ListPage { done, ..list(&web, &person).await? })
}

/// `POST /webhooks`
pub(in crate::web) async fn create(
    State(web): State<Web>,
    MayForm { person, form: fields, .. }: MayForm<ManageServer, Fields>,
) -> Result<Response, Problem> {
    match actions::create_webhook(&web.app, &person.actor(), change(&fields)).await {
        Ok(webhook) => Ok(with_secret(&web, &person, &webhook, "made")),
        Err(error) if can_be_put_right(&error) => {
            let problem = Some(sentence(&error.to_string()));
            let page = ListPage { form: WebhookForm::sent(&fields), problem, ..list(&web, &person).await? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

async fn list(web: &Web, person: &Person) -> Result<ListPage, Problem> {
    let (store, now) = (web.app.store(), web.app.now());
    let mut webhooks = Vec::new();
    for webhook in store.webhooks().await? {
        webhooks.push(Row::new(&webhook, store.waiting_deliveries(webhook.id).await?, now));
    }
    Ok(ListPage {
        shell: Shell::of_person(&web.app, person, "settings"),
        webhooks,
        form: WebhookForm::blank(),
        version: String::new(),
        problem: None,
        done: None,
    })
}
