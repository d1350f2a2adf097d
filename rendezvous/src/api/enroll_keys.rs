//! `/enroll-keys`: the invites by which devices join.
//!
//! Who has the right manage-invites makes any kind and sees all. Who may only bring devices of their own makes one-time
//! keys for a day, and sees those.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{SignedIn, lacking};
use super::input::{Id, IfMatch, Json, Path, Query, etag};
use super::output::{List, Moment};
use super::problem::{Code, Problem};
use crate::actions::{self, InviteChange, InviteRequest};
use crate::app::App;
use crate::auth::Identity;
use crate::domain::{Right, check_invite};
use crate::store::StoredInvite;

/// An enrolment key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = EnrollKey)]
pub(super) struct KeyBody {
    id: String,
    /// What people call it; may be empty.
    name: String,
    /// For more than one device.
    reusable: bool,
    /// Given to the devices it enrols.
    tags: Vec<String>,
    /// Whether it enrols a device at this moment.
    works: bool,
    used_count: u64,
    last_used_at: Option<Moment>,
    created_by: String,
    /// Whose the devices will be.
    owner_id: Option<String>,
    created_at: Moment,
    expires_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

/// A new enrolment key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewEnrollKey)]
pub(super) struct NewKeyBody {
    id: String,
    expires_at: Option<Moment>,
    /// The word for `warren up`; shown this once.
    invite: String,
}

/// An enrolment key that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyWish {
    /// What people will know it by.
    #[serde(default)]
    #[schema(example = "rack 2", max_length = 100)]
    name: String,
    /// For more than one device.
    #[serde(default)]
    reusable: bool,
    /// How long it works; a day unless you say otherwise, for ever when reusable.
    #[schema(example = 3600, minimum = 1, maximum = 315_360_000)]
    expires_after_s: Option<u64>,
    /// For the devices it enrols.
    #[serde(default)]
    tags: Vec<String>,
}

/// What is to be different; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEdit {
    #[schema(example = "rack 2", max_length = 100)]
    name: Option<String>,
    /// For the devices it enrols from here on.
    tags: Option<Vec<String>>,
    /// How long it works from now on; null for ever.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u64>, example = 3600, minimum = 1, maximum = 315_360_000)]
    expires_after_s: Option<Option<u64>>,
}

/// What becomes of the devices that it has enrolled.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Withdrawal {
    /// Revoke them too; otherwise they stay.
    revoke_devices: Option<bool>,
}

/// Which keys.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// That work, or do not.
    works: Option<bool>,
    /// From `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 unless you say otherwise.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Somebody who makes keys: of any kind, or for devices of their own.
#[derive(Debug)]
pub(super) struct OwnKeys(Arc<Identity>);

impl<S: Send + Sync> FromRequestParts<S> for OwnKeys {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn(caller) = SignedIn::from_request_parts(parts, state).await?;
        let own = caller.role.may_add_devices() && caller.is_scoped(Right::ManageInvites);
        if own || caller.may(Right::ManageInvites) {
            Ok(Self(caller))
        } else {
            Err(lacking(&caller, Right::ManageInvites))
        }
    }
}

/// Somebody who may have to do with the key that `{id}` in the path names. One that they may not see is one that does not
/// exist, whatever the request says.
#[derive(Debug)]
pub(super) struct OnKey {
    caller: Arc<Identity>,
    key: StoredInvite,
}

impl<S: Send + Sync> FromRequestParts<S> for OnKey
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OwnKeys(caller) = OwnKeys::from_request_parts(parts, state).await?;
        let Path(Id(id)) = Path::<Id>::from_request_parts(parts, state).await?;
        let key = App::from_ref(state).store().invite(id).await?.filter(|key| sees(&caller, key));
        Ok(Self { caller, key: key.ok_or(Code::NotFound)? })
    }
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// The enrolment keys, newest first
#[utoipa::path(get, path = "/enroll-keys", tag = "Enrolment", params(Filter),
    responses((status = 200, body = List<KeyBody>)), security(("token" = ["manage-invites"]), ("session" = [])),
    extensions(("x-problems" = json!(["cursor-invalid"]))))]
pub(super) async fn list(
    State(app): State<App>,
    OwnKeys(caller): OwnKeys,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<List<KeyBody>>, Problem> {
    let mut keys = app.store().invites(MOST).await?;
    keys.retain(|key| sees(&caller, key) && filter.works.is_none_or(|works| works == does_work(&app, key)));
    // newest first: the cursor counts down
    let key = |key: &StoredInvite| format!("{:032x}", u128::MAX - key.id.as_u128());
    let body = |key| KeyBody::new(&app, key);
    Ok(axum::Json(List::page(keys, filter.cursor.as_deref(), filter.limit, key, body)?))
}

/// Make an enrolment key
#[utoipa::path(post, path = "/enroll-keys", tag = "Enrolment", request_body = KeyWish,
    responses((status = 201, body = NewKeyBody)), security(("token" = ["manage-invites"]), ("session" = [])),
    extensions(("x-problems" = json!(["address-unknown", "name-invalid", "value-invalid"]))))]
