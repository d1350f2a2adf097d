//! Ends a browser's session.

use super::audit;
use crate::app::App;
use crate::auth::Admin;
use crate::domain::Actor;
use crate::error::Error;

/// Ends the session that the request came in.
pub(crate) async fn sign_out(app: &App, admin: &Admin) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    tx.delete_session(&admin.session).await?;
    audit(app, &mut tx, &Actor::Admin(admin.name.clone()), "session.end", &admin.name, "").await?;
    Ok(tx.commit().await?)
}
