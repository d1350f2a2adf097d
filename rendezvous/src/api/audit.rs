//! `/audit`: who did what, newest first.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::input::Query;
use super::output::{List, Moment, limit_of, make_cursor, parse_moment, read_cursor};
use super::problem::{Code, Problem};
use crate::actions;
use crate::app::App;
use crate::auth::ReadActivity;
use crate::store::{AuditEntry, AuditFilter, FieldChange};

/// One thing that somebody did.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct EntryBody {
    id: String,
    at: Moment,
    /// `user:NAME`, `device:ID`, `cli` or `server`.
    #[schema(example = "user:ada")]
    actor: String,
    /// A stable word.
    #[schema(example = "device.revoke")]
    action: String,
    /// To what: an id, or a name.
    subject: String,
    /// For people.
    detail: String,
    /// From where it was asked for; empty for the server itself and its shell.
    #[schema(example = "192.0.2.7")]
    address: String,
    /// What became of what.
    changes: Vec<ChangeBody>,
}

/// A field before and after.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldChange)]
pub(super) struct ChangeBody {
    #[schema(example = "name")]
    field: String,
    before: String,
    after: String,
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Of this actor.
    #[param(example = "user:ada")]
    actor: Option<String>,
    /// Of this action, or with a star at its end of those that begin so.
    #[param(example = "device.*")]
    action: Option<String>,
    /// About this object: an id, or a name; a device also by its name.
    subject: Option<String>,
    /// From this moment on.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before this moment.
    #[param(format = DateTime)]
    until: Option<String>,
    /// From `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 unless you say otherwise.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Who did what, newest first
#[utoipa::path(get, path = "/audit", tag = "Audit", params(Filter), responses((status = 200, body = List<EntryBody>)),
    security(("token" = ["read-activity"]), ("session" = [])), extensions(("x-problems" = json!(["cursor-invalid"]))))]
pub(super) async fn list(
    State(app): State<App>,
    _: Caller<ReadActivity>,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<List<EntryBody>>, Problem> {
    let before = filter.cursor.as_deref().map(read_cursor).transpose()?;
    let before = before.map(|id| Uuid::parse_str(&id).map_err(|_| Code::CursorInvalid)).transpose()?;
    let limit = limit_of(filter.limit)?;
    let wanted = AuditFilter {
        actor: filter.actor,
        action: filter.action,
        subject: actions::audit_subject(&app, filter.subject.as_deref().unwrap_or_default()).await?,
        since: filter.since.as_deref().map(parse_moment).transpose()?,
        until: filter.until.as_deref().map(parse_moment).transpose()?,
        before,
    };
    // one more, to know whether there is a next page
    let mut entries = app.store().audit(&wanted, u32::try_from(limit + 1).unwrap_or(u32::MAX)).await?;
    let is_last = entries.len() <= limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| !is_last).map(|(id, _)| make_cursor(&id.to_string()));
    Ok(axum::Json(List { items: entries.into_iter().map(EntryBody::from).collect(), next }))
}

impl From<FieldChange> for ChangeBody {
    fn from(FieldChange(field, before, after): FieldChange) -> Self {
        Self { field, before, after }
    }
}

impl From<(Uuid, AuditEntry)> for EntryBody {
    fn from((id, entry): (Uuid, AuditEntry)) -> Self {
        Self {
            id: id.to_string(),
            at: entry.at.into(),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
            address: entry.address,
            changes: entry.changes.into_iter().map(ChangeBody::from).collect(),
        }
    }
}
