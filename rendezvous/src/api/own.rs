//! `/me/...`: what people do to what signs them in: the browsers they are signed in with, their passkeys, their provider.
//!
//! For a person in a browser only. Passwords, authenticator apps and new passkeys are proved on the page `/account`.

use axum::extract::State;
use axum::http::StatusCode;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::InPerson;
use super::input::Path;
use super::output::{List, Moment};
use super::problem::{Code, Problem};
use crate::actions;
use crate::app::App;

/// A browser in which you are signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionBody {
    /// Names the session, and signs nobody in.
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    /// Where the browser was when it began.
    #[schema(example = "192.0.2.7")]
    address: String,
    /// What the browser calls itself.
    user_agent: String,
    created_at: Moment,
    last_used_at: Moment,
}

/// A passkey, without its key.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
pub(super) struct PasskeyBody {
    /// As the authenticator made it, in base64url.
    id: String,
    #[schema(example = "blue key")]
    name: String,
    created_at: Moment,
    last_used_at: Option<Moment>,
}

/// The session that a path names.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct SessionId([u8; 32]);

impl TryFrom<String> for SessionId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a session is named by 64 hexadecimal digits")
    }
}

/// The browsers in which you are signed in, the one used last first
#[utoipa::path(get, path = "/me/sessions", tag = "Account", responses((status = 200, body = List<SessionBody>)),
    security(("session" = [])), extensions(("x-problems" = json!(["session-needed"]))))]
pub(super) async fn sessions(
    State(app): State<App>,
    InPerson(person): InPerson,
) -> Result<axum::Json<List<SessionBody>>, Problem> {
    let body = |session: crate::store::SessionView| SessionBody {
        id: HEXLOWER.encode(&session.token_hash),
        current: person.session() == Some(session.token_hash),
        address: session.address,
        user_agent: session.user_agent,
        created_at: session.created_at.into(),
        last_used_at: session.last_seen_at.into(),
    };
    let sessions = actions::list_sessions(&app, person.user_id).await?;
    Ok(axum::Json(List::whole(sessions.into_iter().map(body).collect())))
}

/// Sign out in every other browser
#[utoipa::path(delete, path = "/me/sessions", tag = "Account",
    responses((status = 204, description = "This session is the only one.")), security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed"]))))]
pub(super) async fn end_other_sessions(
    State(app): State<App>,
    InPerson(person): InPerson,
) -> Result<StatusCode, Problem> {
    let session = person.session().ok_or(Code::SessionNeeded)?;
    actions::end_other_sessions(&app, &person.actor(), person.user_id, &session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out in one browser
#[utoipa::path(delete, path = "/me/sessions/{id}", tag = "Account",
    params(("id" = String, Path, description = "From the list", pattern = "^[0-9a-f]{64}$")),
    responses((status = 204, description = "That browser has to sign in again.")), security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed", "not-found"]))))]
pub(super) async fn end_session(
    State(app): State<App>,
    InPerson(person): InPerson,
    Path(SessionId(session)): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    if actions::end_session(&app, &person.actor(), person.user_id, &session).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Code::NotFound.into())
    }
}

/// Your passkeys, oldest first
#[utoipa::path(get, path = "/me/passkeys", tag = "Account", responses((status = 200, body = List<PasskeyBody>)),
    security(("session" = [])), extensions(("x-problems" = json!(["session-needed"]))))]
pub(super) async fn passkeys(
    State(app): State<App>,
    InPerson(person): InPerson,
) -> Result<axum::Json<List<PasskeyBody>>, Problem> {
    let body = |passkey: crate::store::Passkey| PasskeyBody {
        id: BASE64URL_NOPAD.encode(&passkey.id),
        name: passkey.name,
        created_at: passkey.created_at.into(),
        last_used_at: passkey.last_used_at.map(Into::into),
    };
    let passkeys = app.store().passkeys_of(person.user_id).await?;
    Ok(axum::Json(List::whole(passkeys.into_iter().map(body).collect())))
}

/// Remove a passkey
///
/// Delete it from the device or password manager as well.
#[utoipa::path(delete, path = "/me/passkeys/{id}", tag = "Account",
    params(("id" = String, Path, description = "From the list", pattern = "^[A-Za-z0-9_-]+$")),
    responses((status = 204, description = "It signs nobody in any more.")), security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed", "not-found", "only-way-in"]))))]
pub(super) async fn remove_passkey(
    State(app): State<App>,
    InPerson(person): InPerson,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = BASE64URL_NOPAD.decode(id.as_bytes()).map_err(|_| Code::NotFound)?;
    actions::remove_passkey(&app, &person.actor(), person.user_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign in at the OpenID provider no more
#[utoipa::path(delete, path = "/me/provider", tag = "Account",
    responses((status = 204, description = "Whoever you are there is nobody here.")), security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed", "not-found", "only-way-in"]))))]
pub(super) async fn unlink_provider(State(app): State<App>, InPerson(person): InPerson) -> Result<StatusCode, Problem> {
    actions::unlink_oidc(&app, &person.actor(), person.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
