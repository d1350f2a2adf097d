//! `POST /account/password`

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::super::Web;
use super::super::problem::Problem;
use super::{back, refused};
use crate::actions;
use crate::auth::{NewPassword, PersonForm, Token, session_cookie};
use crate::error::Error;

#[derive(Deserialize)]
pub(in crate::web) struct PasswordForm {
    #[serde(default)]
    password: String,
    new_password: String,
}

/// Changes the password for somebody who knows the present one; this browser stays signed in under another token.
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<PasswordForm>,
) -> Result<Response, Problem> {
    let changed: Result<Token, Error> = async {
        let new =
            NewPassword::parse(&form.new_password, &person.name).map_err(|weak| Error::PasswordRefused(weak.text()))?;
        actions::prove_password(&web.app, &web.passwords, &person, form.password).await?;
        let hash = web.passwords.hash(new, web.app.random()).await?;
        actions::change_password(&web.app, &person, &hash).await
    }
    .await;
    match changed {
        Ok(session) => {
            let cookie = session_cookie(&session, person.client.is_secure);
            Ok((CookieJar::new().add(cookie), back("password-changed")).into_response())
        }
        Err(error) => refused(&web, &person, "password", error).await,
    }
}
