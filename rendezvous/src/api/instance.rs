//! `/instance`: what anybody may know of this server.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::app::App;

/// A server, to strangers.
#[derive(Serialize, ToSchema)]
pub(super) struct Instance {
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The version of this API.
    #[schema(example = "v1")]
    api: &'static str,
    /// Whether nobody has an account yet.
    setup_required: bool,
}

/// What anybody may know of this server
#[utoipa::path(get, path = "/instance", tag = "Server", responses((status = 200, body = Instance)), security(()))]
pub(super) async fn show(State(app): State<App>) -> Result<Json<Instance>, Problem> {
    let setup_required = app.store().admin_count().await? == 0;
    Ok(Json(Instance { version: env!("CARGO_PKG_VERSION"), api: "v1", setup_required }))
}
