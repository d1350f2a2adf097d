//! `/tags` and `/devices/{id}/tags/{tag}`: words that group devices, put on and taken off one by one, so that two who do
//! that at once do not undo each other's work.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{OnDevice, SignedIn, lacking};
use super::devices::{DeviceBody, shown};
use super::input::Path;
use super::output::List;
use super::problem::Problem;
use crate::actions::{self, TagChange};
use crate::app::App;
use crate::auth::ManageDevices;
use crate::domain::Right;

/// A word that groups devices.
#[derive(Serialize, ToSchema)]
#[schema(as = Tag)]
pub(super) struct TagBody {
    #[schema(example = "office")]
    tag: String,
    /// How many devices bear it.
    devices: usize,
}

/// The tag in a path.
#[derive(Debug, Deserialize)]
pub(super) struct TagInPath {
    tag: String,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// The tags of the devices in the mesh, in order
#[utoipa::path(get, path = "/tags", tag = "Devices", responses((status = 200, body = List<TagBody>)),
    security(("token" = ["read-mesh"]), ("session" = [])))]
pub(super) async fn list(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
) -> Result<axum::Json<List<TagBody>>, Problem> {
    if !caller.is_scoped(Right::ReadMesh) {
        return Err(lacking(&caller, Right::ReadMesh));
    }
    let devices = app.devices().await?;
    let mut tags = BTreeMap::<&str, usize>::new();
    for tag in devices.iter().filter(|device| caller.scope().holds(device)).flat_map(|device| &device.tags) {
        *tags.entry(tag).or_default() += 1;
    }
    let body = |(tag, devices): (&str, usize)| TagBody { tag: tag.to_owned(), devices };
    Ok(axum::Json(List::whole(tags.into_iter().map(body).collect())))
}

/// Put a tag on a device
///
/// One that is there already stays.
#[utoipa::path(put, path = "/devices/{id}/tags/{tag}", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop"),
        ("tag" = String, Path, description = "A word", example = "office")),
    responses((status = 200, body = DeviceBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown", "device-ended", "value-invalid"]))))]
pub(super) async fn add(
    State(app): State<App>,
    OnDevice { identity: caller, device, .. }: OnDevice<ManageDevices>,
    Path(TagInPath { tag }): Path<TagInPath>,
) -> Result<Tagged<DeviceBody>, Problem> {
    actions::tag_devices(&app, &caller.actor(), &[device.id], &TagChange::Add(vec![tag])).await?;
    shown(&app, device.id).await
}

/// Take a tag off a device
///
/// One that is not there is no mistake.
#[utoipa::path(delete, path = "/devices/{id}/tags/{tag}", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop"),
        ("tag" = String, Path, description = "A word", example = "office")),
    responses((status = 200, body = DeviceBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown", "device-ended", "value-invalid"]))))]
pub(super) async fn remove(
    State(app): State<App>,
    OnDevice { identity: caller, device, .. }: OnDevice<ManageDevices>,
    Path(TagInPath { tag }): Path<TagInPath>,
) -> Result<Tagged<DeviceBody>, Problem> {
    actions::tag_devices(&app, &caller.actor(), &[device.id], &TagChange::Remove(vec![tag])).await?;
    shown(&app, device.id).await
}
