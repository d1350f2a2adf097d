//! `POST /account/sessions/{id}/end` and `POST /account/sessions/end-others`

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::HEXLOWER;

use super::super::Web;
use super::super::account::sign_out::signed_out;
use super::super::problem::Problem;
use super::{Nothing, back};
use crate::actions;
use crate::auth::PersonForm;

/// Ends one session of the person's own.
pub(in crate::web) async fn end(
    State(web): State<Web>,
    Path(id): Path<String>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<Response, Problem> {
    let session: [u8; 32] =
        HEXLOWER.decode(id.as_bytes()).ok().and_then(|id| id.try_into().ok()).ok_or(Problem::NotFound)?;
    actions::end_session(&web.app, &person.actor(), person.id, &session).await?;
    if session == person.session {
        return Ok(signed_out(&person.client).into_response());
    }
    Ok(back("ended"))
}

/// Ends every session of the person's own but this one.
pub(in crate::web) async fn end_others(
    State(web): State<Web>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<Redirect, Problem> {
    actions::end_other_sessions(&web.app, &person.actor(), person.id, &person.session).await?;
    Ok(Redirect::to("/account?done=ended"))
}
