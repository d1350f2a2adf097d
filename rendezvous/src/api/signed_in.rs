//! Who asks: the session of somebody who may see the mesh, refused in JSON where pages would show a form.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;

use super::problem::Problem;
use crate::app::App;
use crate::auth::Person;
use crate::domain::Right;

/// Proof that somebody asks who may see every device; reading needs to know no more.
#[derive(Debug)]
pub(super) struct ReadsMesh;

impl FromRequestParts<App> for ReadsMesh {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let found = <Person as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await?;
        let person = found.ok_or(Problem::SignInFirst)?;
        if person.role.has(Right::ReadMesh) { Ok(Self) } else { Err(Problem::Forbidden) }
    }
}
