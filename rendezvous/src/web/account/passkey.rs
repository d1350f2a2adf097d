//! `/sign-in/passkey`: a passkey instead of name and password. The page's script asks for a challenge, has it signed, and
//! posts what came of it as a form like any other.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::super::Web;
use super::super::passkeys::passkeys;
use super::super::problem::Problem;
use super::{own_path, sign_in, with_cookie};
use crate::actions;
use crate::auth::{Assertion, Person, VisitorForm, session_cookie};

#[derive(Deserialize)]
pub(in crate::web) struct Nothing {}

/// What the authenticator answered, each part in base64url.
#[derive(Deserialize)]
pub(in crate::web) struct AssertionForm {
    id: String,
    user_handle: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    next: String,
}

/// `POST /sign-in/passkey/challenge`: 32 bytes in base64url, good once.
pub(in crate::web) async fn challenge(
    State(web): State<Web>,
    VisitorForm { visitor, form: Nothing {} }: VisitorForm<Nothing>,
) -> Result<Response, Problem> {
    let challenge = actions::begin_passkey_sign_in(&web.app, &visitor.client, visitor.digest()).await?;
    let jar = visitor.cookie().into_iter().fold(CookieJar::new(), CookieJar::add);
    Ok((jar, challenge.to_text()).into_response())
}

/// `POST /sign-in/passkey`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    before: Option<Person>,
    VisitorForm { visitor, form }: VisitorForm<AssertionForm>,
) -> Result<Response, Problem> {
    let site = passkeys(&web, &visitor.client).await?.site()?;
    let [id, user, client_data, authenticator_data, signature] =
        [&form.id, &form.user_handle, &form.client_data, &form.authenticator_data, &form.signature].map(decode);
    let assertion =
        Assertion { client_data: &client_data?, authenticator_data: &authenticator_data?, signature: &signature? };
    let replaces = before.map(|person| person.session);
    let (id, user) = (id?, user?);
    let (passkey, asked) = ((id.as_slice(), user.as_slice()), (&site, visitor.digest()));
    match actions::sign_in_with_passkey(&web.app, passkey, asked, &assertion, &visitor.client, replaces).await {
        Ok(session) => {
            let cookie = session_cookie(&session, visitor.client.is_secure);
            Ok(with_cookie(cookie, Redirect::to(own_path(&form.next))))
        }
        Err(error) => sign_in::refused(&web, &visitor, (String::new(), form.next), error).await,
    }
}

/// A part of what an authenticator said.
pub(in crate::web) fn decode(text: &String) -> Result<Vec<u8>, Problem> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Problem::Unreadable)
}
