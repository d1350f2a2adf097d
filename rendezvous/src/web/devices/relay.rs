//! `POST /devices/{id}/relay`

use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;

use super::super::Web;
use super::super::problem::Problem;
use crate::actions;
use crate::auth::{ManageDevices, MayDeviceForm};

#[derive(Deserialize)]
pub(in crate::web) struct RelayForm {
    use_relay: Choice,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Only,
    WhenNeeded,
}

/// Holds a device to the relay or releases it, and goes back to its page.
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    MayDeviceForm { person, device: id, form, .. }: MayDeviceForm<ManageDevices, RelayForm>,
) -> Result<Redirect, Problem> {
    let relay_only = matches!(form.use_relay, Choice::Only);
    actions::hold_to_relay(&web.app, &person.actor(), id, relay_only).await?;

    let done = if relay_only { "held" } else { "released" };
    Ok(Redirect::to(&format!("/devices/{id}?done={done}")))
}
