//! Passkeys: added to an account, removed from it, and signing somebody in by themselves.

use sqlx::types::Uuid;
use tracing::debug;

use super::attempts::{count_begin, count_client};
use super::audit;
use super::ceremony::{self, Kind};
use super::sign_in::insert_session;
use crate::app::App;
use crate::auth::{Assertion, Client, Person, Registration, RelyingParty, Token, challenge_in};
use crate::domain::Actor;
use crate::error::Error;
use crate::store::Passkey;

/// A challenge for a passkey to be made for this person.
pub(crate) async fn begin_passkey(app: &App, person: &Person) -> Result<Token, Error> {
    count_begin(app, person.client.address).await?;
    ceremony::begin(app, Kind::PasskeyCreation, Some(person.id), String::new()).await
}

/// A challenge for anybody's passkey; the answer is taken from the browser that asked, by `asked_by`.
pub(crate) async fn begin_passkey_sign_in(app: &App, client: &Client, asked_by: [u8; 32]) -> Result<Token, Error> {
    count_begin(app, client.address).await?;
    ceremony::begin(app, Kind::PasskeySignIn, None, data_encoding::HEXLOWER.encode(&asked_by)).await
}

/// Adds a passkey to the person's account.
pub(crate) async fn add_passkey(
    app: &App,
    person: &Person,
    site: &RelyingParty,
    name: &str,
    registration: &Registration<'_>,
) -> Result<(), Error> {
    let name = passkey_name(name)?;
    let challenge = challenge_in(registration.client_data).ok_or(Error::PasskeyRefused)?;
    let mut tx = app.store().begin().await?;
    let hash = Token::new(challenge).digest();
    let begun = tx.take_ceremony(&hash, Kind::PasskeyCreation.name(), app.now()).await?.ok_or(Error::CeremonyOver)?;
    if begun.user_id != Some(person.id) {
        return Err(Error::CeremonyOver);
    }
    let sign_count = registration.check(site, &challenge).map_err(|wrong| {
        debug!(reason = %wrong, "a new passkey was refused");
        Error::PasskeyRefused
    })?;
    if tx.passkey(registration.id).await?.is_some() || tx.passkeys_of(person.id).await?.len() >= MAX_PASSKEYS {
        return Err(Error::PasskeyRefused);
    }
    let passkey = Passkey {
        id: registration.id.to_vec(),
        user_id: person.id,
        name: name.to_owned(),
        public_key: registration.public_key.to_vec(),
        algorithm: registration.algorithm,
        sign_count,
        created_at: app.now(),
        last_used_at: None,
    };
    tx.insert_passkey(&passkey).await?;
    audit(app, &mut tx, &person.actor(), "user.add-passkey", &person.name, name).await?;
    Ok(tx.commit().await?)
}

/// Removes a passkey of a person at their own wish, unless they could not sign in without it.
pub(crate) async fn remove_passkey(app: &App, actor: &Actor, owner: Uuid, id: &[u8]) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    let removed = tx.passkey(id).await?.filter(|passkey| passkey.user_id == owner).ok_or(Error::PasskeyUnknown)?;
    let user = tx.admin_by_id(owner).await?.ok_or(Error::AccountUnknown)?;
    let is_last = user.password_hash.is_empty() && tx.passkeys_of(owner).await?.len() == 1;
    if is_last && tx.oidc_issuers_of(owner).await?.is_empty() {
        return Err(Error::OnlyWayIn);
    }
    tx.delete_passkey(id, owner).await?;
    audit(app, &mut tx, actor, "user.remove-passkey", user.name, removed.name).await?;
    Ok(tx.commit().await?)
}

/// Signs in whoever's passkey signed the challenge; it counts for password and code together, for the authenticator has
/// asked for a finger, a face or a PIN.
pub(crate) async fn sign_in_with_passkey(
    app: &App,
    (id, user_handle): (&[u8], &[u8]),
    (site, asked_by): (&RelyingParty, [u8; 32]),
    assertion: &Assertion<'_>,
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<Token, Error> {
    count_client(app, client.address).await?;
    let challenge = challenge_in(assertion.client_data).ok_or(Error::PasskeyRefused)?;
    let now = app.now();
    let mut tx = app.store().begin().await?;
    let hash = Token::new(challenge).digest();
    let begun = tx.take_ceremony(&hash, Kind::PasskeySignIn.name(), now).await?.ok_or(Error::CeremonyOver)?;
    if begun.state != data_encoding::HEXLOWER.encode(&asked_by) {
        return Err(Error::CeremonyOver);
    }
    let passkey = tx.passkey(id).await?.ok_or(Error::PasskeyUnknown)?;
    if Uuid::from_slice(user_handle).ok() != Some(passkey.user_id) {
        return Err(Error::PasskeyRefused);
    }
    let key = (passkey.public_key.as_slice(), passkey.algorithm);
    let counted = assertion.check(site, &challenge, key, passkey.sign_count).map_err(|wrong| {
        debug!(reason = %wrong, "a passkey was refused");
        Error::PasskeyRefused
    })?;
    let user = tx.admin_by_id(passkey.user_id).await?.ok_or(Error::PasskeyUnknown)?;
    if user.disabled_at.is_some() {
        return Err(Error::AccountDisabled);
    }
    tx.note_passkey_use(id, counted, now).await?;
    let session = insert_session(app, &mut tx, (user.id, &user.name), client, replaces).await?;
    tx.commit().await?;
    Ok(session)
}

fn passkey_name(name: &str) -> Result<&str, Error> {
    let name = name.trim();
    let good = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    good.then_some(name).ok_or(Error::PasskeyNameInvalid)
}

/// More devices than a person unlocks.
const MAX_PASSKEYS: usize = 20;
const MAX_NAME: usize = 60;
