//! Withdraws an invite: it enrols nobody any more.

use sqlx::types::Uuid;

use super::audit;
use crate::app::App;
use crate::domain::Actor;
use crate::error::Error;
use crate::store::StoredInvite;

/// Withdraws an invite; devices that it has enrolled stay. Withdrawing it again changes nothing.
pub async fn revoke_invite(app: &App, actor: &Actor, id: Uuid) -> Result<StoredInvite, Error> {
    let mut tx = app.store().begin().await?;
    if tx.revoke_invite(id, app.now()).await? {
        audit(app, &mut tx, actor, "invite.revoke", id, "").await?;
    }
    tx.commit().await?;
    app.store().invite(id).await?.ok_or(Error::InviteUnknown)
}
