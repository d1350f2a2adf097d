//! Lets somebody in who knows a name and its password, and begins a browser's session.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::audit;
use crate::app::App;
use crate::auth::{Client, Gate, SESSION_ABSOLUTE, SESSION_IDLE, Token, TooMany};
use crate::domain::Actor;
use crate::error::Error;
use crate::store::NewSession;

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// After too many attempts.
    #[error("too many attempts")]
    Throttled(TooMany),
    /// No such name, or another password; which of the two is not said.
    #[error("wrong name or password")]
    Wrong,
    /// The database or the host failed.
    #[error(transparent)]
    World(#[from] Error),
}

/// Checks the password and begins a session in place of `replaces`, the one this browser had. An attempt counts
/// against the client and the name before the password is looked at.
pub(crate) async fn sign_in(
    app: &App,
    gate: &Gate,
    (name, password): (&str, String),
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<Token, SignInError> {
    gate.throttle.attempt(client.address, name, app.now()).map_err(SignInError::Throttled)?;
    let user = app.store().admin_by_name(name).await.map_err(Error::from)?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = gate.passwords.verify(password, hash).await.map_err(Error::from)?;
    let Some(user) = user.filter(|_| is_right) else {
        gate.throttle.note_failure(name, app.now());
        return Err(SignInError::Wrong);
    };
    gate.throttle.note_success(name);

    Ok(begin_session(app, (user.id, &user.name), client, replaces).await?)
}

/// Begins a session for somebody who has just proved who they are. The token is always a new one, so that nobody can
/// plant one beforehand; sessions past their limits are swept out on the way.
pub(crate) async fn begin_session(
    app: &App,
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
    let mut tx = app.store().begin().await?;
    if let Some(old) = replaces {
        tx.delete_session(&old).await?;
    }
    tx.delete_old_sessions(before(now, SESSION_IDLE), before(now, SESSION_ABSOLUTE)).await?;
    tx.insert_session(&session, now).await?;
    tx.note_sign_in(user_id, now).await?;
    audit(app, &mut tx, &Actor::User { id: user_id, name: name.to_owned() }, "session.begin", name, client.address)
        .await?;
    tx.commit().await?;
    Ok(token)
}

fn before(now: UnixTime, by: std::time::Duration) -> UnixTime {
    UnixTime::new(now.since_epoch().saturating_sub(by))
}
