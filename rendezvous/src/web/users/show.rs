//! `/users/{id}`: one account, and what can be done to it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use sqlx::types::Uuid;

use super::super::Web;
use super::super::account::refusal;
use super::super::format::Moment;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::invite::show_link;
use super::{Nothing, RoleChoice, by, problem, role, role_choices, role_words, user_id};
use crate::actions::{self, UserChange};
use crate::auth::{ManageUsers, May, MayForm, Person};
use crate::domain::{Expected, Role, Scope};
use crate::error::Error;

#[derive(Template)]
#[template(path = "users/show.html")]
struct UserPage {
    shell: Shell,
    done: Option<&'static str>,
    problem: Option<String>,
    user: UserView,
    roles: Vec<RoleChoice>,
}

#[derive(Template)]
#[template(path = "users/remove.html")]
struct RemovePage {
    shell: Shell,
    user: UserView,
}

struct UserView {
    id: String,
    name: String,
    role: Role,
    role_words: &'static str,
    is_self: bool,
    may_manage: bool,
    disabled_at: Option<Moment>,
    created_at: Moment,
    signed_in_at: Option<Moment>,
    has_authenticator: bool,
    passkeys: usize,
    sessions: usize,
    devices: Vec<(String, String)>,
}

/// `?done=WORD`, what the form before this page has done.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Done {
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct RoleForm {
    role: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct ResetForm {
    #[serde(default)]
    drop_factors: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct RemoveForm {
    #[serde(default)]
    revoke_devices: String,
}

/// `GET /users/{id}`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageUsers>,
    Path(id): Path<String>,
    Query(Done { done }): Query<Done>,
) -> Result<Html<String>, Problem> {
    show(&web, &person, user_id(&id)?, sentence(&done), None).await
}

/// `POST /users/{id}/role`
pub(in crate::web) async fn change_role(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form, .. }: MayForm<ManageUsers, RoleForm>,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let done = change(&web, &person, id, UserChange { role: Some(role(&form.role)?), disabled: None }).await;
    answer(&web, &person, id, done.map(|_| "role")).await
}

/// `POST /users/{id}/disable`
pub(in crate::web) async fn disable(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: Nothing {}, .. }: MayForm<ManageUsers, Nothing>,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let done = change(&web, &person, id, UserChange { disabled: Some(true), role: None }).await;
    answer(&web, &person, id, done.map(|_| "disabled")).await
}

/// `POST /users/{id}/enable`
pub(in crate::web) async fn enable(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form: Nothing {}, .. }: MayForm<ManageUsers, Nothing>,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let done = change(&web, &person, id, UserChange { disabled: Some(false), role: None }).await;
    answer(&web, &person, id, done.map(|_| "enabled")).await
}

/// `POST /users/{id}/reset`
pub(in crate::web) async fn reset(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form, .. }: MayForm<ManageUsers, ResetForm>,
) -> Result<Response, Problem> {
    let (id, actor) = (user_id(&id)?, person.actor());
    let drops_factors = form.drop_factors == "yes";
    let link = actions::create_reset_link(&web.app, by(&person, &actor), id, drops_factors).await.map_err(problem)?;
    Ok(show_link(&person, &link))
}

/// `GET /users/{id}/remove`: the question.
pub(in crate::web) async fn ask_removal(
    State(web): State<Web>,
    May { person, .. }: May<ManageUsers>,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let user = load(&web, &person, user_id(&id)?).await?;
    page::html(&RemovePage { shell: Shell::of_person(&web.app, &person, "users"), user })
}

/// `POST /users/{id}/remove`
pub(in crate::web) async fn remove(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form, .. }: MayForm<ManageUsers, RemoveForm>,
) -> Result<Response, Problem> {
    let (id, actor) = (user_id(&id)?, person.actor());
    match actions::remove_user(&web.app, by(&person, &actor), id, form.revoke_devices == "yes", &Expected::Any).await {
        Ok(_) => Ok(Redirect::to("/users?done=removed").into_response()),
        Err(error) => answer(&web, &person, id, Err(error)).await,
    }
}

async fn change(web: &Web, person: &Person, id: Uuid, change: UserChange) -> Result<(), Error> {
    let actor = person.actor();
    actions::change_user(&web.app, by(person, &actor), id, change, &Expected::Any).await.map(drop)
}

/// Back to the account's page, with what was done or why not.
async fn answer(web: &Web, person: &Person, id: Uuid, done: Result<&str, Error>) -> Result<Response, Problem> {
    match done {
        Ok(done) => Ok(Redirect::to(&format!("/users/{id}?done={done}")).into_response()),
        Err(error) => {
            let (status, words): (StatusCode, String) = refusal(error)?;
            Ok((status, show(web, person, id, None, Some(words)).await?).into_response())
        }
    }
}

async fn show(
    web: &Web,
    person: &Person,
    id: Uuid,
    done: Option<&'static str>,
    problem: Option<String>,
) -> Result<Html<String>, Problem> {
    let user = load(web, person, id).await?;
    let roles = role_choices(person, user.role);
    page::html(&UserPage { shell: Shell::of_person(&web.app, person, "users"), done, problem, user, roles })
}

async fn load(web: &Web, person: &Person, id: Uuid) -> Result<UserView, Problem> {
    let (store, now) = (web.app.store(), web.app.now());
    let user = store.admin_by_id(id).await?.ok_or(Problem::NotFound)?;
    let moment = |at| Moment::new(at, now);
    let devices = store.active_devices().await?.into_iter().filter(|device| Scope::Own(id).holds(device));
    Ok(UserView {
        id: user.id.to_string(),
        role_words: role_words(user.role),
        is_self: user.id == person.id,
        may_manage: person.role.may_manage(user.role),
        disabled_at: user.disabled_at.map(moment),
        created_at: moment(user.created_at),
        signed_in_at: user.signed_in_at.map(moment),
        has_authenticator: user.totp_secret.is_some(),
        passkeys: store.passkeys_of(id).await?.len(),
        sessions: store.sessions_of(id).await?.len(),
        devices: devices.map(|device| (device.id.to_string(), device.name.to_string())).collect(),
        role: user.role,
        name: user.name,
    })
}

fn sentence(done: &str) -> Option<&'static str> {
    Some(match done {
        "disabled" => "Disabled. They are signed out everywhere and cannot sign in.",
        "enabled" => "Enabled. They can sign in again.",
        "role" => "The role is changed. They have been signed out and sign in again with the new one.",
        _ => return None,
    })
}
