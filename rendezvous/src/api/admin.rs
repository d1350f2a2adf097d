//! Who asks: the session of a signed-in administrator, refused in JSON where pages would show a form.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;

use super::problem::Problem;
use crate::app::App;
use crate::auth::Admin;

/// Proof that an administrator asks; reading needs to know no more.
#[derive(Debug)]
pub(super) struct SignedIn;

impl FromRequestParts<App> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let found = <Admin as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await;
        found?.map(|_| Self).ok_or(Problem::SignInFirst)
    }
}
