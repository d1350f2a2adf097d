//! Devices: one row each, kept after the device has left so that its name in old log lines still means something.

use sqlx::types::Uuid;
use warren_proto::keys::{IdentityPublic, NodeId, StaticPublic, UnixTime};

use super::value::{integer, millis, node, parsed, tags, tags_text, time, unsigned, uuid};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::{Device, DeviceName, DeviceState};

statements! {
    BY_ID = "SELECT id, name, hostname, identity_key, static_key, v4, v6, certificate, epoch, not_after, tags, os, \
             agent_version, relay_only, state, invite_id, owner_id, created_at, last_seen_at, ended_at FROM device WHERE id = $1";
    BY_IDENTITY = "SELECT id, name, hostname, identity_key, static_key, v4, v6, certificate, epoch, not_after, tags, os, \
                   agent_version, relay_only, state, invite_id, owner_id, created_at, last_seen_at, ended_at FROM device \
                   WHERE identity_key = $1 AND state = 'active'";
    STATIC_HOLDER = "SELECT id FROM device WHERE static_key = $1 AND state = 'active'";
    ACTIVE = "SELECT id, name, hostname, identity_key, static_key, v4, v6, certificate, epoch, not_after, tags, os, \
              agent_version, relay_only, state, invite_id, owner_id, created_at, last_seen_at, ended_at FROM device \
              WHERE state = 'active' ORDER BY name";
    NAMES_LIKE = "SELECT name FROM device WHERE state = 'active' AND (name = $1 OR name LIKE $2)";
    INSERT = "INSERT INTO device (id, name, hostname, identity_key, static_key, v4, v6, certificate, epoch, not_after, \
              tags, os, agent_version, state, invite_id, owner_id, created_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'active', $14, $15, $16)";
    CERTIFY = "UPDATE device SET name = $2, static_key = $3, certificate = $4, epoch = $5, not_after = $6, \
               invite_id = $7, owner_id = $8 WHERE id = $1";
    HOLD_TO_RELAY = "UPDATE device SET relay_only = $2 WHERE id = $1";
    SET_TAGS = "UPDATE device SET tags = $2 WHERE id = $1";
    END = "UPDATE device SET state = $2, ended_at = $3 WHERE id = $1 AND state = 'active'";
    SEEN = "UPDATE device SET last_seen_at = $2 WHERE id = $1";
    DESCRIBE = "UPDATE device SET os = $2, agent_version = $3, last_seen_at = $4 WHERE id = $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    hostname: String,
    identity_key: Vec<u8>,
    static_key: Vec<u8>,
    v4: String,
    v6: String,
    certificate: Vec<u8>,
    epoch: i64,
    not_after: i64,
    tags: String,
    os: String,
    agent_version: String,
    relay_only: bool,
    state: String,
    invite_id: Option<Uuid>,
    owner_id: Option<Uuid>,
    created_at: i64,
    last_seen_at: Option<i64>,
    ended_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Device> {
        Ok(Device {
            id: node(self.id),
            name: parsed(DeviceName::parse(&self.name), "name")?,
            hostname: self.hostname,
            identity_key: parsed(IdentityPublic::from_slice(&self.identity_key), "identity_key")?,
            static_key: parsed(StaticPublic::from_slice(&self.static_key), "static_key")?,
            v4: parsed(self.v4.parse().ok(), "v4")?,
            v6: parsed(self.v6.parse().ok(), "v6")?,
            certificate: self.certificate,
            epoch: unsigned(self.epoch),
            not_after: time(self.not_after),
            tags: tags(&self.tags)?,
            os: self.os,
            agent_version: self.agent_version,
            relay_only: self.relay_only,
            state: parsed(DeviceState::parse(&self.state), "state")?,
            invite_id: self.invite_id,
            owner_id: self.owner_id,
            created_at: time(self.created_at),
            last_seen_at: self.last_seen_at.map(time),
            ended_at: self.ended_at.map(time),
        })
    }
}

impl Store {
    /// The device of this id, in whatever state.
    pub async fn device(&self, id: NodeId) -> Result<Option<Device>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_ID).bind(uuid(id)).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// Every active device, by name.
    pub async fn active_devices(&self) -> Result<Vec<Device>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(ACTIVE).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }
}

