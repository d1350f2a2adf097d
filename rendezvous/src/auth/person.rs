//! `Person`: somebody who is signed in, in a session that has not outlived its limits.

use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::Method;
use axum::http::request::Parts;
use sqlx::types::Uuid;

use super::client::Client;
use super::token::{FormSecret, Token};
use super::{Refusal, cookies};
use crate::app::App;
use crate::domain::{Actor, Role, Scope};
use crate::store::Session;

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Names the account.
    pub(crate) id: Uuid,
    /// What they may do.
    pub(crate) role: Role,
    /// Their name.
    pub(crate) name: String,
    /// Names the session in the store.
    pub(crate) session: [u8; 32],
    /// Guards the forms of this session.
    pub(crate) form_secret: FormSecret,
    /// Their browser.
    pub(crate) client: Client,
}

impl Person {
    /// Them, as the log names who does something.
    pub(crate) fn actor(&self) -> Actor {
        Actor::User { id: self.id, name: self.name.clone() }
    }

    /// The same person in the session that has just taken the place of this one.
    pub(crate) async fn continued(&self, app: &App, token: &Token) -> crate::store::Result<Option<Self>> {
        let session = app.store().session(&token.digest()).await?;
        Ok(session.map(|session| Self {
            session: session.token_hash,
            form_secret: FormSecret::new(session.csrf),
            ..self.clone()
        }))
    }

    /// Which devices they see.
    pub(crate) const fn scope(&self) -> Scope {
        Scope::of(self.role, self.id)
    }

    /// Whether the session has neither ended nor outlived its limits since the request; for what outlives a request.
    pub(crate) async fn is_still_signed_in(&self, app: &App) -> crate::store::Result<bool> {
        Self::is_session_alive(app, &self.session).await
    }

    /// As `is_still_signed_in`, for a session that only its hash names.
    pub(super) async fn is_session_alive(app: &App, session: &[u8; 32]) -> crate::store::Result<bool> {
        let session = app.store().session(session).await?;
        Ok(session.is_some_and(|session| is_alive(&session, app)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        found.ok_or_else(|| Refusal::SignInFirst { next: next(parts) })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Person
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Refusal> {
        let app = &App::from_ref(state);
        let Ok(client) = Client::from_request_parts(parts, state).await;
        let Some(token) = cookies::token(&parts.headers, cookies::SESSION, client.is_secure) else { return Ok(None) };
        let session = app.store().session(&token.digest()).await.map_err(|error| Refusal::World(error.into()))?;
        let Some(session) = session.filter(|session| is_alive(session, app)) else { return Ok(None) };
        touch(app, &session).await.map_err(|error| Refusal::World(error.into()))?;

        Ok(Some(Self {
            id: session.user_id,
            role: session.role,
            name: session.user_name,
            session: session.token_hash,
            form_secret: FormSecret::new(session.csrf),
            client,
        }))
    }
}

fn is_alive(session: &Session, app: &App) -> bool {
    let now = app.now();
    now < session.last_seen_at.plus(SESSION_IDLE) && now < session.created_at.plus(SESSION_ABSOLUTE)
}

/// Notes the use, seldom enough that reading pages does not become writing to the database.
async fn touch(app: &App, session: &Session) -> crate::store::Result<()> {
    let now = app.now();
    if now < session.last_seen_at.plus(TOUCH_EVERY) {
        return Ok(());
    }
    let mut tx = app.store().begin().await?;
    tx.touch_session(&session.token_hash, now).await?;
    tx.commit().await
}

/// Only a page that was being read is worth returning to.
fn next(parts: &Parts) -> String {
    match parts.uri.path_and_query() {
        Some(path) if parts.method == Method::GET && !path.path().ends_with("/live") => path.as_str().to_owned(),
        _ => "/".to_owned(),
    }
}

/// A browser left alone for this long is signed out.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(14 * 86_400);
/// A stolen cookie is worth nothing after this, however it is used.
pub(crate) const SESSION_ABSOLUTE: Duration = Duration::from_secs(90 * 86_400);
/// Fine enough against an idle limit of days.
const TOUCH_EVERY: Duration = Duration::from_secs(300);
