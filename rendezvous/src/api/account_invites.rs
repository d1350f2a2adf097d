//! `/account-invites`: links by which people make accounts of their own.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, InPerson};
use super::input::{Id, Json, Path, Query};
use super::output::{List, Moment};
use super::problem::Problem;
use super::users::{LinkBody, by, read_role};
use crate::actions;
use crate::app::App;
use crate::auth::ManageUsers;
use crate::store::{AccountLink, LinkPurpose};

/// A link that makes an account, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountInvite)]
pub(super) struct InviteBody {
    id: String,
    /// What the account will be.
    #[schema(example = "member")]
    role: &'static str,
    /// For those who look at the list.
    note: String,
    created_by: String,
    created_at: Moment,
    expires_at: Moment,
}

/// A link that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteWish {
    /// owner, admin, operator, viewer or member.
    #[schema(example = "member")]
    role: String,
    /// For those who look at the list.
    #[serde(default)]
    #[schema(example = "Grace", max_length = 80)]
    note: String,
}

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// From `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 unless you say otherwise.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// The open invites for people, newest first
#[utoipa::path(get, path = "/account-invites", tag = "Users", params(Part),
    responses((status = 200, body = List<InviteBody>)), security(("token" = ["manage-users"]), ("session" = [])),
    extensions(("x-problems" = json!(["cursor-invalid"]))))]
pub(super) async fn list(
    State(app): State<App>,
    _: Caller<ManageUsers>,
    Query(part): Query<Part>,
) -> Result<axum::Json<List<InviteBody>>, Problem> {
    let links = app.store().account_invites(MOST, app.now()).await?;
    // newest first: the cursor counts down
    let key = |link: &AccountLink| format!("{:032x}", u128::MAX - link.id.as_u128());
    Ok(axum::Json(List::page(links, part.cursor.as_deref(), part.limit, key, InviteBody::from)?))
}

/// Make a link by which somebody makes an account
///
/// It works once, within a week. A person makes it, not a token: whoever opens it is somebody from then on.
#[utoipa::path(post, path = "/account-invites", tag = "Users", request_body = InviteWish,
    responses((status = 201, body = LinkBody)), security(("session" = [])),
    extensions(("x-problems" = json!(["forbidden", "limit-reached", "session-needed", "value-invalid"]))))]
pub(super) async fn create(
    State(app): State<App>,
    InPerson(person): InPerson,
    _: Caller<ManageUsers>,
    Json(wish): Json<InviteWish>,
) -> Result<(StatusCode, axum::Json<LinkBody>), Problem> {
    let (role, actor) = (read_role(&wish.role)?, person.actor());
    let link = actions::invite_user(&app, by(&person, &actor), role, &wish.note).await?;
    Ok((StatusCode::CREATED, axum::Json(link.into())))
}

/// Withdraw an invite that nobody has used
#[utoipa::path(delete, path = "/account-invites/{id}", tag = "Users", params(("id" = Uuid, Path)),
    responses((status = 204, description = "The link works no more.")),
    security(("token" = ["manage-users"]), ("session" = [])), extensions(("x-problems" = json!(["not-found"]))))]
pub(super) async fn withdraw(
    State(app): State<App>,
    caller: Caller<ManageUsers>,
    Path(Id(id)): Path<Id>,
) -> Result<StatusCode, Problem> {
    let actor = caller.identity.actor();
    actions::withdraw_user_invite(&app, by(&caller.identity, &actor), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<AccountLink> for InviteBody {
    fn from(link: AccountLink) -> Self {
        let role = match link.purpose {
            LinkPurpose::Invite(role) => role.name(),
            // of no invite, and the list holds nothing else
            LinkPurpose::Reset { .. } => "",
        };
        Self {
            id: link.id.to_string(),
            role,
            note: link.note,
            created_by: link.created_by,
            created_at: link.created_at.into(),
            expires_at: link.expires_at.into(),
        }
    }
}

/// All that may be open at once.
const MOST: u32 = 1000;
