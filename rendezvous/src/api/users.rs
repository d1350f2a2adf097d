//! `/users`: the accounts of this server, their roles, and links that reset a password.
//!
//! A token gives nobody a right that it lacks itself, and makes no link by which somebody signs in: what a stolen one may
//! do to accounts ends with it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, InPerson, lacking};
use super::input::{IfMatch, Json, Path, Query, etag};
use super::output::{List, Moment};
use super::problem::{Code, Problem};
use crate::actions::{self, By, CreatedLink, UserChange};
use crate::app::App;
use crate::auth::{Identity, ManageUsers};
use crate::domain::{Actor, Right, Role};
use crate::store::AdminUser;

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserBody {
    id: String,
    #[schema(example = "ada")]
    name: String,
    /// owner, admin, operator, viewer or member.
    #[schema(example = "operator")]
    role: &'static str,
    /// Kept out since then.
    disabled_at: Option<Moment>,
    /// Whether it signs in with a password.
    has_password: bool,
    /// Whether it proves itself by the codes of an app as well.
    has_authenticator: bool,
    /// How many devices of the mesh are its own.
    devices: usize,
    created_at: Moment,
    signed_in_at: Option<Moment>,
}

/// An account with what signs it in.
#[derive(Serialize, ToSchema)]
pub(super) struct UserDetail {
    #[serde(flatten)]
    user: UserBody,
    /// How many there are.
    passkeys: usize,
    /// How many browsers are signed in.
    sessions: usize,
}

/// What is to be different; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserWish {
    /// owner, admin, operator, viewer or member.
    #[schema(example = "operator")]
    role: Option<String>,
    /// Kept out, or let in again.
    disabled: Option<bool>,
}

/// A link that gives an account another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetWish {
    /// Have it remove passkeys, authenticator app and the link to a provider as well.
    #[serde(default)]
    drop_factors: bool,
}

/// A link for somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInLink)]
pub(super) struct LinkBody {
    id: String,
    /// To be opened by them, once; shown this once.
    #[schema(example = "https://vpn.example.org/join#uwsktjnf...")]
    url: String,
    expires_at: Moment,
}

/// Which accounts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Part of a name.
    q: Option<String>,
    /// Of this role.
    #[param(example = "member")]
    role: Option<String>,
    /// Kept out, or not.
    disabled: Option<bool>,
    /// From `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 unless you say otherwise.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// What becomes of what they had.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Removal {
    /// Revoke its devices too; otherwise they stay, and belong to nobody.
    revoke_devices: Option<bool>,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// The accounts, by name
#[utoipa::path(get, path = "/users", tag = "Users", params(Filter),
    responses((status = 200, body = List<UserBody>)), security(("token" = ["manage-users"]), ("session" = [])),
    extensions(("x-problems" = json!(["cursor-invalid", "value-invalid"]))))]
pub(super) async fn list(
    State(app): State<App>,
    _: Caller<ManageUsers>,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<List<UserBody>>, Problem> {
    let role = filter.role.as_deref().map(read_role).transpose()?;
    let part = filter.q.unwrap_or_default().to_lowercase();
    let mut users = app.store().admins(MOST).await?;
    users.retain(|user| {
        user.name.to_lowercase().contains(&part)
            && role.is_none_or(|role| role == user.role)
            && filter.disabled.is_none_or(|disabled| disabled == user.disabled_at.is_some())
    });
    // the engines do not agree on the order of letters, and a cursor needs one
    users.sort_by(|one, other| one.name.cmp(&other.name));
    let devices = devices_of(&app).await?;
    let key = |user: &AdminUser| user.name.clone();
    let body = |user| UserBody::new(user, &devices);
    Ok(axum::Json(List::page(users, filter.cursor.as_deref(), filter.limit, key, body)?))
}

/// One account
#[utoipa::path(get, path = "/users/{id}", tag = "Users",
    params(("id" = String, Path, description = "Id or name", example = "ada")),
    responses((status = 200, body = UserDetail, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-users"]), ("session" = [])), extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn show(
    State(app): State<App>,
    _: Caller<ManageUsers>,
    Path(named): Path<String>,
) -> Result<Tagged<UserDetail>, Problem> {
    let user = find(&app, &named).await?;
    detail(&app, user).await
}

/// Change somebody's role, keep them out or let them in
///
/// Whoever is changed is signed out everywhere. A token gives no right that it lacks itself.
#[utoipa::path(patch, path = "/users/{id}", tag = "Users",
    params(("id" = String, Path, description = "Id or name", example = "ada"),
        ("if-match" = String, Header, description = "The ETag of what you have read, or *")),
    request_body = UserWish,
    responses((status = 200, body = UserDetail, headers(("etag" = String, description = "Its version")))),
    security(("token" = ["manage-users"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found", "value-invalid", "last-owner", "precondition-failed",
        "precondition-required"]))))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller<ManageUsers>,
    Path(named): Path<String>,
    if_match: IfMatch,
    Json(wish): Json<UserWish>,
) -> Result<Tagged<UserDetail>, Problem> {
    let expected = if_match.required()?;
    let role = wish.role.as_deref().map(read_role).transpose()?;
    if let Some(role) = role {
        may_give(&caller.identity, role)?;
    }
    let id = find(&app, &named).await?.id;
    let actor = caller.identity.actor();
    let change = UserChange { disabled: wish.disabled, role };
    let user = actions::change_user(&app, by(&caller.identity, &actor), id, change, &expected).await?;
    detail(&app, user).await
}

