//! People who may sign in.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{integer, millis, parsed, time, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::Role;

/// A person who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminUser {
    /// UUIDv7.
    pub id: Uuid,
    /// What they sign in with; unique.
    pub name: String,
    /// PHC string of an argon2id hash; empty for somebody who signs in without a password.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// When the account was made.
    pub created_at: UnixTime,
    /// The last successful sign-in.
    pub signed_in_at: Option<UnixTime>,
    /// Since when they are kept out, if they are.
    pub disabled_at: Option<UnixTime>,
    /// What their authenticator app shares with us, sealed.
    pub totp_secret: Option<Vec<u8>>,
    /// The newest time step of which a code was taken.
    pub totp_step: u64,
}

impl std::fmt::Debug for AdminUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminUser").field("name", &self.name).finish_non_exhaustive()
    }
}

statements! {
    BY_NAME = "SELECT id, name, password_hash, role, created_at, signed_in_at, disabled_at, totp_secret, totp_step \
               FROM admin_user WHERE name = $1";
    BY_ID = "SELECT id, name, password_hash, role, created_at, signed_in_at, disabled_at, totp_secret, totp_step \
               FROM admin_user WHERE id = $1";
    LIST = "SELECT id, name, password_hash, role, created_at, signed_in_at, disabled_at, totp_secret, totp_step \
            FROM admin_user ORDER BY name LIMIT $1";
    COUNT = "SELECT COUNT(*) FROM admin_user";
    COUNT_OWNERS = "SELECT COUNT(*) FROM admin_user WHERE role = 'owner' AND disabled_at IS NULL";
    INSERT = "INSERT INTO admin_user (id, name, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5)";
    SET_PASSWORD = "UPDATE admin_user SET password_hash = $2 WHERE id = $1";
    SET_ROLE = "UPDATE admin_user SET role = $2 WHERE id = $1";
    SET_DISABLED = "UPDATE admin_user SET disabled_at = $2 WHERE id = $1";
    SET_TOTP = "UPDATE admin_user SET totp_secret = $2, totp_step = $3 WHERE id = $1";
    TAKE_TOTP_STEP = "UPDATE admin_user SET totp_step = $2 WHERE id = $1 AND totp_step < $2";
    RENAME = "UPDATE admin_user SET name = $2 WHERE id = $1";
    DELETE = "DELETE FROM admin_user WHERE id = $1";
    SIGNED_IN = "UPDATE admin_user SET signed_in_at = $2 WHERE id = $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    password_hash: String,
    role: String,
    created_at: i64,
    signed_in_at: Option<i64>,
    disabled_at: Option<i64>,
    totp_secret: Option<Vec<u8>>,
    totp_step: i64,
}

impl Row {
    fn read(self) -> Result<AdminUser> {
        Ok(AdminUser {
            id: self.id,
            name: self.name,
            password_hash: self.password_hash,
            role: parsed(Role::parse(&self.role), "role")?,
            created_at: time(self.created_at),
            signed_in_at: self.signed_in_at.map(time),
            disabled_at: self.disabled_at.map(time),
            totp_secret: self.totp_secret,
            totp_step: unsigned(self.totp_step),
        })
    }
}

impl Store {
    /// The person of this name.
    pub async fn admin_by_name(&self, name: &str) -> Result<Option<AdminUser>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_NAME).bind(name).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The person of this id.
    pub async fn admin_by_id(&self, id: Uuid) -> Result<Option<AdminUser>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The first `limit` people, by name.
    pub async fn admins(&self, limit: u32) -> Result<Vec<AdminUser>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(LIST).bind(i64::from(limit)).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }

    /// How many people may sign in.
    pub async fn admin_count(&self) -> Result<u64> {
        let (count,): (i64,) = on_reader!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        Ok(unsigned(count))
    }
}

impl Tx {
    /// The person of this name.
    pub async fn admin_by_name(&mut self, name: &str) -> Result<Option<AdminUser>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_NAME).bind(name).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// How many people may sign in.
    pub async fn admin_count(&mut self) -> Result<u64> {
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        Ok(unsigned(count))
    }

    /// The person of this id.
    pub async fn admin_by_id(&mut self, id: Uuid) -> Result<Option<AdminUser>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// How many owners are not kept out.
    pub async fn active_owner_count(&mut self) -> Result<u64> {
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT_OWNERS).fetch_one(db).await?);
        Ok(unsigned(count))
    }

    /// Gives a person another role.
    pub async fn set_admin_role(&mut self, id: Uuid, role: Role) -> Result<()> {
        on_tx!(self, db => sqlx::query(SET_ROLE).bind(id).bind(role.name()).execute(db).await.map(drop))
    }

    /// Keeps a person out since then, or lets them in.
    pub async fn set_admin_disabled(&mut self, id: Uuid, at: Option<UnixTime>) -> Result<()> {
        on_tx!(self, db => sqlx::query(SET_DISABLED).bind(id).bind(at.map(millis)).execute(db).await.map(drop))
    }

    /// Sets or forgets what a person's authenticator app shares with us.
    pub async fn set_totp(&mut self, id: Uuid, secret: Option<&[u8]>, step: u64) -> Result<()> {
        on_tx!(self, db => sqlx::query(SET_TOTP).bind(id).bind(secret).bind(integer(step)).execute(db).await.map(drop))
    }

    /// Uses up a time step and those before it; false when that has been done.
    pub async fn take_totp_step(&mut self, id: Uuid, step: u64) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(TAKE_TOTP_STEP)
            .bind(id).bind(integer(step)).execute(db).await?.rows_affected() > 0))
    }

    /// Gives a person another name.
    pub async fn rename_admin(&mut self, id: Uuid, name: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(RENAME).bind(id).bind(name).execute(db).await.map(drop))
    }

    /// Removes a person with all that signs them in; devices and invites of theirs are nobody's from here on.
    pub async fn delete_admin(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(id).execute(db).await.map(drop))
    }

    /// Adds a person.
    pub async fn insert_admin(&mut self, user: &AdminUser) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(user.id)
            .bind(&user.name)
            .bind(&user.password_hash)
            .bind(user.role.name())
            .bind(millis(user.created_at))
            .execute(db).await.map(drop))
    }

    /// Replaces a person's password hash.
    pub async fn set_admin_password(&mut self, id: Uuid, password_hash: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(SET_PASSWORD).bind(id).bind(password_hash).execute(db).await.map(drop))
    }

    /// Notes a successful sign-in.
    pub async fn note_sign_in(&mut self, id: Uuid, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(SIGNED_IN).bind(id).bind(millis(now)).execute(db).await.map(drop))
    }
}
