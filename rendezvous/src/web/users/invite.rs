//! `/users/invite`: a link that makes an account; shown in the browser that made it until it is an hour old.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::super::Web;
use super::super::account::refusal;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::{Nothing, RoleChoice, by, problem, role, role_choices, user_id};
use crate::actions::{self, CreatedLink};
use crate::auth::{ManageUsers, May, MayForm, Person, link_cookie, read_link_cookie};
use crate::domain::Role;

#[derive(Template)]
#[template(path = "users/invite.html")]
struct InvitePage {
    shell: Shell,
    roles: Vec<RoleChoice>,
    note: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "users/link.html")]
struct LinkPage {
    shell: Shell,
    link: String,
    is_reset: bool,
}

#[derive(Deserialize)]
pub(in crate::web) struct InviteForm {
    role: String,
    #[serde(default)]
    note: String,
}

/// `GET /users/invite`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageUsers>,
) -> Result<Html<String>, Problem> {
    page::html(&InvitePage {
        shell: Shell::of_person(&web.app, &person, "users"),
        roles: role_choices(&person, Role::Member),
        note: String::new(),
        problem: None,
    })
}

/// `POST /users/invite`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    MayForm { person, form, .. }: MayForm<ManageUsers, InviteForm>,
) -> Result<Response, Problem> {
    let (actor, role) = (person.actor(), role(&form.role)?);
    match actions::invite_user(&web.app, by(&person, &actor), role, &form.note).await {
        Ok(link) => Ok(show_link(&person, &link)),
        Err(error) => {
            let (status, words) = refusal(error)?;
            let page = InvitePage {
                shell: Shell::of_person(&web.app, &person, "users"),
                roles: role_choices(&person, role),
                note: form.note,
                problem: Some(words),
            };
            Ok((status, page::html(&page)?).into_response())
        }
    }
}

/// `GET /users/links/{id}`: the link, while this browser holds it.
pub(in crate::web) async fn link(
    State(web): State<Web>,
    May { person, .. }: May<ManageUsers>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(link) = read_link_cookie(&headers, person.client.is_secure) else {
        return Ok(Redirect::to("/users").into_response());
    };
    let is_reset = link.contains("/reset#");
    let page = LinkPage { shell: Shell::of_person(&web.app, &person, "users"), link, is_reset };
    Ok((StatusCode::OK, page::html(&page)?).into_response())
}

/// `POST /users/links/{id}/withdraw`
pub(in crate::web) async fn withdraw(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: Nothing {}, .. }: MayForm<ManageUsers, Nothing>,
) -> Result<Redirect, Problem> {
    let actor = person.actor();
    actions::withdraw_user_invite(&web.app, by(&person, &actor), user_id(&id)?).await.map_err(problem)?;
    Ok(Redirect::to("/users?done=withdrawn"))
}

/// Leads to the link's page. The link itself goes into a cookie of that page: the server keeps only its hash.
pub(super) fn show_link(person: &Person, link: &CreatedLink) -> Response {
    let path = format!("/users/links/{}", link.id);
    let to = Redirect::to(&path);
    (CookieJar::new().add(link_cookie(link.url.clone(), path, KEEP_FOR, person.client.is_secure)), to).into_response()
}

/// Time to send it to somebody.
const KEEP_FOR: Duration = Duration::from_secs(3600);
