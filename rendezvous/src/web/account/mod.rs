//! Becoming the first administrator, signing in and out.

pub(super) mod setup;
pub(super) mod sign_in;
pub(super) mod sign_out;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar};

use super::page;
use super::problem::Problem;
use crate::auth::{TooMany, Visitor};

/// Where to sign in so as to come back to `next` afterwards.
pub(super) fn sign_in_path(next: &str) -> String {
    if next == "/" {
        return "/sign-in".to_owned();
    }
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    format!("/sign-in?{query}")
}

/// A page for a visitor, with the cookie that guards its form.
fn for_visitor(visitor: &Visitor, status: StatusCode, page: &impl askama::Template) -> Result<Response, Problem> {
    let jar = visitor.cookie().into_iter().fold(CookieJar::new(), CookieJar::add);
    Ok((status, jar, page::html(page)?).into_response())
}

fn with_cookie(cookie: Cookie<'static>, response: impl IntoResponse) -> Response {
    (CookieJar::new().add(cookie), response).into_response()
}

/// Says when to come back, to people in words and to programs in a header.
fn too_many(TooMany { wait }: TooMany) -> (String, HeaderValue) {
    let seconds = wait.as_secs().max(1);
    (format!("Too many attempts. Try again in {seconds} s."), HeaderValue::from(seconds))
}

/// Puts the header on a page that says so.
fn retry_after(mut response: Response, value: HeaderValue) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, value);
    response
}
