//! Puts tags on devices and takes them off.

use std::collections::BTreeSet;

use warren_proto::keys::NodeId;

use super::audit_change;
use crate::app::App;
use crate::domain::{Actor, DeviceState, check_tags};
use crate::error::Error;
use crate::store::ChangeKind;

/// What becomes of a device's tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagChange {
    /// These more.
    Add(Vec<String>),
    /// These less.
    Remove(Vec<String>),
    /// These and no others.
    Set(Vec<String>),
}

/// Changes the tags of active devices, all or none; those that have them already are left alone. Says how many changed.
pub async fn tag_devices(app: &App, actor: &Actor, ids: &[NodeId], change: &TagChange) -> Result<usize, Error> {
    let mut tx = app.store().begin().await?;
    let mut changed = 0;
    for id in ids {
        let device = tx.device(*id).await?.ok_or(Error::DeviceUnknown)?;
        if device.state != DeviceState::Active {
            return Err(Error::DeviceRevoked);
        }
        let tags = check_tags(change.apply(&device.tags)).ok_or(Error::TagsInvalid)?;
        if tags == device.tags {
            continue;
        }
        changed += 1;
        tx.set_device_tags(*id, &tags).await?;
        tx.log_change(ChangeKind::Device, *id, app.now()).await?;
        let (before, after) = (device.tags.join(", "), tags.join(", "));
        let detail = format!("{before} -> {after}");
        audit_change(app, &mut tx, actor, "device.tag", id, detail, &[("tags", &before, &after)]).await?;
    }
    tx.commit().await?;
    app.hub().refresh(app.store()).await;
    Ok(changed)
}

impl TagChange {
    fn apply(&self, before: &[String]) -> Vec<String> {
        let mut tags: BTreeSet<String> = before.iter().cloned().collect();
        match self {
            Self::Add(more) => tags.extend(more.iter().cloned()),
            Self::Remove(less) => tags.retain(|tag| !less.contains(tag)),
            Self::Set(these) => tags = these.iter().cloned().collect(),
        }
        tags.into_iter().collect()
    }
}
