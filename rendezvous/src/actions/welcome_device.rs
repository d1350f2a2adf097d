//! A known device connects: notes what it says of itself, and renews its certificate when half its time is over.

use warren_proto::keys::{NodeId, UnixTime};

use super::audit;
use super::certify::{certify, is_due};
use crate::app::App;
use crate::domain::{Actor, DeviceState};
use crate::error::Error;
use crate::store::ChangeKind;

/// Notes a device's system and agent version; renews its certificate if the one that ends at `not_after` is due.
pub async fn welcome_device(
    app: &App,
    id: NodeId,
    not_after: UnixTime,
    os: &str,
    agent_version: &str,
) -> Result<(), Error> {
    let now = app.now();
    let device = app.store().device(id).await?.ok_or(Error::DeviceUnknown)?;
    let renew = is_due(not_after, now);
    if !renew && device.os == os && device.agent_version == agent_version {
        return Ok(());
    }
    let mut tx = app.store().begin().await?;
    let mut device = tx.device(id).await?.ok_or(Error::DeviceUnknown)?;
    if device.state != DeviceState::Active {
        return Err(Error::DeviceRevoked);
    }
    tx.describe_device(id, os, agent_version, now).await?;
    if renew {
        certify(app, &mut device)?;
        tx.certify_device(&device).await?;
        tx.log_change(ChangeKind::Device, id, now).await?;
        audit(app, &mut tx, &Actor::Server, "device.renew", id, &device.name).await?;
    }
    tx.commit().await?;
    if renew {
        app.hub().refresh(app.store()).await;
    }
    Ok(())
}
