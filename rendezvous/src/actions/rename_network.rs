//! Gives the mesh another name, which people read and nothing depends on.

use super::audit_change;
use crate::app::App;
use crate::domain::{Actor, Expected, Version};
use crate::error::Error;

/// Names the mesh, if its name is what is expected; agents hear of it when they connect next.
pub async fn rename_network(app: &App, actor: &Actor, name: &str, expected: &Expected) -> Result<(), Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::LabelInvalid);
    }
    let mut tx = app.store().begin().await?;
    let before = tx.network().await?.map(|network| network.name).unwrap_or_default();
    if !expected.holds(version(&before)) {
        return Err(Error::ChangedMeanwhile);
    }
    if before == name {
        return Ok(());
    }
    tx.rename_network(name).await?;
    audit_change(app, &mut tx, actor, "network.rename", name, "", &[("name", &before, name)]).await?;
    tx.commit().await?;
    app.set_network_name(name);
    Ok(())
}

/// What the mesh is called, whoever named it.
pub async fn network_name(app: &App) -> Result<String, Error> {
    Ok(app.store().network().await?.map_or_else(|| app.network_name(), |network| network.name))
}

/// Names what can be changed of the mesh itself.
pub(crate) fn version(name: &str) -> Version {
    Version::of(&[name])
}

/// More does not fit where it is shown.
const MAX_NAME: usize = 100;
