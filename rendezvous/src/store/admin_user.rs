//! People who may sign in.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::Role;

/// A person who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminUser {
    /// UUIDv7.
    pub id: Uuid,
    /// What they sign in with; unique.
    pub name: String,
    /// PHC string of an argon2id hash.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// When the account was made.
    pub created_at: UnixTime,
    /// The last successful sign-in.
    pub signed_in_at: Option<UnixTime>,
}

impl std::fmt::Debug for AdminUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminUser").field("name", &self.name).finish_non_exhaustive()
    }
}

statements! {
    BY_NAME = "SELECT id, name, password_hash, role, created_at, signed_in_at FROM admin_user WHERE name = $1";
    BY_ID = "SELECT id, name, password_hash, role, created_at, signed_in_at FROM admin_user WHERE id = $1";
    COUNT = "SELECT COUNT(*) FROM admin_user";
    INSERT = "INSERT INTO admin_user (id, name, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5)";
    SET_PASSWORD = "UPDATE admin_user SET password_hash = $2 WHERE id = $1";
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

    /// How many people may sign in.
    pub async fn admin_count(&self) -> Result<u64> {
        let (count,): (i64,) = on_reader!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        Ok(super::value::unsigned(count))
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
        Ok(super::value::unsigned(count))
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
