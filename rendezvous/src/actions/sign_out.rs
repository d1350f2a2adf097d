//! Ends a browser's session.

use super::audit;
use crate::app::App;
use crate::domain::Actor;
use crate::error::Error;

/// Ends the session that the request of this person came in.
pub(crate) async fn sign_out(app: &App, actor: &Actor, name: &str, session: [u8; 32]) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    tx.delete_session(&session).await?;
    audit(app, &mut tx, actor, "session.end", name, "").await?;
    Ok(tx.commit().await?)
}
