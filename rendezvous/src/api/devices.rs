//! `/devices`: the members of the mesh, what they are, and how they reach each other.
//!
//! A member of the role `member` sees and changes its own devices, and no others exist for it.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use warren_coordinator::ReportedPath;
use warren_proto::keys::NodeId;

use super::caller::{OnDevice, SignedIn, lacking};
use super::input::{IfMatch, Json, Query, etag};
use super::output::{List, Moment};
use super::pairs::{PathBody, ReasonBody};
use super::problem::Problem;
use crate::actions::{self, DeviceChange, DeviceView, ShownDevice};
use crate::app::App;
use crate::auth::{ManageDevices, ReadMesh};
use crate::domain::{DeviceState, Right};

/// A device.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub(super) struct DeviceBody {
    id: String,
    #[schema(example = "laptop")]
    name: String,
    /// What the host called itself when it was enrolled.
    hostname: String,
    /// In the mesh: IPv4, then IPv6.
    #[schema(example = json!(["100.64.0.7", "fd12:3456:789a::7"]))]
    addresses: [String; 2],
    tags: Vec<String>,
    os: String,
    agent_version: String,
    /// Whether it is to use the relay only.
    relay_only: bool,
    /// Whether it still belongs to the mesh.
    #[schema(example = "active")]
    state: &'static str,
    online: bool,
    /// Its connection to this server, while it is online.
    connection: Option<ConnectionBody>,
    /// Whose it is.
    owner_id: Option<String>,
    /// What it was enrolled with.
    enroll_key_id: Option<String>,
    certificate_ends_at: Moment,
    created_at: Moment,
    last_seen_at: Option<Moment>,
    /// When it left or was revoked.
    ended_at: Option<Moment>,
}

/// A device's connection to this server.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
pub(super) struct ConnectionBody {
    since: Moment,
    /// Its address as this server sees it.
    #[schema(example = "203.0.113.9:41000")]
    observed: String,
    rtt_ms: f64,
}

/// What is to be different; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceWish {
    /// 1 to 63 letters a-z, digits and inner hyphens.
    #[schema(example = "laptop")]
    name: Option<String>,
    #[schema(example = json!(["office"]))]
    tags: Option<Vec<String>>,
    relay_only: Option<bool>,
}

/// How a device reaches another.
#[derive(Serialize, ToSchema)]
#[schema(as = PeerConnection)]
pub(super) struct PeerBody {
    id: String,
    name: String,
    online: bool,
    /// As this device reported it last.
    path: Option<PathBody>,
    /// Why it is that path, where both ends were asked.
    reason: Option<ReasonBody>,
}

/// Which devices.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Part of a name, host name or address.
    q: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Online, or not.
    online: Option<bool>,
    /// With a path of this kind to some peer: direct, relay or none.
    #[param(example = "relay")]
    path: Option<String>,
    /// From `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 unless you say otherwise.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// The devices in the mesh, by name
#[utoipa::path(get, path = "/devices", tag = "Devices", params(Filter),
    responses((status = 200, body = List<DeviceBody>)), security(("token" = ["read-mesh"]), ("session" = [])),
    extensions(("x-problems" = json!(["cursor-invalid"]))))]
pub(super) async fn list(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<List<DeviceBody>>, Problem> {
    if !caller.is_scoped(Right::ReadMesh) {
        return Err(lacking(&caller, Right::ReadMesh));
    }
    let mut devices = actions::list_devices(&app).await?;
    devices.retain(|view| caller.scope().holds(&view.device) && filter.holds(view));
    let key = |view: &DeviceView| view.device.name.to_string();
    Ok(axum::Json(List::page(devices, filter.cursor.as_deref(), filter.limit, key, DeviceBody::from)?))
}

/// One device, also one that has left
#[utoipa::path(get, path = "/devices/{id}", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop")),
    responses((status = 200, body = DeviceBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["read-mesh"]), ("session" = [])), extensions(("x-problems" = json!(["device-unknown"]))))]
pub(super) async fn show(
    State(app): State<App>,
    OnDevice { device, .. }: OnDevice<ReadMesh>,
) -> Result<([(HeaderName, HeaderValue); 1], axum::Json<DeviceBody>), Problem> {
    shown(&app, device.id).await
}

/// Rename a device, tag it, hold it to the relay
#[utoipa::path(patch, path = "/devices/{id}", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop"),
        ("if-match" = String, Header, description = "The ETag of what you have read, or *")),
    request_body = DeviceWish,
    responses((status = 200, body = DeviceBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown", "device-ended", "name-invalid", "name-taken", "value-invalid",
        "precondition-failed", "precondition-required"]))))]
