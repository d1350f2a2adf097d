//! What people do to their own account: name, password, sessions.

use super::attempts::{count_attempt, forgive};
use super::audit;
use super::sign_in::insert_session;
use crate::app::App;
use crate::auth::{Passwords, Person, Token};
use crate::domain::{account_subject, parse_user_name};
use crate::error::Error;
use crate::store::SessionView;

/// Renames the person's account; they sign in with the new name from here on.
pub(crate) async fn rename_account(app: &App, person: &Person, name: &str) -> Result<(), Error> {
    let name = parse_user_name(name).ok_or(Error::AdminNameInvalid)?;
    if name == person.name {
        return Ok(());
    }
    let mut tx = app.store().begin().await?;
    if tx.admin_by_name(name).await?.is_some() {
        return Err(Error::AdminNameTaken);
    }
    tx.rename_admin(person.id, name).await?;
    audit(app, &mut tx, &person.actor(), "user.rename", name, format!("{} -> {name}", person.name)).await?;
    Ok(tx.commit().await?)
}

/// Whether this is the person's password; a person without one (who signs in by other means) need not prove it.
/// Attempts are counted as at the sign-in.
pub(crate) async fn prove_password(
    app: &App,
    passwords: &Passwords,
    person: &Person,
    password: String,
) -> Result<(), Error> {
    let user = app.store().admin_by_id(person.id).await?.ok_or(Error::AccountUnknown)?;
    if user.password_hash.is_empty() {
        return Ok(());
    }
    count_attempt(app, person.client.address, &user.name).await?;
    if !passwords.verify(password, Some(user.password_hash)).await? {
        return Err(Error::CredentialsWrong);
    }
    forgive(app, account_subject(&user.name)).await
}

/// Sets the person's password; that the old one is known has been proved. Every other session ends, and this one goes on
/// under another token.
pub(crate) async fn change_password(app: &App, person: &Person, password_hash: &str) -> Result<Token, Error> {
    let mut tx = app.store().begin().await?;
    tx.set_admin_password(person.id, password_hash).await?;
    tx.delete_sessions_of(person.id).await?;
    tx.delete_reset_links(person.id).await?;
    audit(app, &mut tx, &person.actor(), "user.change-password", &person.name, "").await?;
    let session = insert_session(app, &mut tx, (person.id, &person.name), &person.client, None).await?;
    tx.commit().await?;
    Ok(session)
}

/// The browsers in which the person is signed in, the one used last first.
pub(crate) async fn list_sessions(app: &App, person: &Person) -> Result<Vec<SessionView>, Error> {
    Ok(app.store().sessions_of(person.id).await?)
}

/// Ends one of the person's sessions.
pub(crate) async fn end_session(app: &App, person: &Person, session: &[u8; 32]) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    if tx.delete_session_of(person.id, session).await? {
        audit(app, &mut tx, &person.actor(), "session.revoke", &person.name, "one session").await?;
    }
    Ok(tx.commit().await?)
}

/// Ends every session of the person but this one.
pub(crate) async fn end_other_sessions(app: &App, person: &Person) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    tx.delete_other_sessions_of(person.id, &person.session).await?;
    audit(app, &mut tx, &person.actor(), "session.revoke", &person.name, "all other sessions").await?;
    Ok(tx.commit().await?)
}