pub(super) async fn create(
    State(app): State<App>,
    OwnKeys(caller): OwnKeys,
    Json(wish): Json<KeyWish>,
) -> Result<(StatusCode, axum::Json<NewKeyBody>), Problem> {
    let is_plain = !wish.reusable && wish.tags.is_empty() && wish.expires_after_s.is_none_or(|after| after <= DAY);
    if !is_plain && !caller.may(Right::ManageInvites) {
        return Err(lacking(&caller, Right::ManageInvites));
    }
    let expires_after = wish.expires_after_s.map(lifetime).transpose()?;
    let request = InviteRequest { name: wish.name, reusable: wish.reusable, expires_after, tags: wish.tags };
    let created = actions::create_invite(&app, &caller.actor(), request).await?;
    let body = NewKeyBody {
        id: created.id.to_string(),
        expires_at: created.expires_at.map(Into::into),
        invite: created.invite.to_string(),
    };
    Ok((StatusCode::CREATED, axum::Json(body)))
}

/// One enrolment key
#[utoipa::path(get, path = "/enroll-keys/{id}", tag = "Enrolment", params(("id" = Uuid, Path)),
    responses((status = 200, body = KeyBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-invites"]), ("session" = [])), extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn show(State(app): State<App>, OnKey { key, .. }: OnKey) -> Result<Tagged<KeyBody>, Problem> {
    Ok((etag(actions::invite_version(&key)), axum::Json(KeyBody::new(&app, key))))
}

/// Change an enrolment key that works
///
/// Whoever may only bring devices of their own changes its name, and how long it works up to a day.
#[utoipa::path(patch, path = "/enroll-keys/{id}", tag = "Enrolment",
    params(("id" = Uuid, Path), ("if-match" = String, Header, description = "The ETag of what you have read, or *")),
    request_body = KeyEdit,
    responses((status = 200, body = KeyBody, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-invites"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found", "key-ended", "name-invalid", "value-invalid", "precondition-failed",
        "precondition-required"]))))]
pub(super) async fn change(
    State(app): State<App>,
    OnKey { caller, key }: OnKey,
    if_match: IfMatch,
    Json(edit): Json<KeyEdit>,
) -> Result<Tagged<KeyBody>, Problem> {
    let expected = if_match.required()?;
    let is_plain =
        edit.tags.is_none() && edit.expires_after_s.is_none_or(|after| after.is_some_and(|after| after <= DAY));
    if !is_plain && !caller.may(Right::ManageInvites) {
        return Err(lacking(&caller, Right::ManageInvites));
    }
    let expires_after = edit.expires_after_s.map(|after| after.map(lifetime).transpose()).transpose()?;
    let change = InviteChange {
        name: edit.name,
        tags: edit.tags,
        expires_at: expires_after.map(|after| after.map(|after| app.now().plus(after))),
    };
    let key = actions::change_invite(&app, &caller.actor(), key.id, change, &expected).await?;
    Ok((etag(actions::invite_version(&key)), axum::Json(KeyBody::new(&app, key))))
}

/// Withdraw an enrolment key
///
/// Devices that it has enrolled stay, unless you say otherwise.
#[utoipa::path(delete, path = "/enroll-keys/{id}", tag = "Enrolment", params(("id" = Uuid, Path), Withdrawal),
    responses((status = 200, body = KeyBody)), security(("token" = ["manage-invites"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn revoke(
    State(app): State<App>,
    OnKey { caller, key }: OnKey,
    Query(withdrawal): Query<Withdrawal>,
) -> Result<axum::Json<KeyBody>, Problem> {
    if withdrawal.revoke_devices.unwrap_or_default() {
        actions::revoke_invite_with_devices(&app, &caller.actor(), key.id).await?;
    }
    let key = actions::revoke_invite(&app, &caller.actor(), key.id).await?;
    Ok(axum::Json(KeyBody::new(&app, key)))
}

/// How long a key may be wished to work.
fn lifetime(seconds: u64) -> Result<Duration, Problem> {
    if (1..=LONGEST).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Problem::with_detail(Code::ValueInvalid, "a key works for a second at least and ten years at most"))
}

/// Tells what is null from what is absent.
fn said<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

fn sees(caller: &Identity, key: &StoredInvite) -> bool {
    caller.may(Right::ManageInvites) || key.owner_id == Some(caller.user_id)
}

fn does_work(app: &App, key: &StoredInvite) -> bool {
    check_invite(key.reusable, key.used_count, key.expires_at, key.revoked_at.is_some(), app.now()).is_ok()
}

impl KeyBody {
    fn new(app: &App, key: StoredInvite) -> Self {
        Self {
            works: does_work(app, &key),
            id: key.id.to_string(),
            name: key.name,
            reusable: key.reusable,
            tags: key.tags,
            used_count: key.used_count,
            last_used_at: key.last_used_at.map(Into::into),
            created_by: key.created_by,
            owner_id: key.owner_id.map(|id| id.to_string()),
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Into::into),
            revoked_at: key.revoked_at.map(Into::into),
        }
    }
}

const DAY: u64 = 24 * 3600;
/// Ten years: for ever has a way of its own to be said.
const LONGEST: u64 = 3650 * DAY;
/// The newest, of a mesh that has enrolled more devices than this server holds.
const MOST: u32 = 20_000;
