//! `/devices/{id}/revoke`: says what a revocation breaks, and does it when that is confirmed.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, Redirect};

use super::super::Web;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::Device;
use super::{Nothing, show};
use crate::actions;
use crate::auth::{ManageDevices, MayDevice, MayDeviceForm};

#[derive(Template)]
#[template(path = "devices/revoke.html")]
struct RevokePage {
    shell: Shell,
    device: Device,
}

/// `GET /devices/{id}/revoke`: the question; the device's page shows the same one as a dialog.
pub(in crate::web) async fn page(
    State(web): State<Web>,
    MayDevice { person, device, .. }: MayDevice<ManageDevices>,
) -> Result<Html<String>, Problem> {
    let device = show::load(&web, &person, device).await?;
    page::html(&RevokePage { shell: Shell::of_person(&web.app, &person, "devices"), device })
}

/// `POST /devices/{id}/revoke`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    MayDeviceForm { person, device, form: Nothing {}, .. }: MayDeviceForm<ManageDevices, Nothing>,
) -> Result<Redirect, Problem> {
    actions::revoke_device(&web.app, &person.actor(), device).await?;

    Ok(Redirect::to("/devices?done=revoked"))
}
