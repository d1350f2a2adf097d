//! `/settings`: what can be changed while the server runs. What it was started with is on `/system`.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Web;
use super::format::sentence;
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions;
use crate::auth::{ManageServer, May, MayForm, Person};
use crate::domain::Expected;
use crate::error::Error;

#[derive(Template)]
#[template(path = "settings/page.html")]
struct SettingsPage {
    shell: Shell,
    name: String,
    wrong_name: Option<String>,
    done: bool,
    v4: String,
    v6: String,
}

/// `?done`
#[derive(Deserialize)]
pub(super) struct Done {
    done: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct NameForm {
    name: String,
}

/// `GET /settings`
pub(super) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageServer>,
    Query(Done { done }): Query<Done>,
) -> Result<Html<String>, Problem> {
    let page = SettingsPage::new(&web, &person);
    page::html(&SettingsPage { done: done.is_some(), ..page })
}

/// `POST /settings/name`
pub(super) async fn rename(
    State(web): State<Web>,
    MayForm { person, form, .. }: MayForm<ManageServer, NameForm>,
) -> Result<Response, Problem> {
    match actions::rename_network(&web.app, &person.actor(), &form.name, &Expected::Any).await {
        Ok(()) => Ok(Redirect::to("/settings?done=1").into_response()),
        Err(error @ Error::LabelInvalid) => {
            let wrong_name = Some(sentence(&error.to_string()));
            let page = SettingsPage { name: form.name, wrong_name, ..SettingsPage::new(&web, &person) };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

impl SettingsPage {
    fn new(web: &Web, person: &Person) -> Self {
        Self {
            shell: Shell::of_person(&web.app, person, "settings"),
            name: web.app.network_name(),
            wrong_name: None,
            done: false,
            v4: web.app.network().v4.clone(),
            v6: web.app.network().v6.clone(),
        }
    }
}