/// Remove an account
///
/// They are signed out everywhere, their tokens end, and their unused invites are withdrawn.
#[utoipa::path(delete, path = "/users/{id}", tag = "Users",
    params(("id" = String, Path, description = "Id or name", example = "ada"), Removal,
        ("if-match" = Option<String>, Header, description = "Remove only this version")),
    responses((status = 204, description = "It is removed.")),
    security(("token" = ["manage-users"]), ("session" = [])),
    extensions(("x-problems" = json!(["not-found", "last-owner", "precondition-failed"]))))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller<ManageUsers>,
    Path(named): Path<String>,
    Query(removal): Query<Removal>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let (id, actor) = (find(&app, &named).await?.id, caller.identity.actor());
    let devices_too = removal.revoke_devices.unwrap_or_default();
    actions::remove_user(&app, by(&caller.identity, &actor), id, devices_too, &if_match.or_any()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a link by which somebody sets another password
///
/// It works for a day and replaces the one before. Nothing changes before it is opened.
#[utoipa::path(post, path = "/users/{id}/reset-link", tag = "Users",
    params(("id" = String, Path, description = "Id or name", example = "ada")), request_body = ResetWish,
    responses((status = 201, body = LinkBody)), security(("session" = [])),
    extensions(("x-problems" = json!(["forbidden", "not-found", "session-needed"]))))]
pub(super) async fn reset_link(
    State(app): State<App>,
    InPerson(person): InPerson,
    _: Caller<ManageUsers>,
    Path(named): Path<String>,
    Json(wish): Json<ResetWish>,
) -> Result<(StatusCode, axum::Json<LinkBody>), Problem> {
    let (id, actor) = (find(&app, &named).await?.id, person.actor());
    let link = actions::create_reset_link(&app, by(&person, &actor), id, wish.drop_factors).await?;
    Ok((StatusCode::CREATED, axum::Json(link.into())))
}

/// Who changes an account, as actions want to know it.
pub(super) fn by<'a>(caller: &Identity, actor: &'a Actor) -> By<'a> {
    By { actor, role: caller.role }
}

/// The role of a word.
pub(super) fn read_role(word: &str) -> Result<Role, Problem> {
    let unknown = || Problem::with_detail(Code::ValueInvalid, format!("there is no role {word:?}"));
    Role::parse(word).ok_or_else(unknown)
}

/// Whether the credential stretches to everything that the role permits.
pub(super) fn may_give(caller: &Identity, role: Role) -> Result<(), Problem> {
    let lacks = Right::ALL.into_iter().find(|right| role.has(*right) && !caller.is_scoped(*right));
    lacks.map_or(Ok(()), |right| Err(lacking(caller, right)))
}

async fn find(app: &App, named: &str) -> Result<AdminUser, Problem> {
    let user = match Uuid::parse_str(named) {
        Ok(id) => app.store().admin_by_id(id).await?,
        Err(_) => app.store().admin_by_name(named).await?,
    };
    user.ok_or_else(|| Code::NotFound.into())
}

async fn detail(app: &App, user: AdminUser) -> Result<Tagged<UserDetail>, Problem> {
    let tag = etag(actions::user_version(&user));
    let passkeys = app.store().passkeys_of(user.id).await?.len();
    let sessions = actions::list_sessions(app, user.id).await?.len();
    let user = UserBody::new(user, &devices_of(app).await?);
    Ok((tag, axum::Json(UserDetail { user, passkeys, sessions })))
}

async fn devices_of(app: &App) -> Result<BTreeMap<Uuid, usize>, Problem> {
    let mut devices = BTreeMap::new();
    for owner in app.devices().await?.iter().filter_map(|device| device.owner_id) {
        *devices.entry(owner).or_default() += 1;
    }
    Ok(devices)
}

impl UserBody {
    fn new(user: AdminUser, devices: &BTreeMap<Uuid, usize>) -> Self {
        Self {
            id: user.id.to_string(),
            role: user.role.name(),
            disabled_at: user.disabled_at.map(Into::into),
            has_password: !user.password_hash.is_empty(),
            has_authenticator: user.totp_secret.is_some(),
            devices: devices.get(&user.id).copied().unwrap_or(0),
            created_at: user.created_at.into(),
            signed_in_at: user.signed_in_at.map(Into::into),
            name: user.name,
        }
    }
}

impl From<CreatedLink> for LinkBody {
    fn from(link: CreatedLink) -> Self {
        Self { id: link.id.to_string(), url: link.url, expires_at: link.expires_at.into() }
    }
}

/// Every account that this server lets be made.
const MOST: u32 = 10_000;
