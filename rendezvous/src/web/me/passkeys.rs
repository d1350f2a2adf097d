//! `/account/passkeys`: the page's script has the authenticator make a key, and posts what came of it as a form.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::super::Web;
use super::super::account::passkey::decode;
use super::super::passkeys::passkeys;
use super::super::problem::Problem;
use super::{Nothing, back, refused};
use crate::actions;
use crate::auth::{PersonForm, Registration};
use crate::error::Error;

/// What the browser says of the new key, each part in base64url.
#[derive(Deserialize)]
pub(in crate::web) struct RegistrationForm {
    #[serde(default)]
    password: String,
    name: String,
    id: String,
    client_data: String,
    authenticator_data: String,
    public_key: String,
    algorithm: i64,
}

/// `POST /account/passkeys/challenge`: 32 bytes in base64url, good once.
pub(in crate::web) async fn challenge(
    State(web): State<Web>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<String, Problem> {
    Ok(actions::begin_passkey(&web.app, &person).await?.to_text())
}

/// `POST /account/passkeys`
pub(in crate::web) async fn add(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<RegistrationForm>,
) -> Result<Response, Problem> {
    let site = passkeys(&web, &person.client).await?.site()?;
    let [id, client_data, authenticator_data, public_key] =
        [&form.id, &form.client_data, &form.authenticator_data, &form.public_key].map(decode);
    let registration = Registration {
        id: &id?,
        client_data: &client_data?,
        authenticator_data: &authenticator_data?,
        public_key: &public_key?,
        algorithm: form.algorithm,
    };
    let added: Result<(), Error> = async {
        actions::prove_password(&web.app, &web.passwords, &person, form.password).await?;
        actions::add_passkey(&web.app, &person, &site, &form.name, &registration).await
    }
    .await;
    match added {
        Ok(()) => Ok(back("passkey-added")),
        Err(error) => refused(&web, &person, "passkeys", error).await,
    }
}

/// `POST /account/passkeys/{id}/remove`
pub(in crate::web) async fn remove(
    State(web): State<Web>,
    Path(id): Path<String>,
    PersonForm { person, form: Nothing {} }: PersonForm<Nothing>,
) -> Result<Response, Problem> {
    match actions::remove_passkey(&web.app, &person.actor(), person.id, &decode(&id)?).await {
        Ok(()) => Ok(back("passkey-removed")),
        Err(error) => refused(&web, &person, "passkeys", error).await,
    }
}
