//! A person lets a device in that asks, or does not.

use warren_proto::keys::NodeId;

use super::audit;
use super::enrol_device::{Enrolment, Terms, admit};
use crate::app::App;
use crate::domain::{Actor, Device, DeviceName, EnrolmentCode, check_tags};
use crate::error::Error;
use crate::store::{AskedEnrolment, AskedState, Tx};

/// On what terms a device is let in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Approval {
    /// Instead of the name that it gives itself.
    pub name: Option<String>,
    /// Put on it.
    pub tags: Vec<String>,
}

/// Lets in the device that asks with this code; it belongs to whoever says so.
pub async fn approve_enrolment(
    app: &App,
    actor: &Actor,
    code: &EnrolmentCode,
    approval: Approval,
) -> Result<Device, Error> {
    let tags = check_tags(approval.tags).ok_or(Error::TagsInvalid)?;
    let name = approval.name.map(|name| DeviceName::parse(name.trim()).ok_or(Error::NameInvalid)).transpose()?;
    let mut tx = app.store().begin().await?;
    let asked = waiting(app, &mut tx, code).await?;
    if let Some(name) = &name
        && tx.names_like(name).await?.iter().any(|taken| taken == name.as_str())
    {
        return Err(Error::NameTaken);
    }
    let enrolment = Enrolment {
        secret: Vec::new(),
        identity_key: asked.identity_key,
        static_key: asked.static_key,
        hostname: asked.hostname,
        os: asked.os,
        agent_version: asked.agent_version,
    };
    let id = NodeId::new(app.new_id().into_bytes());
    let terms = Terms { name, tags, invite_id: None, owner_id: actor.owner() };
    let device = admit(app, &mut tx, id, &terms, &enrolment).await?;
    tx.approve_asked(asked.id, device.id).await?;
    audit(app, &mut tx, actor, "device.approve", device.id, format!("code {code}")).await?;
    tx.commit().await?;
    app.hub().refresh(app.store()).await;
    app.hub().tell_enrolments();
    Ok(device)
}

/// Keeps out the device that asks with this code; it hears so, and cannot ask again for a while.
pub async fn deny_enrolment(app: &App, actor: &Actor, code: &EnrolmentCode) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    let asked = waiting(app, &mut tx, code).await?;
    tx.deny_asked(asked.id).await?;
    audit(app, &mut tx, actor, "enrolment.deny", code, &asked.hostname).await?;
    tx.commit().await?;
    app.hub().tell_enrolments();
    Ok(())
}

async fn waiting(app: &App, tx: &mut Tx, code: &EnrolmentCode) -> Result<AskedEnrolment, Error> {
    let asked = tx.asked_by_code(code).await?;
    let asked = asked.filter(|asked| asked.state == AskedState::Waiting && asked.expires_at > app.now());
    asked.ok_or(Error::EnrolmentUnknown)
}
