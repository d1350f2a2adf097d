//! Lets somebody in who knows a name and its password, and begins a browser's session.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::attempts::{count_attempt, forgive};
use super::audit;
use super::ceremony::{self, Kind};
use crate::app::App;
use crate::auth::{Client, Passwords, SESSION_ABSOLUTE, SESSION_IDLE, Token};
use crate::domain::{Actor, account_subject};
use crate::error::Error;
use crate::store::{NewSession, Tx};

/// How far a password leads.
pub(crate) enum SignedIn {
    /// In, by this session.
    Session(Token),
    /// To the question for a code, which this token may answer.
    NeedsCode(Token),
}

/// Checks the password and begins a session in place of `replaces`, the one this browser had; with an authenticator app
/// the code comes first. An attempt counts before the password is looked at.
pub(crate) async fn sign_in(
    app: &App,
    passwords: &Passwords,
    (name, password): (&str, String),
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<SignedIn, Error> {
    count_attempt(app, client.address, name).await?;
    let user = app.store().admin_by_name(name).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone()).filter(|hash| !hash.is_empty());
    let is_right = passwords.verify(password, hash).await?;
    let user = user.filter(|_| is_right).ok_or(Error::CredentialsWrong)?;
    // said only to who knows the password
    if user.disabled_at.is_some() {
        return Err(Error::AccountDisabled);
    }
    forgive(app, account_subject(name)).await?;
    if user.totp_secret.is_some() {
        let token = ceremony::begin(app, Kind::SecondFactor, Some(user.id), String::new()).await?;
        return Ok(SignedIn::NeedsCode(token));
    }
    Ok(SignedIn::Session(begin_session(app, (user.id, &user.name), client, replaces).await?))
}

/// Begins a session for somebody who has just proved who they are. The token is always a new one, so that nobody can
/// plant one beforehand; sessions past their limits are swept out on the way.
pub(crate) async fn begin_session(
    app: &App,
    user: (Uuid, &str),
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<Token, Error> {
    let mut tx = app.store().begin().await?;
    let token = insert_session(app, &mut tx, user, client, replaces).await?;
    tx.commit().await?;
    Ok(token)
}

/// The same within a transaction.
pub(super) async fn insert_session(
    app: &App,
    tx: &mut Tx,
    (user_id, name): (Uuid, &str),
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<Token, Error> {
    let now = app.now();
    let token = Token::new(app.random());
    let session = NewSession {
        token_hash: token.digest(),
        user_id,
        csrf: app.random(),
        address: client.address.to_string(),
        user_agent: client.agent.clone(),
    };
    if let Some(old) = replaces {
        tx.delete_session(&old).await?;
    }
    tx.delete_old_sessions(before(now, SESSION_IDLE), before(now, SESSION_ABSOLUTE)).await?;
    tx.trim_sessions_of(user_id, MAX_SESSIONS - 1).await?;
    tx.insert_session(&session, now).await?;
    tx.note_sign_in(user_id, now).await?;
    audit(app, tx, &Actor::User { id: user_id, name: name.to_owned() }, "session.begin", name, client.address).await?;
    Ok(token)
}

fn before(now: UnixTime, by: std::time::Duration) -> UnixTime {
    UnixTime::new(now.since_epoch().saturating_sub(by))
}

/// More browsers than a person has; the one used longest ago goes.
const MAX_SESSIONS: u32 = 50;
