//! Pages for what goes wrong: each says what it is and what to do, and nothing of our insides.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use tracing::error;

use super::assets;
use super::page::Shell;
use crate::auth::Refusal;
use crate::domain::{Right, TooMany};
use crate::error::Error;

/// Why a page is not shown.
#[derive(Debug)]
pub(super) enum Problem {
    /// Nobody knows how devices reach the server.
    AddressUnknown,
    /// Every live stream is taken.
    Busy,
    /// Their role lacks this right.
    Forbidden(Right),
    /// The form was not made by one of our pages.
    Forged,
    /// It was here, and is not any more.
    Gone,
    /// Our fault or the host's.
    Internal(anyhow::Error),
    /// There is no such page or thing.
    NotFound,
    /// Nobody is signed in.
    SignInFirst {
        /// Where to go afterwards.
        next: String,
    },
    /// After too many attempts.
    TooMany(TooMany),
    /// A form that is too long, or lacks a field.
    Unreadable,
}

#[derive(Template)]
#[template(path = "errors/error.html")]
struct ErrorPage {
    shell: Shell,
    code: u16,
    title: &'static str,
    text: &'static str,
}

impl Problem {
    const fn words(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::AddressUnknown => (
                StatusCode::CONFLICT,
                "By which address do devices reach this server?",
                "It runs in a container and cannot know. Open this dashboard by the name or address of the machine it \
                 runs on, not as localhost, and add the device there. Or set WARREN_PUBLIC_ADDR in the file .env \
                 and start it again.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many pages are open",
                "The server keeps no more live pages than this. Close some, or reload this one now and then.",
            ),
            Self::Forbidden(right) => (StatusCode::FORBIDDEN, "Your account may not do that", needs(*right)),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "That form has expired",
                "It did not come from a current page of this dashboard, so nothing was changed. Go back, reload the \
                 page and send it again. If cookies are blocked for this site, allow them.",
            ),
            Self::Gone => (StatusCode::NOT_FOUND, "That is gone", "What this page showed does not exist any more."),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The server could not do that",
                "Nothing you did is wrong. Try again; the server's log says what happened.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is no such page",
                "The address may be mistyped, or what it named was removed.",
            ),
            Self::SignInFirst { .. } => (StatusCode::UNAUTHORIZED, "Sign in first", "Your session has ended."),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts",
                "This server limits how often one browser may try. Wait a minute and try again.",
            ),
            Self::Unreadable => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "That form could not be read",
                "A field is missing or far too long. Go back, reload the page and send it again.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Self::SignInFirst { next } = &self {
            return Redirect::to(&super::account::sign_in_path(next)).into_response();
        }
        if let Self::Internal(reason) = &self {
            error!(error.reason = format!("{reason:#}"), "a page failed");
        }
        let wait = if let Self::TooMany(refused) = &self { Some(refused.wait) } else { None };
        let (status, title, text) = self.words();
        let page = ErrorPage { shell: Shell::bare(assets::shared()), code: status.as_u16(), title, text };
        let html = page.render().unwrap_or_else(|_| title.to_owned());
        super::account::retry_after((status, Html(html)).into_response(), wait)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden(right) => Self::Forbidden(right),
            Refusal::Forged => Self::Forged,
            Refusal::NotFound => Self::NotFound,
            Refusal::SignInFirst { next } => Self::SignInFirst { next },
            Refusal::Unreadable => Self::Unreadable,
            Refusal::World(reason) => Self::Internal(reason),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        // what a person can put right has been answered on the page it was asked from
        if matches!(error, Error::AddressUnknown) {
            return Self::AddressUnknown;
        }
        if matches!(error, Error::AccountLinkInvalid | Error::AccountUnknown | Error::DeviceUnknown | Error::Unknown) {
            return Self::NotFound;
        }
        if matches!(error, Error::NotAllowed) {
            return Self::Forbidden(Right::ManageUsers);
        }
        if let Error::TooManyAttempts(refused) = error { Self::TooMany(refused) } else { Self::Internal(error.into()) }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::Internal(error.into())
    }
}

/// Which right is missing, and who can give it.
const fn needs(right: Right) -> &'static str {
    match right {
        Right::ManageDevices => {
            "It needs the right to manage devices that are not yours. An owner or administrator can give you the role of \
             an operator."
        }
        Right::ManageInvites => {
            "It needs the right to manage invites. An owner or administrator can give you the role of an operator."
        }
        Right::ManageServer => "It needs the right to manage this server, which only owners and administrators have.",
        Right::ManageUsers => "It needs the right to manage accounts, which only owners and administrators have.",
        Right::ReadActivity => {
            "It needs the right to see who did what. An owner or administrator can give you the role of a viewer."
        }
        Right::ReadMesh => {
            "It needs the right to see all devices. An owner or administrator can give you the role of a viewer."
        }
    }
}

/// Whatever the URL table does not know.
pub(super) async fn not_found() -> Problem {
    Problem::NotFound
}
