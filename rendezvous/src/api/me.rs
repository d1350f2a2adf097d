//! `/me`: who the caller is, and what it may do.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::SignedIn;
use crate::auth::By;
use crate::domain::Right;

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

/// Who the caller is
#[utoipa::path(get, path = "/me", tag = "Account", responses((status = 200, body = Me)),
    security(("token" = []), ("session" = [])))]
pub(super) async fn show(SignedIn(caller): SignedIn) -> Json<Me> {
    let rights = Right::ALL.into_iter().filter(|right| caller.may(*right)).map(Right::name).collect();
    let token_id = match &caller.by {
        By::Session(_) => None,
        By::Token { id, .. } => Some(id.to_string()),
    };
    Json(Me { id: caller.user_id.to_string(), name: caller.name.clone(), role: caller.role.name(), rights, token_id })
}
