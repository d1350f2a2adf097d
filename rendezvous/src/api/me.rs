//! `/me`: who the caller is, what it may do, and what it is called.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{InPerson, SignedIn};
use super::input::{IfMatch, Json, etag};
use super::problem::{Code, Problem};
use crate::actions;
use crate::app::App;
use crate::auth::{By, Identity};
use crate::domain::Right;
use crate::store::AdminUser;

/// A caller.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    id: String,
    name: String,
    #[schema(example = "owner")]
    role: &'static str,
    /// What this credential permits at this moment: the token's scopes as far as the role has them.
    #[schema(example = json!(["read-mesh"]))]
    rights: Vec<&'static str>,
    /// The token that was used; absent for a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_id: Option<String>,
}

/// What is to be different.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MeWish {
    /// What you sign in with: letters, digits and any of - . _ @ +.
    #[schema(example = "ada", min_length = 1, max_length = 128)]
    name: String,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// Who the caller is
#[utoipa::path(get, path = "/me", tag = "Account",
    responses((status = 200, body = Me, headers(("etag" = String, description = "Your account's version")))),
    security(("token" = []), ("session" = [])))]
pub(super) async fn show(State(app): State<App>, SignedIn(caller): SignedIn) -> Result<Tagged<Me>, Problem> {
    // who is gone since the credential was looked at is nobody
    let user = app.store().admin_by_id(caller.user_id).await?.ok_or(Code::SignInFirst)?;
    Ok(described(&caller, &user))
}

/// Rename your account
#[utoipa::path(patch, path = "/me", tag = "Account",
    params(("if-match" = String, Header, description = "The ETag of what you have read, or *")), request_body = MeWish,
    responses((status = 200, body = Me, headers(("etag" = String, description = "Your account's version")))),
    security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed", "name-invalid", "name-taken", "precondition-failed",
        "precondition-required", "not-found"]))))]
pub(super) async fn rename(
    State(app): State<App>,
    InPerson(person): InPerson,
    if_match: IfMatch,
    Json(wish): Json<MeWish>,
) -> Result<Tagged<Me>, Problem> {
    let expected = if_match.required()?;
    let user = actions::rename_account(&app, &person.actor(), person.user_id, &wish.name, &expected).await?;
    Ok(described(&person, &user))
}

fn described(caller: &Identity, user: &AdminUser) -> Tagged<Me> {
    let rights = Right::ALL.into_iter().filter(|right| caller.may(*right)).map(Right::name).collect();
    let token_id = match &caller.by {
        By::Session(_) => None,
        By::Token { id, .. } => Some(id.to_string()),
    };
    let me = Me { id: user.id.to_string(), name: user.name.clone(), role: user.role.name(), rights, token_id };
    (etag(actions::user_version(user)), axum::Json(me))
}
