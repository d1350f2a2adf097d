//! `/tokens`: what a person's programs sign in with.
//!
//! A new token is shown in the answer to the form that made it, and nowhere else: no address leads to it, so none can be
//! kept. Sending the form again meets the name that is taken.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::Web;
use super::format::{Moment, sentence};
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions::{self, TokenRequest};
use crate::auth::{Person, PersonForm};
use crate::domain::Right;
use crate::error::Error;
use crate::store::ApiToken;

#[derive(Template)]
#[template(path = "tokens/list.html")]
struct ListPage {
    shell: Shell,
    tokens: Vec<Token>,
    rights: Vec<RightChoice>,
    days: &'static [u64],
    name: String,
    problem: Option<String>,
    done: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "tokens/made.html")]
struct MadePage {
    shell: Shell,
    name: String,
    expires: Moment,
    secret: String,
}

struct Token {
    id: String,
    name: String,
    scopes: String,
    expires: Moment,
    used: Option<(Moment, String)>,
}

/// A box to tick.
struct RightChoice {
    name: &'static str,
    words: &'static str,
    /// Whether the person's role has it.
    held: bool,
    ticked: bool,
}

/// A token that is wanted; a box that was not ticked is not sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Wish {
    name: String,
    days: u64,
    manage_devices: Option<String>,
    manage_invites: Option<String>,
    manage_server: Option<String>,
    manage_users: Option<String>,
    read_activity: Option<String>,
    read_mesh: Option<String>,
}

/// `?done`, set when a token was revoked.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    done: Option<String>,
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// `GET /tokens`
pub(super) async fn page(
    State(web): State<Web>,
    person: Person,
    Query(Done { done }): Query<Done>,
) -> Result<Html<String>, Problem> {
    let done = done.map(|_| "Revoked. Whatever used it is refused from now on.");
    let page = ListPage { done, ..list(&web, &person, &Wish::default()).await? };
    page::html(&page)
}

/// `POST /tokens`
pub(super) async fn create(
    State(web): State<Web>,
    PersonForm { person, form: wish }: PersonForm<Wish>,
) -> Result<Response, Problem> {
    let request = TokenRequest {
        name: wish.name.clone(),
        scopes: wish.scopes(),
        expires_after: Duration::from_secs(wish.days.saturating_mul(24 * 3600)),
    };
    match actions::create_api_token(&web.app, &person.actor(), person.id, request).await {
        Ok((token, secret)) => {
            let page = MadePage {
                shell: Shell::of_person(&web.app, &person, "tokens"),
                expires: Moment::new(token.expires_at, web.app.now()),
                name: token.name,
                secret: secret.to_text(),
            };
            Ok(page::html(&page)?.into_response())
        }
        Err(error @ (Error::LabelInvalid | Error::LifetimeInvalid | Error::LimitReached(_) | Error::NameTaken)) => {
            let problem = Some(sentence(&error.to_string()));
            let page = ListPage { problem, ..list(&web, &person, &wish).await? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /tokens/{id}/revoke`
pub(super) async fn revoke(
    State(web): State<Web>,
    Path(id): Path<String>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<Redirect, Problem> {
    let id = Uuid::parse_str(&id).map_err(|_| Problem::NotFound)?;
    match actions::revoke_api_token(&web.app, &person.actor(), person.id, id).await {
        Ok(()) => Ok(Redirect::to("/tokens?done=revoked")),
        Err(Error::Unknown) => Err(Problem::NotFound),
        Err(error) => Err(error.into()),
    }
}

async fn list(web: &Web, person: &Person, wish: &Wish) -> Result<ListPage, Problem> {
    let now = web.app.now();
    let tokens = actions::list_api_tokens(&web.app, person.id).await?;
    let ticked = wish.scopes();
    let rights = WORDS.iter().map(|(right, words)| RightChoice {
        name: right.name(),
        words,
        held: person.role.has(*right),
        ticked: ticked.contains(right),
    });
    Ok(ListPage {
        shell: Shell::of_person(&web.app, person, "tokens"),
        tokens: tokens.into_iter().map(|token| Token::new(token, now)).collect(),
        rights: rights.collect(),
        days: &[7, 30, 90, 365],
        name: wish.name.clone(),
        problem: None,
        done: None,
    })
}

impl Wish {
    fn scopes(&self) -> Vec<Right> {
        let boxes = [
            (&self.read_mesh, Right::ReadMesh),
            (&self.read_activity, Right::ReadActivity),
            (&self.manage_devices, Right::ManageDevices),
            (&self.manage_invites, Right::ManageInvites),
            (&self.manage_users, Right::ManageUsers),
            (&self.manage_server, Right::ManageServer),
        ];
        boxes.into_iter().filter_map(|(ticked, right)| ticked.as_ref().map(|_| right)).collect()
    }
}

impl Token {
    fn new(token: ApiToken, now: UnixTime) -> Self {
        let used = token.last_used_at.map(|at| (Moment::new(at, now), token.last_used_from.unwrap_or_default()));
        let scopes =
            if token.scopes.is_empty() { "nothing but who you are".to_owned() } else { token.scopes.join(", ") };
        Self { id: token.id.to_string(), name: token.name, scopes, expires: Moment::new(token.expires_at, now), used }
    }
}

/// The rights in the order in which they are asked for, with what each is for.
const WORDS: [(Right, &str); 6] = [
    (Right::ReadMesh, "See devices and paths"),
    (Right::ReadActivity, "See who did what"),
    (Right::ManageDevices, "Rename, tag and revoke devices"),
    (Right::ManageInvites, "Add devices"),
    (Right::ManageUsers, "Manage accounts"),
    (Right::ManageServer, "Manage the server and its webhooks"),
];
