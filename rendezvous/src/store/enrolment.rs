//! Devices that ask to be let in without an invite: one row for each key that asks, until it expires.

use sqlx::types::Uuid;
use warren_proto::keys::{IdentityPublic, NodeId, StaticPublic, UnixTime};

use super::value::{millis, node, parsed, time, unsigned, uuid};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::EnrolmentCode;

/// A device that asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AskedEnrolment {
    /// UUIDv7.
    pub id: Uuid,
    /// What a person types to find it.
    pub code: EnrolmentCode,
    /// Proved to be the device's.
    pub identity_key: IdentityPublic,
    /// As the device says.
    pub static_key: StaticPublic,
    /// As the device says.
    pub hostname: String,
    /// As the device says.
    pub os: String,
    /// As the device says.
    pub agent_version: String,
    /// Where it asks from.
    pub address: String,
    /// When it asked first.
    pub created_at: UnixTime,
    /// When nobody can let it in any more.
    pub expires_at: UnixTime,
    /// What became of it.
    pub state: AskedState,
}

/// What became of a device that asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AskedState {
    /// It is this device.
    Approved(NodeId),
    /// Somebody said no.
    Denied,
    /// Nobody has decided.
    Waiting,
}

statements! {
    BY_ID = "SELECT id, code, identity_key, static_key, hostname, os, agent_version, address, created_at, expires_at, \
             state, device_id FROM enrolment WHERE id = $1";
    BY_CODE = "SELECT id, code, identity_key, static_key, hostname, os, agent_version, address, created_at, expires_at, \
               state, device_id FROM enrolment WHERE code = $1";
    BY_KEY = "SELECT id, code, identity_key, static_key, hostname, os, agent_version, address, created_at, expires_at, \
              state, device_id FROM enrolment WHERE identity_key = $1";
    WAITING = "SELECT id, code, identity_key, static_key, hostname, os, agent_version, address, created_at, expires_at, \
               state, device_id FROM enrolment WHERE state = 'waiting' AND expires_at > $1 ORDER BY id";
    COUNT = "SELECT COUNT(*) FROM enrolment";
    COUNT_FROM = "SELECT COUNT(*) FROM enrolment WHERE address = $1";
    INSERT = "INSERT INTO enrolment (id, code, identity_key, static_key, hostname, os, agent_version, address, \
              created_at, expires_at, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting')";
    APPROVE = "UPDATE enrolment SET state = 'approved', device_id = $2 WHERE id = $1";
    DENY = "UPDATE enrolment SET state = 'denied' WHERE id = $1";
    DELETE = "DELETE FROM enrolment WHERE id = $1";
    DELETE_EXPIRED = "DELETE FROM enrolment WHERE expires_at <= $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    code: String,
    identity_key: Vec<u8>,
    static_key: Vec<u8>,
    hostname: String,
    os: String,
    agent_version: String,
    address: String,
    created_at: i64,
    expires_at: i64,
    state: String,
    device_id: Option<Uuid>,
}

impl Row {
    fn read(self) -> Result<AskedEnrolment> {
        let state = match (self.state.as_str(), self.device_id) {
            ("approved", Some(device)) => Some(AskedState::Approved(node(device))),
            ("denied", _) => Some(AskedState::Denied),
            ("waiting", _) => Some(AskedState::Waiting),
            _ => None,
        };
        Ok(AskedEnrolment {
            id: self.id,
            code: parsed(EnrolmentCode::parse(&self.code), "code")?,
            identity_key: parsed(IdentityPublic::from_slice(&self.identity_key), "identity_key")?,
            static_key: parsed(StaticPublic::from_slice(&self.static_key), "static_key")?,
            hostname: self.hostname,
            os: self.os,
            agent_version: self.agent_version,
            address: self.address,
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
            state: parsed(state, "state")?,
        })
    }
}

impl Store {
    /// The device that asks under this id.
    pub async fn asked(&self, id: Uuid) -> Result<Option<AskedEnrolment>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The device that asks under this code.
    pub async fn asked_by_code(&self, code: &EnrolmentCode) -> Result<Option<AskedEnrolment>> {
        let row: Option<Row> =
            on_reader!(self, db => sqlx::query_as(BY_CODE).bind(code.as_str()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// Who waits for somebody to decide, the longest first.
    pub async fn asking(&self, now: UnixTime) -> Result<Vec<AskedEnrolment>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(WAITING).bind(millis(now)).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }
}

impl Tx {
    /// The device that asks under this code.
    pub async fn asked_by_code(&mut self, code: &EnrolmentCode) -> Result<Option<AskedEnrolment>> {
        let row: Option<Row> =
            on_tx!(self, db => sqlx::query_as(BY_CODE).bind(code.as_str()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The device that asks with this key.
    pub async fn asked_by_key(&mut self, key: &IdentityPublic) -> Result<Option<AskedEnrolment>> {
        let row: Option<Row> =
            on_tx!(self, db => sqlx::query_as(BY_KEY).bind(key.as_bytes().as_slice()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// How many rows there are, and how many of them from this address.
    pub async fn count_asked(&mut self, address: &str) -> Result<(u64, u64)> {
        let (all,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        let (from,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT_FROM).bind(address).fetch_one(db).await?);
        Ok((unsigned(all), unsigned(from)))
    }

    /// Adds a device that waits.
    pub async fn insert_asked(&mut self, asked: &AskedEnrolment) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(asked.id)
            .bind(asked.code.as_str())
            .bind(asked.identity_key.as_bytes().as_slice())
            .bind(asked.static_key.as_bytes().as_slice())
            .bind(&asked.hostname)
            .bind(&asked.os)
            .bind(&asked.agent_version)
            .bind(&asked.address)
            .bind(millis(asked.created_at))
            .bind(millis(asked.expires_at))
            .execute(db).await.map(drop))
    }

    /// It has become this device.
    pub async fn approve_asked(&mut self, id: Uuid, device: NodeId) -> Result<()> {
        on_tx!(self, db => sqlx::query(APPROVE).bind(id).bind(uuid(device)).execute(db).await.map(drop))
    }

    /// Somebody said no.
    pub async fn deny_asked(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DENY).bind(id).execute(db).await.map(drop))
    }

    /// Forgets that a device asked.
    pub async fn delete_asked(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(id).execute(db).await.map(drop))
    }

    /// Forgets devices that nobody can let in any more.
    pub async fn delete_expired_asked(&mut self, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_EXPIRED).bind(millis(now)).execute(db).await.map(drop))
    }
}
