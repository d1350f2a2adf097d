//! Before one is signed in: becoming the first administrator, joining by a link, signing in by password, code, passkey or
//! provider, and getting back in by a reset link.

pub(super) mod code;
pub(super) mod join;
pub(super) mod oidc;
pub(super) mod passkey;
pub(super) mod reset;
pub(super) mod setup;
pub(super) mod sign_in;
pub(super) mod sign_out;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar};

use super::format::sentence;
use super::page;
use super::problem::Problem;
use crate::auth::Visitor;
use crate::error::Error;

/// Where to sign in so as to come back to `next` afterwards.
pub(super) fn sign_in_path(next: &str) -> String {
    with_next("/sign-in", next)
}

fn with_next(path: &str, next: &str) -> String {
    if next.is_empty() || next == "/" {
        return path.to_owned();
    }
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    format!("{path}?{query}")
}

/// `next` if it is a path of ours, the start page if it would lead to another host.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { next } else { "/" }
}

/// A page for a visitor, with the cookie that guards its form.
fn for_visitor(visitor: &Visitor, status: StatusCode, page: &impl askama::Template) -> Result<Response, Problem> {
    let jar = visitor.cookie().into_iter().fold(CookieJar::new(), CookieJar::add);
    Ok((status, jar, page::html(page)?).into_response())
}

fn with_cookie(cookie: Cookie<'static>, response: impl IntoResponse) -> Response {
    (CookieJar::new().add(cookie), response).into_response()
}

/// What a person can put right, in words and as a status; anything else is a problem.
pub(super) fn refusal(error: Error) -> Result<(StatusCode, String), Problem> {
    if wait_of(&error).is_some() {
        return Ok((StatusCode::TOO_MANY_REQUESTS, sentence(&error.to_string())));
    }
    let can_be_put_right = matches!(
        error,
        Error::AccountDisabled
            | Error::AccountLinkInvalid
            | Error::AccountsFull
            | Error::AdminNameInvalid
            | Error::AdminNameTaken
            | Error::CeremonyOver
            | Error::CodeWrong
            | Error::CredentialsWrong
            | Error::LastOwner
            | Error::OidcBeforeSetup
            | Error::OidcNoRole
            | Error::OidcRefused
            | Error::OidcTaken
            | Error::OidcUnavailable
            | Error::OnlyWayIn
            | Error::PasskeyNameInvalid
            | Error::PasskeyRefused
            | Error::PasskeyUnknown
            | Error::PasswordRefused(_)
            | Error::SetupTokenInvalid
    );
    if !can_be_put_right {
        return Err(error.into());
    }
    Ok((StatusCode::UNPROCESSABLE_ENTITY, sentence(&error.to_string())))
}

/// Tells programs when to come back, as the page tells people.
pub(super) fn retry_after(mut response: Response, wait: Option<std::time::Duration>) -> Response {
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}

/// How long to wait, if that is what is wrong.
pub(super) fn wait_of(error: &Error) -> Option<std::time::Duration> {
    if let Error::TooManyAttempts(refused) = error { Some(refused.wait) } else { None }
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