pub(super) async fn change(
    State(app): State<App>,
    OnDevice { identity: caller, device, .. }: OnDevice<ManageDevices>,
    if_match: IfMatch,
    Json(wish): Json<DeviceWish>,
) -> Result<([(HeaderName, HeaderValue); 1], axum::Json<DeviceBody>), Problem> {
    let change = DeviceChange { name: wish.name, tags: wish.tags, relay_only: wish.relay_only };
    actions::change_device(&app, &caller.actor(), device.id, change, &if_match.required()?).await?;
    shown(&app, device.id).await
}

/// Revoke a device
///
/// Its connection ends, its peers close their associations with it, its name and addresses become free. It cannot be
/// undone; the device may enrol again. Revoking one that has ended changes nothing.
#[utoipa::path(delete, path = "/devices/{id}", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop"),
        ("if-match" = Option<String>, Header, description = "Revoke only this version")),
    responses((status = 200, body = DeviceBody)), security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown", "precondition-failed"]))))]
pub(super) async fn revoke(
    State(app): State<App>,
    OnDevice { identity: caller, device, .. }: OnDevice<ManageDevices>,
    if_match: IfMatch,
) -> Result<axum::Json<DeviceBody>, Problem> {
    let ended = actions::revoke_expected_device(&app, &caller.actor(), device.id, &if_match.or_any()).await?;
    Ok(axum::Json(DeviceView { device: ended, presence: None, paths: Vec::new() }.into()))
}

/// How a device reaches each of the others
#[utoipa::path(get, path = "/devices/{id}/connections", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop")),
    responses((status = 200, body = List<PeerBody>)), security(("token" = ["read-mesh"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown"]))))]
pub(super) async fn connections(
    State(app): State<App>,
    OnDevice { device, .. }: OnDevice<ReadMesh>,
) -> Result<axum::Json<List<PeerBody>>, Problem> {
    let ShownDevice { view, active, mut verdicts, .. } = actions::show_device(&app, device.id).await?;
    let peers = active.into_iter().filter(|peer| peer.device.id != device.id).map(|peer| PeerBody {
        id: peer.device.id.to_string(),
        name: peer.device.name.to_string(),
        online: peer.presence.is_some(),
        path: view.paths.iter().find(|path| path.report.peer == peer.device.id).map(PathBody::from),
        reason: verdicts.remove(&peer.device.id).map(ReasonBody::from),
    });
    Ok(axum::Json(List::whole(peers.collect())))
}

/// A device as it is at this moment, with the version that this is.
pub(super) async fn shown(
    app: &App,
    id: NodeId,
) -> Result<([(HeaderName, HeaderValue); 1], axum::Json<DeviceBody>), Problem> {
    let ShownDevice { view, .. } = actions::show_device(app, id).await?;
    Ok((etag(view.device.version()), axum::Json(view.into())))
}

impl Filter {
    fn holds(&self, view: &DeviceView) -> bool {
        let device = &view.device;
        let said = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            let texts =
                [device.name.to_string(), device.hostname.to_lowercase(), device.v4.to_string(), device.v6.to_string()];
            texts.iter().any(|text| text.contains(&wanted))
        };
        let has_path = |wanted: &String| {
            let kinds = |path: &ReportedPath| path.report.kind == *wanted;
            if wanted == "none" { view.paths.is_empty() } else { view.paths.iter().any(kinds) }
        };
        self.q.as_ref().is_none_or(said)
            && self.tag.as_ref().is_none_or(|tag| device.tags.contains(tag))
            && self.online.is_none_or(|online| online == view.presence.is_some())
            && self.path.as_ref().is_none_or(has_path)
    }
}

impl From<DeviceView> for DeviceBody {
    fn from(DeviceView { device, presence, .. }: DeviceView) -> Self {
        Self {
            id: device.id.to_string(),
            name: device.name.to_string(),
            hostname: device.hostname,
            addresses: [device.v4.to_string(), device.v6.to_string()],
            tags: device.tags,
            os: device.os,
            agent_version: device.agent_version,
            relay_only: device.relay_only,
            state: device.state.name(),
            online: presence.is_some() && device.state == DeviceState::Active,
            connection: presence.map(|presence| ConnectionBody {
                since: presence.since.into(),
                observed: presence.observed.to_string(),
                rtt_ms: presence.rtt.as_secs_f64() * 1000.0,
            }),
            owner_id: device.owner_id.map(|id| id.to_string()),
            enroll_key_id: device.invite_id.map(|id| id.to_string()),
            certificate_ends_at: device.not_after.into(),
            created_at: device.created_at.into(),
            last_seen_at: device.last_seen_at.map(Into::into),
            ended_at: device.ended_at.map(Into::into),
        }
    }
}
