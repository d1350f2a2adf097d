//! What people do to their own account: name, password, sessions.

use sqlx::types::Uuid;

use super::attempts::{count_attempt, forgive};
use super::audit;
use super::manage_user::version;
use super::sign_in::insert_session;
use crate::app::App;
use crate::auth::{Passwords, Person, Token};
use crate::domain::{Actor, Expected, account_subject, parse_user_name};
use crate::error::Error;
use crate::store::{AdminUser, SessionView};

/// Renames a person's account at their own wish; they sign in with the new name from here on.
pub(crate) async fn rename_account(
    app: &App,
    actor: &Actor,
    id: Uuid,
    name: &str,
    expected: &Expected,
) -> Result<AdminUser, Error> {
    let name = parse_user_name(name).ok_or(Error::AdminNameInvalid)?;
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
    if !expected.holds(version(&user)) {
        return Err(Error::ChangedMeanwhile);
    }
    if name == user.name {
        return Ok(user);
    }
    if tx.admin_by_name(name).await?.is_some() {
        return Err(Error::AdminNameTaken);
    }
    tx.rename_admin(id, name).await?;
    audit(app, &mut tx, actor, "user.rename", name, format!("{} -> {name}", user.name)).await?;
    tx.commit().await?;
    Ok(AdminUser { name: name.to_owned(), ..user })
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

/// The browsers in which a person is signed in, the one used last first.
pub(crate) async fn list_sessions(app: &App, id: Uuid) -> Result<Vec<SessionView>, Error> {
    Ok(app.store().sessions_of(id).await?)
}

/// Ends one of a person's sessions, at their own wish; false when they have no such.
pub(crate) async fn end_session(app: &App, actor: &Actor, id: Uuid, session: &[u8; 32]) -> Result<bool, Error> {
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
    let ended = tx.delete_session_of(id, session).await?;
    if ended {
        audit(app, &mut tx, actor, "session.revoke", user.name, "one session").await?;
    }
    tx.commit().await?;
    Ok(ended)
}

/// Ends every session of a person but the one that they ask from.
pub(crate) async fn end_other_sessions(app: &App, actor: &Actor, id: Uuid, kept: &[u8; 32]) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
    tx.delete_other_sessions_of(id, kept).await?;
    audit(app, &mut tx, actor, "session.revoke", user.name, "all other sessions").await?;
    Ok(tx.commit().await?)
}
