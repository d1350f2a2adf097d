//! Invites, by the SHA-256 of their secret.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, tags, tags_text, time, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// An invite as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredInvite {
    /// UUIDv7.
    pub id: Uuid,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What people call it; may be empty.
    pub name: String,
    /// Whether it enrols more than one device.
    pub reusable: bool,
    /// Given to the devices it enrols.
    pub tags: Vec<String>,
    /// The actor that made it.
    pub created_by: String,
    /// Whose the devices will be that it enrols.
    pub owner_id: Option<Uuid>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it stops working, if ever.
    pub expires_at: Option<UnixTime>,
    /// How many devices it has enrolled.
    pub used_count: u64,
    /// When it was last used.
    pub last_used_at: Option<UnixTime>,
    /// When it was withdrawn.
    pub revoked_at: Option<UnixTime>,
}

statements! {
    BY_HASH = "SELECT id, hash, name, reusable, tags, created_by, owner_id, created_at, expires_at, used_count, last_used_at, revoked_at \
               FROM invite WHERE hash = $1";
    BY_ID = "SELECT id, hash, name, reusable, tags, created_by, owner_id, created_at, expires_at, used_count, last_used_at, revoked_at \
             FROM invite WHERE id = $1";
    LIST = "SELECT id, hash, name, reusable, tags, created_by, owner_id, created_at, expires_at, used_count, last_used_at, revoked_at \
            FROM invite ORDER BY id DESC LIMIT $1";
    WORKING = "SELECT id, hash, name, reusable, tags, created_by, owner_id, created_at, expires_at, used_count, last_used_at, revoked_at \
               FROM invite WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) \
               AND (reusable OR used_count = 0) ORDER BY id DESC LIMIT $2 OFFSET $3";
    PAGE = "SELECT id, hash, name, reusable, tags, created_by, owner_id, created_at, expires_at, used_count, last_used_at, revoked_at \
            FROM invite ORDER BY id DESC LIMIT $1 OFFSET $2";
    INSERT = "INSERT INTO invite (id, hash, reusable, tags, created_by, created_at, expires_at, owner_id, name) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    USE_ONCE = "UPDATE invite SET used_count = used_count + 1, last_used_at = $2 WHERE id = $1";
    CHANGE = "UPDATE invite SET name = $2, tags = $3, expires_at = $4 WHERE id = $1";
    REVOKE_OF = "UPDATE invite SET revoked_at = $2 WHERE owner_id = $1 AND revoked_at IS NULL";
    REVOKE = "UPDATE invite SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    hash: Vec<u8>,
    name: String,
    reusable: bool,
    tags: String,
    created_by: String,
    owner_id: Option<Uuid>,
    created_at: i64,
    expires_at: Option<i64>,
    used_count: i64,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Row {
    fn read(self) -> Result<StoredInvite> {
        Ok(StoredInvite {
            id: self.id,
            hash: parsed(self.hash.try_into().ok(), "hash")?,
            name: self.name,
            reusable: self.reusable,
            tags: tags(&self.tags)?,
            created_by: self.created_by,
            owner_id: self.owner_id,
            created_at: time(self.created_at),
            expires_at: self.expires_at.map(time),
            used_count: unsigned(self.used_count),
            last_used_at: self.last_used_at.map(time),
            revoked_at: self.revoked_at.map(time),
        })
    }
}

impl Store {
    /// The invite whose secret hashes to this.
    pub async fn invite_by_hash(&self, hash: &[u8; 32]) -> Result<Option<StoredInvite>> {
        let row: Option<Row> =
            on_reader!(self, db => sqlx::query_as(BY_HASH).bind(hash.as_slice()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The invite of this id.
    pub async fn invite(&self, id: Uuid) -> Result<Option<StoredInvite>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// Up to `limit` invites that still enrol somebody at `now`, newest first, without the first `skip`.
    pub async fn working_invites(&self, now: UnixTime, limit: u32, skip: u32) -> Result<Vec<StoredInvite>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(WORKING)
            .bind(millis(now)).bind(i64::from(limit)).bind(i64::from(skip)).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }

    /// Up to `limit` invites, newest first, without the first `skip`.
    pub async fn invites_page(&self, limit: u32, skip: u32) -> Result<Vec<StoredInvite>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(PAGE)
            .bind(i64::from(limit)).bind(i64::from(skip)).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }

    /// The newest `limit` invites, newest first.
    pub async fn invites(&self, limit: u32) -> Result<Vec<StoredInvite>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(LIST).bind(i64::from(limit)).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }
}

impl Tx {
    /// The invite whose secret hashes to this.
    pub async fn invite_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<StoredInvite>> {
        let row: Option<Row> =
            on_tx!(self, db => sqlx::query_as(BY_HASH).bind(hash.as_slice()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The invite of this id.
    pub async fn invite(&mut self, id: Uuid) -> Result<Option<StoredInvite>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// Stores what can be changed of an invite.
    pub async fn change_invite(&mut self, invite: &StoredInvite) -> Result<()> {
        on_tx!(self, db => sqlx::query(CHANGE)
            .bind(invite.id)
            .bind(&invite.name)
            .bind(tags_text(&invite.tags))
            .bind(invite.expires_at.map(millis))
            .execute(db).await.map(drop))
    }

    /// Adds an invite; counters start at nothing.
    pub async fn insert_invite(&mut self, invite: &StoredInvite) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(invite.id)
            .bind(invite.hash.as_slice())
            .bind(invite.reusable)
            .bind(tags_text(&invite.tags))
            .bind(&invite.created_by)
            .bind(millis(invite.created_at))
            .bind(invite.expires_at.map(millis))
            .bind(invite.owner_id)
            .bind(&invite.name)
            .execute(db).await.map(drop))
    }

    /// Counts one more device enrolled.
    pub async fn count_invite_use(&mut self, id: Uuid, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(USE_ONCE).bind(id).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Withdraws every invite of a person.
    pub async fn revoke_invites_of(&mut self, owner: Uuid, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(REVOKE_OF).bind(owner).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Withdraws an invite; false when there was none to withdraw.
    pub async fn revoke_invite(&mut self, id: Uuid, now: UnixTime) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(REVOKE).bind(id).bind(millis(now)).execute(db).await?.rows_affected() > 0))
    }
}
