//! `/enrollments`: devices that ask to be let in without a key.
//!
//! Whoever may manage devices sees all that wait; whoever may bring devices of their own needs the code that the device
//! shows.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::devices::{DeviceBody, shown};
use super::input::{Json, Path};
use super::output::{List, Moment};
use super::problem::{Code, Problem};
use crate::actions::{self, Approval};
use crate::app::App;
use crate::auth::{AddDevices, ManageDevices};
use crate::domain::EnrolmentCode;
use crate::store::{AskedEnrolment, AskedState};

/// A device that asks. All but address and key is as it says itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Enrollment)]
pub(super) struct AskedBody {
    /// What the device shows.
    #[schema(example = "WDJB-MJHT")]
    code: String,
    #[schema(example = "laptop")]
    hostname: String,
    os: String,
    agent_version: String,
    /// Where it asks from.
    #[schema(example = "203.0.113.9")]
    address: String,
    /// Its public key, in hexadecimal, which it has proved to hold: compare it with what `warren up` shows.
    identity_key: String,
    asked_at: Moment,
    /// When nobody can let it in any more.
    expires_at: Moment,
}

/// On what terms a device is let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalWish {
    /// Instead of the name that it gives itself.
    #[schema(example = "laptop")]
    name: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// A code in a path, however it is written.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct CodeInPath(Option<EnrolmentCode>);

impl From<String> for CodeInPath {
    fn from(text: String) -> Self {
        Self(EnrolmentCode::parse(&text))
    }
}

impl CodeInPath {
    /// The code; what is none is nobody's.
    fn read(self) -> Result<EnrolmentCode, Problem> {
        self.0.ok_or_else(|| Code::NotFound.into())
    }
}

/// The devices that wait to be let in, the longest first
#[utoipa::path(get, path = "/enrollments", tag = "Enrolment", responses((status = 200, body = List<AskedBody>)),
    security(("token" = ["manage-devices"]), ("session" = [])))]
pub(super) async fn list(
    State(app): State<App>,
    _: Caller<ManageDevices>,
) -> Result<axum::Json<List<AskedBody>>, Problem> {
    let asking = app.store().asking(app.now()).await?;
    Ok(axum::Json(List::whole(asking.into_iter().map(AskedBody::from).collect())))
}

/// The device that shows this code
#[utoipa::path(get, path = "/enrollments/{code}", tag = "Enrolment",
    params(("code" = String, Path, description = "As the device shows it", example = "WDJB-MJHT")),
    responses((status = 200, body = AskedBody)), security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn show(
    State(app): State<App>,
    _: Caller<AddDevices>,
    Path(code): Path<CodeInPath>,
) -> Result<axum::Json<AskedBody>, Problem> {
    let asked = app.store().asked_by_code(&code.read()?).await?;
    let asked = asked.filter(|asked| asked.state == AskedState::Waiting && app.now() < asked.expires_at);
    Ok(axum::Json(asked.ok_or(Code::NotFound)?.into()))
}

/// Let a device in
///
/// It is yours.
#[utoipa::path(post, path = "/enrollments/{code}/approve", tag = "Enrolment",
    params(("code" = String, Path, description = "As the device shows it", example = "WDJB-MJHT")),
    request_body = ApprovalWish,
    responses((status = 201, body = DeviceBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-devices"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found", "address-pool-exhausted", "key-taken", "name-invalid", "name-taken",
        "value-invalid"]))))]
pub(super) async fn approve(
    State(app): State<App>,
    caller: Caller<AddDevices>,
    Path(code): Path<CodeInPath>,
    Json(wish): Json<ApprovalWish>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1], axum::Json<DeviceBody>), Problem> {
    let approval = Approval { name: wish.name, tags: wish.tags };
    let device = actions::approve_enrolment(&app, &caller.identity.actor(), &code.read()?, approval).await?;
    let (tag, body) = shown(&app, device.id).await?;
    Ok((StatusCode::CREATED, tag, body))
}

/// Keep a device out
///
/// It hears so, and cannot ask again for a quarter of an hour.
#[utoipa::path(post, path = "/enrollments/{code}/deny", tag = "Enrolment",
    params(("code" = String, Path, description = "As the device shows it", example = "WDJB-MJHT")),
    responses((status = 204, description = "It is kept out.")),
    security(("token" = ["manage-devices"]), ("session" = [])), extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn deny(
    State(app): State<App>,
    caller: Caller<AddDevices>,
    Path(code): Path<CodeInPath>,
) -> Result<StatusCode, Problem> {
    actions::deny_enrolment(&app, &caller.identity.actor(), &code.read()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<AskedEnrolment> for AskedBody {
    fn from(asked: AskedEnrolment) -> Self {
        Self {
            code: asked.code.to_string(),
            hostname: asked.hostname,
            os: asked.os,
            agent_version: asked.agent_version,
            address: asked.address,
            identity_key: HEXLOWER.encode(asked.identity_key.as_bytes()),
            asked_at: asked.created_at.into(),
            expires_at: asked.expires_at.into(),
        }
    }
}
