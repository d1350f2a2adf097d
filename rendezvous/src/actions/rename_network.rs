//! Gives the mesh another name, which people read and nothing depends on.

use super::audit_change;
use crate::app::App;
use crate::domain::Actor;
use crate::error::Error;

/// Names the mesh; agents hear of it when they connect next.
pub async fn rename_network(app: &App, actor: &Actor, name: &str) -> Result<(), Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::LabelInvalid);
    }
    let mut tx = app.store().begin().await?;
    let before = tx.network().await?.map(|network| network.name).unwrap_or_default();
    if before == name {
        return Ok(());
    }
    tx.rename_network(name).await?;
    audit_change(app, &mut tx, actor, "network.rename", name, "", &[("name", &before, name)]).await?;
    tx.commit().await?;
    app.set_network_name(name);
    Ok(())
}

/// More does not fit where it is shown.
const MAX_NAME: usize = 100;
