//! A device without an invite asks to be let in: it gets a code and waits until a person decides.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::types::Uuid;

use super::audit;
use super::enrol_device::Enrolment;
use crate::app::App;
use crate::domain::{Actor, Device, DeviceState, EnrolmentCode};
use crate::error::Error;
use crate::store::{AskedEnrolment, AskedState};

/// How it stands with a device that asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// It is a member.
    Admitted(Box<Device>),
    /// Nobody has decided yet.
    Waiting(Box<AskedEnrolment>),
}

/// Notes that a device asks; that it holds the identity key has been proved. Asked again with the same keys, it answers
/// the same.
pub async fn ask_to_join(app: &App, enrolment: &Enrolment, from: IpAddr) -> Result<Asked, Error> {
    let now = app.now();
    let mut tx = app.store().begin().await?;
    tx.delete_expired_asked(now).await?;
    let known = tx.device_by_identity(&enrolment.identity_key).await?;
    if let Some(device) = known.filter(|device| device.static_key == enrolment.static_key) {
        return Ok(Asked::Admitted(Box::new(device)));
    }
    match tx.asked_by_key(&enrolment.identity_key).await? {
        Some(asked) if asked.state == AskedState::Denied => return Err(Error::EnrolmentDenied),
        Some(asked) if asked.state == AskedState::Waiting && asked.static_key == enrolment.static_key => {
            return Ok(Asked::Waiting(Box::new(asked)));
        }
        // it has left since, or has other keys now: that is another question
        Some(asked) => tx.delete_asked(asked.id).await?,
        None => {}
    }
    let address = from.to_string();
    let (all, from_there) = tx.count_asked(&address).await?;
    if all >= MAX_ASKING || from_there >= MAX_ASKING_FROM {
        return Err(Error::TooManyAsk);
    }
    let asked = AskedEnrolment {
        id: app.new_id(),
        code: EnrolmentCode::new(app.random()),
        identity_key: enrolment.identity_key,
        static_key: enrolment.static_key,
        hostname: enrolment.hostname.clone(),
        os: enrolment.os.clone(),
        agent_version: enrolment.agent_version.clone(),
        address,
        created_at: now,
        expires_at: now.plus(ASKS_FOR),
        state: AskedState::Waiting,
    };
    tx.insert_asked(&asked).await?;
    let detail = format!("{} from {}", asked.hostname, asked.address);
    audit(app, &mut tx, &Actor::Server, "enrolment.ask", &asked.code, detail).await?;
    tx.commit().await?;
    app.hub().tell_enrolments();
    Ok(Asked::Waiting(Box::new(asked)))
}

/// What became of it since; what was decided against it is an error, in the words that both sides read.
pub async fn follow_asked(app: &App, id: Uuid) -> Result<Asked, Error> {
    let asked = app.store().asked(id).await?.ok_or(Error::EnrolmentExpired)?;
    match asked.state {
        AskedState::Approved(device) => {
            let device = app.store().device(device).await?.filter(|device| device.state == DeviceState::Active);
            Ok(Asked::Admitted(Box::new(device.ok_or(Error::DeviceRevoked)?)))
        }
        AskedState::Denied => Err(Error::EnrolmentDenied),
        AskedState::Waiting if asked.expires_at <= app.now() => Err(Error::EnrolmentExpired),
        AskedState::Waiting => Ok(Asked::Waiting(Box::new(asked))),
    }
}

/// To find the dashboard, sign in and type a code; an `Error` says this time in words.
const ASKS_FOR: Duration = Duration::from_secs(15 * 60);
/// What a person can look through; a flood keeps others from asking for a quarter of an hour, and invites still work.
const MAX_ASKING: u64 = 64;
/// Behind one address may be a household or a small office.
const MAX_ASKING_FROM: u64 = 8;
