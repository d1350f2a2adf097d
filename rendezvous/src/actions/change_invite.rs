//! Changes what is said of an invite, and how long it works; whom it lets in, and its secret, stay.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::audit_change;
use super::create_invite::check_name;
use crate::app::App;
use crate::domain::{Actor, Expected, InviteProblem, Version, check_invite, check_tags, rfc3339};
use crate::error::Error;
use crate::store::StoredInvite;

/// What is to be different; `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InviteChange {
    /// What people call it.
    pub name: Option<String>,
    /// Given to the devices it enrols from here on.
    pub tags: Option<Vec<String>>,
    /// When it stops working; `Some(None)` for never.
    pub expires_at: Option<Option<UnixTime>>,
}

/// Changes an invite that works, if it is what is expected. What has ended stays so: a word that somebody threw away must not
/// begin to work again.
pub async fn change_invite(
    app: &App,
    actor: &Actor,
    id: Uuid,
    change: InviteChange,
    expected: &Expected,
) -> Result<StoredInvite, Error> {
    let name = change.name.as_deref().map(check_name).transpose()?;
    let tags = change.tags.map(|tags| check_tags(tags).ok_or(Error::TagsInvalid)).transpose()?;
    let mut tx = app.store().begin().await?;
    let before = tx.invite(id).await?.ok_or(Error::InviteUnknown)?;
    if !expected.holds(version(&before)) {
        return Err(Error::ChangedMeanwhile);
    }
    let is_revoked = before.revoked_at.is_some();
    check_invite(before.reusable, before.used_count, before.expires_at, is_revoked, app.now()).map_err(|problem| {
        match problem {
            InviteProblem::Expired => Error::InviteExpired,
            InviteProblem::Used => Error::InviteUsed,
        }
    })?;
    let mut invite = before.clone();
    invite.name = name.unwrap_or(invite.name);
    invite.tags = tags.unwrap_or(invite.tags);
    invite.expires_at = change.expires_at.unwrap_or(invite.expires_at);
    if invite == before {
        return Ok(invite);
    }
    tx.change_invite(&invite).await?;
    let told = |invite: &StoredInvite| [invite.name.clone(), invite.tags.join(", "), ends(invite)];
    let (was, is) = (told(&before), told(&invite));
    let changes: Vec<_> = (0..FIELDS.len())
        .filter(|at| was[*at] != is[*at])
        .map(|at| (FIELDS[at], was[at].as_str(), is[at].as_str()))
        .collect();
    audit_change(app, &mut tx, actor, "invite.change", id, &invite.name, &changes).await?;
    tx.commit().await?;
    Ok(invite)
}

/// Names what can be changed of an invite.
pub(crate) fn version(invite: &StoredInvite) -> Version {
    let (ends, revoked) = (ends(invite), if invite.revoked_at.is_some() { "revoked" } else { "" });
    let mut fields = vec![invite.name.as_str(), ends.as_str(), revoked];
    fields.extend(invite.tags.iter().map(String::as_str));
    Version::of(&fields)
}

fn ends(invite: &StoredInvite) -> String {
    invite.expires_at.map_or_else(|| "never".to_owned(), rfc3339)
}

/// As the log names them.
const FIELDS: [&str; 3] = ["name", "tags", "ends"];
