//! Admits a device to the mesh: checks its invite, names it, gives it addresses and a certificate.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::Context;
use sqlx::types::Uuid;
use warren_proto::keys::{IdentityPublic, NodeId, StaticPublic, UnixTime};

use super::certify::certify;
use super::{audit, secret_hash};
use crate::app::App;
use crate::domain::{Actor, AddressPool, Device, DeviceName, DeviceState, InviteProblem, check_invite, v6_address};
use crate::error::Error;
use crate::store::{ChangeKind, StoredInvite, Tx};

/// What a device asks with; that it holds the identity key has been proved.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in control.proto's Enroll")]
pub struct Enrolment {
    pub secret: Vec<u8>,
    pub identity_key: IdentityPublic,
    pub static_key: StaticPublic,
    pub hostname: String,
    pub os: String,
    pub agent_version: String,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment").field("identity_key", &self.identity_key).finish_non_exhaustive()
    }
}

/// What a device comes in with.
pub(super) struct Terms {
    /// Instead of the one that it gives itself; nobody else has it.
    pub(super) name: Option<DeviceName>,
    pub(super) tags: Vec<String>,
    pub(super) invite_id: Option<Uuid>,
    pub(super) owner_id: Option<Uuid>,
}

/// Admits a device. Asked again with the same identity key and secret (the first answer was lost), it answers the same.
pub async fn enrol_device(app: &App, enrolment: &Enrolment) -> Result<Device, Error> {
    let mut tx = app.store().begin().await?;
    let id = NodeId::new(app.new_id().into_bytes());
    let invite = tx.invite_by_hash(&secret_hash(&enrolment.secret)).await?.ok_or(Error::InviteUnknown)?;
    let known = tx.device_by_identity(&enrolment.identity_key).await?;
    if known.is_none_or(|device| device.invite_id != Some(invite.id)) {
        use_invite(app, &mut tx, &invite).await?;
    }
    let terms = Terms { name: None, tags: invite.tags, invite_id: Some(invite.id), owner_id: invite.owner_id };
    let device = admit(app, &mut tx, id, &terms, enrolment).await?;
    tx.commit().await?;
    app.meters().count_enrolment();
    app.hub().refresh(app.store()).await;
    Ok(device)
}

/// Makes the device a member on these terms; one that is a member already keeps its name, tags and addresses.
pub(super) async fn admit(
    app: &App,
    tx: &mut Tx,
    id: NodeId,
    terms: &Terms,
    enrolment: &Enrolment,
) -> Result<Device, Error> {
    let known = tx.device_by_identity(&enrolment.identity_key).await?;
    // peers find a device by its static key, which is no secret: nobody else may be certified for it
    let holder = tx.static_key_holder(&enrolment.static_key).await?;
    if holder.is_some() && holder != known.as_ref().map(|device| device.id) {
        return Err(Error::KeyTaken);
    }
    match known {
        Some(device) => {
            // whoever holds the device and an invite of their own may take it over
            let owner_id = terms.owner_id.or(device.owner_id);
            again(app, tx, Device { invite_id: terms.invite_id.or(device.invite_id), owner_id, ..device }, enrolment)
                .await
        }
        None => first_time(app, tx, id, terms, enrolment).await,
    }
}

async fn use_invite(app: &App, tx: &mut Tx, invite: &StoredInvite) -> Result<(), Error> {
    let now = app.now();
    check_invite(invite.reusable, invite.used_count, invite.expires_at, invite.revoked_at.is_some(), now).map_err(
        |problem| match problem {
            InviteProblem::Expired => Error::InviteExpired,
            InviteProblem::Used => Error::InviteUsed,
        },
    )?;
    Ok(tx.count_invite_use(invite.id, now).await?)
}

async fn first_time(app: &App, tx: &mut Tx, id: NodeId, terms: &Terms, enrolment: &Enrolment) -> Result<Device, Error> {
    let now = app.now();
    tx.log_change(ChangeKind::Device, id, now).await?;
    let name = match &terms.name {
        Some(name) => name.clone(),
        None => {
            let wanted = DeviceName::from_hostname(&enrolment.hostname);
            let taken = tx.names_like(&wanted).await?;
            wanted.unless_taken(&taken)
        }
    };
    let mut device = Device {
        id,
        name,
        hostname: enrolment.hostname.clone(),
        identity_key: enrolment.identity_key,
        static_key: enrolment.static_key,
        v4: free_address(app, tx).await?,
        v6: v6_address(app.network().id, id),
        certificate: Vec::new(),
        epoch: 0,
        not_after: UnixTime::from_secs(0),
        tags: terms.tags.clone(),
        os: enrolment.os.clone(),
        agent_version: enrolment.agent_version.clone(),
        relay_only: false,
        state: DeviceState::Active,
        invite_id: terms.invite_id,
        owner_id: terms.owner_id,
        created_at: now,
        last_seen_at: None,
        ended_at: None,
    };
    certify(app, &mut device)?;
    tx.insert_device(&device).await?;
    tx.insert_address(device.v4, id, now).await?;
    audit(app, tx, &Actor::Device(id), "device.enrol", id, &device.name).await?;
    Ok(device)
}

/// The device is enrolled: it keeps its name and addresses; a new static key needs a new certificate.
async fn again(app: &App, tx: &mut Tx, mut device: Device, enrolment: &Enrolment) -> Result<Device, Error> {
    if device.static_key != enrolment.static_key {
        device.static_key = enrolment.static_key;
        certify(app, &mut device)?;
        tx.log_change(ChangeKind::Device, device.id, app.now()).await?;
        audit(app, tx, &Actor::Device(device.id), "device.rekey", device.id, &device.name).await?;
    }
    tx.certify_device(&device).await?;
    Ok(device)
}

/// A random free address; when luck fails (the pool is nearly full), the lowest free one.
async fn free_address(app: &App, tx: &mut Tx) -> Result<Ipv4Addr, Error> {
    let prefix = app.network().v4.parse().context("read the network's IPv4 prefix")?;
    let pool = AddressPool::new(prefix).context("the network's IPv4 prefix is too small")?;
    for _ in 0..TRIES {
        let address = pool.pick(u64::from_ne_bytes(app.random()));
        if !tx.address_taken(address).await? {
            return Ok(address);
        }
    }
    let taken: BTreeSet<_> = tx.addresses().await?.into_iter().collect();
    pool.lowest_free(&taken).ok_or(Error::AddressPoolExhausted)
}

/// In a pool three quarters full, all fail once in 2^6: then one scan is no burden.
const TRIES: usize = 16;
