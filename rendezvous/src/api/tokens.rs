//! `/tokens`: what programs sign in with.
//!
//! Only a person in a browser makes and lists tokens: with a stolen one nobody makes another. A token may end itself.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use utoipa::ToSchema;

use super::caller::{InPerson, SignedIn};
use super::input::{Id, Json, Path};
use super::output::{List, Moment};
use super::problem::{Code, Problem};
use crate::actions::{self, TokenRequest};
use crate::app::App;
use crate::auth::{By, Identity};
use crate::domain::Right;
use crate::store::ApiToken;

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Token {
    id: String,
    name: String,
    /// The rights it was given; it has those that its owner's role has too.
    #[schema(example = json!(["read-mesh"]))]
    scopes: Vec<String>,
    created_at: Moment,
    expires_at: Moment,
    /// To the minute.
    last_used_at: Option<Moment>,
    last_used_from: Option<String>,
}

/// A new token.
#[derive(Serialize, ToSchema)]
pub(super) struct NewToken {
    #[serde(flatten)]
    token: Token,
    /// What to send as `Authorization: Bearer`; shown this once.
    #[schema(example = "warren_pat_uwsktjnfuwsktjnfuwsktjnfuwsktjnfuwsktjnfuwsktjnfuwsq...")]
    secret: String,
}

/// A token that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenWish {
    /// What you will know it by; unique among your tokens.
    #[schema(example = "backup script", min_length = 1, max_length = 100)]
    name: String,
    /// Any of manage-devices, manage-invites, manage-server, manage-users, read-activity, read-mesh.
    #[schema(example = json!(["read-mesh"]))]
    scopes: Vec<String>,
    /// How long it works; 90 days unless you say otherwise, 366 at most.
    #[schema(example = 7_776_000, minimum = 60, maximum = 31_622_400)]
    expires_after_s: Option<u64>,
}

/// Your tokens that work, newest first
#[utoipa::path(get, path = "/tokens", tag = "Tokens", responses((status = 200, body = List<Token>)),
    security(("session" = [])), extensions(("x-problems" = json!(["session-needed"]))))]
pub(super) async fn list(
    State(app): State<App>,
    InPerson(person): InPerson,
) -> Result<axum::Json<List<Token>>, Problem> {
    let tokens = actions::list_api_tokens(&app, person.user_id).await?;
    Ok(axum::Json(List::whole(tokens.into_iter().map(Token::from).collect())))
}

/// Make a token
///
/// Its scopes are a part of all rights, not of your own: whatever your role lacks at the moment of a call, the token lacks
/// too.
#[utoipa::path(post, path = "/tokens", tag = "Tokens", request_body = TokenWish,
    responses((status = 201, body = NewToken)), security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed", "name-taken", "value-invalid", "limit-reached"]))))]
pub(super) async fn create(
    State(app): State<App>,
    InPerson(person): InPerson,
    Json(wish): Json<TokenWish>,
) -> Result<(StatusCode, axum::Json<NewToken>), Problem> {
    let right = |word: &String| {
        let unknown = || Problem::with_detail(Code::ValueInvalid, format!("there is no right {word:?}"));
        Right::parse(word).ok_or_else(unknown)
    };
    let scopes = wish.scopes.iter().map(right).collect::<Result<_, _>>()?;
    let expires_after = wish.expires_after_s.map_or(NINETY_DAYS, Duration::from_secs);
    let request = TokenRequest { name: wish.name, scopes, expires_after };
    let (token, secret) = actions::create_api_token(&app, &person.actor(), person.user_id, request).await?;
    Ok((StatusCode::CREATED, axum::Json(NewToken { token: token.into(), secret: secret.to_text() })))
}

/// End a token
///
/// A person ends any token of their own; a token ends itself and no other.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "Tokens", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It works no more.")), security(("token" = []), ("session" = [])),
    extensions(("x-problems" = json!(["session-needed", "not-found"]))))]
pub(super) async fn revoke(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Path(Id(id)): Path<Id>,
) -> Result<StatusCode, Problem> {
    check_reach(&caller, id)?;
    actions::revoke_api_token(&app, &caller.actor(), caller.user_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_reach(caller: &Arc<Identity>, wanted: Uuid) -> Result<(), Problem> {
    match &caller.by {
        By::Token { id, .. } if *id != wanted => Err(Code::SessionNeeded.into()),
        By::Session(_) | By::Token { .. } => Ok(()),
    }
}

impl From<ApiToken> for Token {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            scopes: token.scopes,
            created_at: token.created_at.into(),
            expires_at: token.expires_at.into(),
            last_used_at: token.last_used_at.map(Into::into),
            last_used_from: token.last_used_from,
        }
    }
}

/// A season: long enough not to be a nuisance.
const NINETY_DAYS: Duration = Duration::from_secs(90 * 24 * 3600);