impl Tx {
    /// The device of this id, in whatever state.
    pub async fn device(&mut self, id: NodeId) -> Result<Option<Device>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_ID).bind(uuid(id)).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The active device that holds this identity key.
    pub async fn device_by_identity(&mut self, key: &IdentityPublic) -> Result<Option<Device>> {
        let row: Option<Row> =
            on_tx!(self, db => sqlx::query_as(BY_IDENTITY).bind(key.as_bytes().as_slice()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The active device that holds this static key.
    pub async fn static_key_holder(&mut self, key: &StaticPublic) -> Result<Option<NodeId>> {
        let row: Option<(Uuid,)> = on_tx!(self, db => sqlx::query_as(STATIC_HOLDER)
            .bind(key.as_bytes().as_slice()).fetch_optional(db).await?);
        Ok(row.map(|(id,)| node(id)))
    }

    /// Names of active devices that are `name` or begin with it and a hyphen.
    pub async fn names_like(&mut self, name: &DeviceName) -> Result<Vec<String>> {
        // a valid name holds no LIKE wildcard
        let rows: Vec<(String,)> = on_tx!(self, db => sqlx::query_as(NAMES_LIKE)
            .bind(name.as_str()).bind(format!("{name}-%")).fetch_all(db).await?);
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Adds an active device.
    pub async fn insert_device(&mut self, device: &Device) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(uuid(device.id))
            .bind(device.name.as_str())
            .bind(&device.hostname)
            .bind(device.identity_key.as_bytes().as_slice())
            .bind(device.static_key.as_bytes().as_slice())
            .bind(device.v4.to_string())
            .bind(device.v6.to_string())
            .bind(&device.certificate)
            .bind(integer(device.epoch))
            .bind(millis(device.not_after))
            .bind(tags_text(&device.tags))
            .bind(&device.os)
            .bind(&device.agent_version)
            .bind(device.invite_id)
            .bind(device.owner_id)
            .bind(millis(device.created_at))
            .execute(db).await.map(drop))
    }

    /// Stores a new certificate with what it says.
    pub async fn certify_device(&mut self, device: &Device) -> Result<()> {
        on_tx!(self, db => sqlx::query(CERTIFY)
            .bind(uuid(device.id))
            .bind(device.name.as_str())
            .bind(device.static_key.as_bytes().as_slice())
            .bind(&device.certificate)
            .bind(integer(device.epoch))
            .bind(millis(device.not_after))
            .bind(device.invite_id)
            .bind(device.owner_id)
            .execute(db).await.map(drop))
    }

    /// Notes whether a device is to use the relay only.
    pub async fn hold_to_relay(&mut self, id: NodeId, relay_only: bool) -> Result<()> {
        on_tx!(self, db => sqlx::query(HOLD_TO_RELAY)
            .bind(uuid(id)).bind(relay_only).execute(db).await.map(drop))
    }

    /// Gives a device other tags.
    pub async fn set_device_tags(&mut self, id: NodeId, tags: &[String]) -> Result<()> {
        on_tx!(self, db => sqlx::query(SET_TAGS).bind(uuid(id)).bind(tags_text(tags)).execute(db).await.map(drop))
    }

    /// Ends an active device; false when it was not active.
    pub async fn end_device(&mut self, id: NodeId, state: DeviceState, now: UnixTime) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(END)
            .bind(uuid(id)).bind(state.name()).bind(millis(now)).execute(db).await?.rows_affected() > 0))
    }

    /// Notes when a device was last connected.
    pub async fn note_seen(&mut self, id: NodeId, at: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(SEEN).bind(uuid(id)).bind(millis(at)).execute(db).await.map(drop))
    }

    /// Notes what a device says of itself when it connects.
    pub async fn describe_device(&mut self, id: NodeId, os: &str, agent_version: &str, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DESCRIBE)
            .bind(uuid(id)).bind(os).bind(agent_version).bind(millis(now)).execute(db).await.map(drop))
    }
}
