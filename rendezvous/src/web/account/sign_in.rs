//! `/sign-in`: name and password for a session, or for the question for a code.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::page::Shell;
use super::super::passkeys::{Passkeys, passkeys};
use super::super::problem::Problem;
use super::{for_visitor, own_path, refusal, retry_after, wait_of, with_cookie, with_next};
use crate::actions::{self, SignedIn};
use crate::auth::{Person, Visitor, VisitorForm, factor_cookie, session_cookie};
use crate::error::Error;

#[derive(Template)]
#[template(path = "account/sign_in.html")]
struct SignInPage {
    shell: Shell,
    is_set_up: bool,
    passkeys: Passkeys,
    /// The OpenID provider's name, and the link that leads to it.
    provider: Option<(String, String)>,
    next: String,
    name: String,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct Next {
    #[serde(default)]
    pub(super) next: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct SignInForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    person: Option<Person>,
    visitor: Visitor,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Problem> {
    if person.is_some() {
        return Ok(Redirect::to(own_path(&next)).into_response());
    }
    let page = SignInPage::new(&web, &visitor, next).await?;
    for_visitor(&visitor, StatusCode::OK, &page)
}

/// `POST /sign-in`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    before: Option<Person>,
    VisitorForm { visitor, form }: VisitorForm<SignInForm>,
) -> Result<Response, Problem> {
    let replaces = before.map(|person| person.session);
    let credentials = (form.name.trim(), form.password);
    let is_secure = visitor.client.is_secure;
    match actions::sign_in(&web.app, &web.passwords, credentials, &visitor.client, replaces).await {
        Ok(SignedIn::Session(session)) => {
            Ok(with_cookie(session_cookie(&session, is_secure), Redirect::to(own_path(&form.next))))
        }
        Ok(SignedIn::NeedsCode(token)) => {
            let to = Redirect::to(&with_next("/sign-in/code", own_path(&form.next)));
            Ok(with_cookie(factor_cookie(&token, is_secure), to))
        }
        Err(error) => refused(&web, &visitor, (form.name, form.next), error).await,
    }
}

/// The page again, with what went wrong.
pub(super) async fn refused(
    web: &Web,
    visitor: &Visitor,
    (name, next): (String, String),
    error: Error,
) -> Result<Response, Problem> {
    let wait = wait_of(&error);
    let (status, words) = refusal(error)?;
    let page = SignInPage { name, problem: Some(words), ..SignInPage::new(web, visitor, next).await? };
    Ok(retry_after(for_visitor(visitor, status, &page)?, wait))
}

impl SignInPage {
    async fn new(web: &Web, visitor: &Visitor, next: String) -> Result<Self, Problem> {
        Ok(Self {
            shell: Shell::of_visitor(&web.app, visitor),
            is_set_up: web.app.store().admin_count().await? > 0,
            passkeys: passkeys(web, &visitor.client).await?,
            provider: web
                .app
                .oidc()
                .map(|provider| (provider.config().name.clone(), with_next("/sign-in/oidc", own_path(&next)))),
            next,
            name: String::new(),
            problem: None,
        })
    }
}
