//! `POST /devices/{id}/rename`

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::format::sentence;
use super::super::problem::Problem;
use super::show;
use crate::actions;
use crate::auth::{ManageDevices, MayDeviceForm};
use crate::error::Error;

#[derive(Deserialize)]
pub(in crate::web) struct RenameForm {
    name: String,
}

/// Renames, and goes back to the device's page; a name that will not do is shown there with the reason.
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    MayDeviceForm { person, device: id, form, .. }: MayDeviceForm<ManageDevices, RenameForm>,
) -> Result<Response, Problem> {
    match actions::rename_device(&web.app, &person.actor(), id, &form.name).await {
        Ok(_) => Ok(Redirect::to(&format!("/devices/{id}?done=renamed")).into_response()),
        Err(error @ (Error::NameInvalid | Error::NameTaken | Error::DeviceRevoked)) => {
            show::page_with_wrong_name(&web, &person, id, form.name, sentence(&error.to_string())).await
        }
        Err(other) => Err(other.into()),
    }
}
