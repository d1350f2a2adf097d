//! `/sign-in/oidc`: to the OpenID provider and back. Both are plain links: a form may lead to no other host.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::super::Web;
use super::super::problem::Problem;
use super::{own_path, sign_in, with_cookie};
use crate::actions;
use crate::auth::{Person, Visitor, session_cookie};
use crate::error::Error;

#[derive(Deserialize)]
pub(in crate::web) struct Begin {
    #[serde(default)]
    next: String,
    /// Present where an account is to be linked.
    link: Option<String>,
}

/// What the provider adds to the way back: a code, or an error of its own.
#[derive(Deserialize)]
pub(in crate::web) struct Back {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
}

/// `GET /sign-in/oidc`
pub(in crate::web) async fn begin(
    State(web): State<Web>,
    person: Option<Person>,
    visitor: Visitor,
    Query(Begin { next, link }): Query<Begin>,
) -> Result<Response, Problem> {
    let link = link.and_then(|_| person.map(|person| person.id));
    let next = own_path(&next).to_owned();
    match actions::begin_oidc(&web.app, &visitor.client, visitor.digest(), next.clone(), link).await {
        Ok(url) => {
            let jar = visitor.cookie().into_iter().fold(CookieJar::new(), CookieJar::add);
            Ok((jar, Redirect::to(&url)).into_response())
        }
        Err(error) => sign_in::refused(&web, &visitor, (String::new(), next), error).await,
    }
}

/// `GET /sign-in/oidc/callback`
pub(in crate::web) async fn callback(
    State(web): State<Web>,
    before: Option<Person>,
    visitor: Visitor,
    Query(Back { state, code }): Query<Back>,
) -> Result<Response, Problem> {
    if code.is_empty() {
        return sign_in::refused(&web, &visitor, (String::new(), String::new()), Error::OidcRefused).await;
    }
    let replaces = before.map(|person| person.session);
    match actions::finish_oidc(&web.app, (&state, &code), visitor.digest(), &visitor.client, replaces).await {
        Ok(back) => {
            let cookie = session_cookie(&back.session, visitor.client.is_secure);
            Ok(with_cookie(cookie, Redirect::to(own_path(&back.next))))
        }
        Err(error) => sign_in::refused(&web, &visitor, (String::new(), String::new()), error).await,
    }
}
