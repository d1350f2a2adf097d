//! `POST /devices/{id}/tags`

use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;

use super::super::Web;
use super::super::problem::Problem;
use crate::actions::{self, TagChange};
use crate::auth::{ManageDevices, MayDeviceForm};
use crate::domain::parse_tags;
use crate::error::Error;

#[derive(Deserialize)]
pub(in crate::web) struct TagsForm {
    tags: String,
}

/// Gives a device these tags and no others, and goes back to its page.
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    MayDeviceForm { person, device, form, .. }: MayDeviceForm<ManageDevices, TagsForm>,
) -> Result<Redirect, Problem> {
    let done = match parse_tags(&form.tags) {
        None => "no-tag",
        Some(tags) => match actions::tag_devices(&web.app, &person.actor(), &[device], &TagChange::Set(tags)).await {
            Ok(_) => "tagged",
            Err(Error::DeviceRevoked) => return Err(Problem::Gone),
            Err(other) => return Err(other.into()),
        },
    };
    Ok(Redirect::to(&format!("/devices/{device}?done={done}")))
}
