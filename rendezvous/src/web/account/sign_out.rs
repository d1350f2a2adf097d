//! `POST /sign-out`: ends this browser's session.

use axum::extract::State;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::problem::Problem;
use super::with_cookie;
use crate::actions;
use crate::auth::{Client, PersonForm, clear_cookie};

#[derive(Deserialize)]
pub(in crate::web) struct Nothing {}

/// `POST /sign-out`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<Response, Problem> {
    actions::sign_out(&web.app, &person.actor(), &person.name, person.session).await?;

    Ok(signed_out(&person.client))
}

/// To the sign-in page, without the cookie.
pub(in crate::web) fn signed_out(client: &Client) -> Response {
    with_cookie(clear_cookie(client.is_secure), Redirect::to("/sign-in"))
}
