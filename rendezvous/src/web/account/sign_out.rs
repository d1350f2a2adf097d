//! `POST /sign-out`: ends this browser's session.

use axum::extract::State;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::problem::Problem;
use super::with_cookie;
use crate::actions;
use crate::auth::{AdminForm, clear_cookie};

#[derive(Deserialize)]
pub(in crate::web) struct Nothing {}

/// `POST /sign-out`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    AdminForm { admin, form: Nothing {} }: AdminForm<Nothing>,
) -> Result<Response, Problem> {
    actions::sign_out(&web.app, &admin).await?;

    Ok(with_cookie(clear_cookie(admin.client.is_secure), Redirect::to("/sign-in")))
}
