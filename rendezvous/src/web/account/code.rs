//! `/sign-in/code`: the code that an account with an authenticator app asks for after the password.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::super::Web;
use super::super::page::Shell;
use super::super::problem::Problem;
use super::sign_in::Next;
use super::{for_visitor, own_path, refusal, retry_after, sign_in_path, wait_of};
use crate::actions;
use crate::auth::{Person, Visitor, VisitorForm, clear_factor_cookie, factor_token, session_cookie};
use crate::error::Error;

#[derive(Template)]
#[template(path = "account/code.html")]
struct CodePage {
    shell: Shell,
    next: String,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct CodeForm {
    code: String,
    #[serde(default)]
    next: String,
}

/// `GET /sign-in/code`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Problem> {
    let open = match factor_token(&headers, visitor.client.is_secure) {
        Some(token) => actions::awaits_code(&web.app, &token).await?,
        None => false,
    };
    if !open {
        return Ok(Redirect::to(&sign_in_path(&next)).into_response());
    }
    let page = CodePage { shell: Shell::of_visitor(&web.app, &visitor), next, problem: None };
    for_visitor(&visitor, StatusCode::OK, &page)
}

/// `POST /sign-in/code`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    before: Option<Person>,
    headers: HeaderMap,
    VisitorForm { visitor, form }: VisitorForm<CodeForm>,
) -> Result<Response, Problem> {
    let is_secure = visitor.client.is_secure;
    let Some(token) = factor_token(&headers, is_secure) else {
        return Ok(Redirect::to(&sign_in_path(&form.next)).into_response());
    };
    let replaces = before.map(|person| person.session);
    match actions::sign_in_with_code(&web.app, &token, &form.code, &visitor.client, replaces).await {
        Ok(session) => {
            let jar = CookieJar::new().add(session_cookie(&session, is_secure)).add(clear_factor_cookie(is_secure));
            Ok((jar, Redirect::to(own_path(&form.next))).into_response())
        }
        Err(Error::CeremonyOver) => Ok(Redirect::to(&sign_in_path(&form.next)).into_response()),
        Err(error) => {
            let wait = wait_of(&error);
            let (status, words) = refusal(error)?;
            let shell = Shell::of_visitor(&web.app, &visitor);
            let page = CodePage { shell, next: form.next, problem: Some(words) };
            Ok(retry_after(for_visitor(&visitor, status, &page)?, wait))
        }
    }
}
