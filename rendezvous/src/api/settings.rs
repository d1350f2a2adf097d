//! `/settings`: what can be changed while the server runs. What it was started with is in `/system`.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{IfMatch, Json, etag};
use super::problem::Problem;
use crate::actions;
use crate::app::App;
use crate::auth::ManageServer;

/// What can be changed while the server runs.
#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
pub(super) struct SettingsBody {
    /// What people call the mesh.
    #[schema(example = "Home")]
    network_name: String,
}

/// What is to be different; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsWish {
    #[schema(example = "Home", min_length = 1, max_length = 100)]
    network_name: Option<String>,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// What can be changed while the server runs
#[utoipa::path(get, path = "/settings", tag = "Server",
    responses((status = 200, body = SettingsBody, headers(("etag" = String, description = "Their version")))),
    security(("token" = ["manage-server"]), ("session" = [])))]
pub(super) async fn show(State(app): State<App>, _: Caller<ManageServer>) -> Result<Tagged<SettingsBody>, Problem> {
    Ok(described(actions::network_name(&app).await?))
}

/// Change settings
#[utoipa::path(patch, path = "/settings", tag = "Server",
    params(("if-match" = String, Header, description = "The ETag of what you have read, or *")),
    request_body = SettingsWish,
    responses((status = 200, body = SettingsBody, headers(("etag" = String, description = "Their version")))),
    security(("token" = ["manage-server"]), ("session" = [])),
    extensions(("x-problems" = json!(["name-invalid", "precondition-failed", "precondition-required"]))))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller<ManageServer>,
    if_match: IfMatch,
    Json(wish): Json<SettingsWish>,
) -> Result<Tagged<SettingsBody>, Problem> {
    let (actor, expected) = (caller.identity.actor(), if_match.required()?);
    if let Some(name) = &wish.network_name {
        actions::rename_network(&app, &actor, name, &expected).await?;
    }
    Ok(described(actions::network_name(&app).await?))
}

fn described(network_name: String) -> Tagged<SettingsBody> {
    let tag = etag(actions::network_version(&network_name));
    (tag, axum::Json(SettingsBody { network_name }))
}
