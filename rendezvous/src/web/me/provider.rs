//! `POST /account/provider/unlink`

use axum::extract::State;
use axum::response::Response;

use super::super::Web;
use super::super::problem::Problem;
use super::{Nothing, back, refused};
use crate::actions;
use crate::auth::PersonForm;

/// Takes the link to the OpenID provider away.
pub(in crate::web) async fn unlink(
    State(web): State<Web>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<Response, Problem> {
    match actions::unlink_oidc(&web.app, &person.actor(), person.id).await {
        Ok(()) => Ok(back("unlinked")),
        Err(error) => refused(&web, &person, "provider", error).await,
    }
}
