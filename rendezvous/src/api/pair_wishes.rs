//! `/pairs/{a}/{b}/ping` and `/retry-direct`: what both ends of a pair can be asked to do.

use axum::extract::State;
use axum::http::StatusCode;

use super::caller::OnPair;
use super::problem::Problem;
use crate::actions;
use crate::app::App;
use crate::auth::ManageDevices;

/// Have both ends ping each other a few times
///
/// What comes of it shows with the pair, round by round.
#[utoipa::path(post, path = "/pairs/{a}/{b}/ping", tag = "Pairs",
    params(("a" = String, Path, description = "Id or name", example = "laptop"),
        ("b" = String, Path, description = "Id or name", example = "desktop")),
    responses((status = 202, description = "They were asked.")),
    security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown", "pair-unready"]))))]
pub(super) async fn ping(
    State(app): State<App>,
    OnPair { identity: caller, devices, .. }: OnPair<ManageDevices>,
) -> Result<StatusCode, Problem> {
    actions::ping_pair(&app, &caller.actor(), devices.map(|device| device.id)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Have both ends look for a direct path now
#[utoipa::path(post, path = "/pairs/{a}/{b}/retry-direct", tag = "Pairs",
    params(("a" = String, Path, description = "Id or name", example = "laptop"),
        ("b" = String, Path, description = "Id or name", example = "desktop")),
    responses((status = 202, description = "They were asked.")),
    security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown", "pair-unready"]))))]
pub(super) async fn retry(
    State(app): State<App>,
    OnPair { identity: caller, devices, .. }: OnPair<ManageDevices>,
) -> Result<StatusCode, Problem> {
    actions::retry_pair(&app, &caller.actor(), devices.map(|device| device.id)).await?;
    Ok(StatusCode::ACCEPTED)
}
