//! What goes wrong, as `application/problem+json` (RFC 9457) with a stable code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use crate::auth::Refusal;
use crate::error::Error;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Problem {
    /// No active device has that id or name, or both are the same.
    DeviceUnknown,
    /// Their role lacks a right.
    Forbidden,
    /// Our fault or the host's.
    Internal(anyhow::Error),
    /// There is such a route, but not for this method.
    MethodNotAllowed,
    /// There is no such route.
    NotFound,
    /// Nobody is signed in.
    SignInFirst,
}

#[derive(Serialize)]
struct Body {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
}

impl Problem {
    const fn words(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::DeviceUnknown => (StatusCode::NOT_FOUND, "device-unknown", "No active device has that id or name."),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Your account may not do that."),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server could not do that."),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "That cannot be done here.")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such route."),
            Self::SignInFirst => (StatusCode::UNAUTHORIZED, "sign-in-first", "Sign in first."),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Self::Internal(reason) = &self {
            error!(error.reason = format!("{reason:#}"), "a request to the API failed");
        }
        let (status, code, title) = self.words();
        let body = Body { r#type: "about:blank", title, status: status.as_u16(), code };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden(_) => Self::Forbidden,
            Refusal::NotFound => Self::NotFound,
            Refusal::World(reason) => Self::Internal(reason),
            Refusal::Forged | Refusal::SignInFirst { .. } | Refusal::Unreadable => Self::SignInFirst,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if matches!(error, Error::DeviceUnknown) { Self::DeviceUnknown } else { Self::Internal(error.into()) }
    }
}

/// Whatever the URL table does not know.
pub(super) async fn not_found() -> Problem {
    Problem::NotFound
}

/// A known route asked in a way it does not know.
pub(super) async fn not_allowed() -> Problem {
    Problem::MethodNotAllowed
}
