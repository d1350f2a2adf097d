//! Ends a browser's session.

use super::audit;
use crate::app::App;
use crate::auth::Person;
use crate::error::Error;

/// Ends the session that the request came in.
pub(crate) async fn sign_out(app: &App, person: &Person) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    tx.delete_session(&person.session).await?;
    audit(app, &mut tx, &person.actor(), "session.end", &person.name, "").await?;
    Ok(tx.commit().await?)
}
