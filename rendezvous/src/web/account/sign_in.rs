//! `/sign-in`: name and password for a session.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::page::Shell;
use super::super::problem::Problem;
use super::{for_visitor, retry_after, too_many, with_cookie};
use crate::actions::{self, SignInError};
use crate::auth::{Person, Visitor, VisitorForm, session_cookie};

#[derive(Template)]
#[template(path = "account/sign_in.html")]
struct SignInPage {
    shell: Shell,
    is_set_up: bool,
    next: String,
    name: String,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct Next {
    #[serde(default)]
    next: String,
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
    let page = SignInPage {
        shell: Shell::of_visitor(&web.app, &visitor),
        is_set_up: web.app.store().admin_count().await? > 0,
        next,
        name: String::new(),
        problem: None,
    };
    for_visitor(&visitor, StatusCode::OK, &page)
}

/// `POST /sign-in`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    before: Option<Person>,
    VisitorForm { visitor, form }: VisitorForm<SignInForm>,
) -> Result<Response, Problem> {
    let mut page = SignInPage {
        shell: Shell::of_visitor(&web.app, &visitor),
        is_set_up: true,
        next: form.next,
        name: form.name,
        problem: None,
    };
    let credentials = (page.name.trim(), form.password);
    let replaces = before.map(|person| person.session);
    match actions::sign_in(&web.app, &web.gate, credentials, &visitor.client, replaces).await {
        Ok(session) => {
            let cookie = session_cookie(&session, visitor.client.is_secure);
            Ok(with_cookie(cookie, Redirect::to(own_path(&page.next))))
        }
        Err(SignInError::Throttled(refused)) => {
            let (words, header) = too_many(refused);
            page.problem = Some(words);
            Ok(retry_after(for_visitor(&visitor, StatusCode::TOO_MANY_REQUESTS, &page)?, header))
        }
        Err(SignInError::Wrong) => {
            page.problem = Some("Name or password is wrong.".to_owned());
            for_visitor(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(SignInError::World(error)) => Err(error.into()),
    }
}

/// `next` if it is a path of ours, the start page if it would lead to another host.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_is_followed_after_signing_in() {
        assert_eq!(own_path("/devices/42?done=renamed"), "/devices/42?done=renamed");
        for other in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "devices"] {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
