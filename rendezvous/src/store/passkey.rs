//! Passkeys: public keys that sign people in.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// A passkey as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passkey {
    /// As the authenticator made it.
    pub id: Vec<u8>,
    /// Whose it is.
    pub user_id: Uuid,
    /// For the person.
    pub name: String,
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Vec<u8>,
    /// COSE's number of the algorithm.
    pub algorithm: i64,
    /// Of the authenticator's own counter.
    pub sign_count: u32,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it last signed somebody in.
    pub last_used_at: Option<UnixTime>,
}

statements! {
    BY_ID = "SELECT id, user_id, name, public_key, algorithm, sign_count, created_at, last_used_at \
             FROM passkey WHERE id = $1";
    OF_USER = "SELECT id, user_id, name, public_key, algorithm, sign_count, created_at, last_used_at \
               FROM passkey WHERE user_id = $1 ORDER BY created_at, id";
    INSERT = "INSERT INTO passkey (id, user_id, name, public_key, algorithm, sign_count, created_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7)";
    USED = "UPDATE passkey SET sign_count = $2, last_used_at = $3 WHERE id = $1";
    DELETE = "DELETE FROM passkey WHERE id = $1 AND user_id = $2";
    DELETE_OF_USER = "DELETE FROM passkey WHERE user_id = $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    user_id: Uuid,
    name: String,
    public_key: Vec<u8>,
    algorithm: i64,
    sign_count: i64,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl From<Row> for Passkey {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            public_key: row.public_key,
            algorithm: row.algorithm,
            sign_count: u32::try_from(row.sign_count).unwrap_or(u32::MAX),
            created_at: time(row.created_at),
            last_used_at: row.last_used_at.map(time),
        }
    }
}

impl Store {
    /// A person's passkeys, the oldest first.
    pub async fn passkeys_of(&self, user: Uuid) -> Result<Vec<Passkey>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(OF_USER).bind(user).fetch_all(db).await?);
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

impl Tx {
    /// The passkey of this id.
    pub async fn passkey(&mut self, id: &[u8]) -> Result<Option<Passkey>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        Ok(row.map(Into::into))
    }

    /// A person's passkeys, the oldest first.
    pub async fn passkeys_of(&mut self, user: Uuid) -> Result<Vec<Passkey>> {
        let rows: Vec<Row> = on_tx!(self, db => sqlx::query_as(OF_USER).bind(user).fetch_all(db).await?);
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Adds a passkey.
    pub async fn insert_passkey(&mut self, passkey: &Passkey) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(&passkey.id)
            .bind(passkey.user_id)
            .bind(&passkey.name)
            .bind(&passkey.public_key)
            .bind(passkey.algorithm)
            .bind(i64::from(passkey.sign_count))
            .bind(millis(passkey.created_at))
            .execute(db).await.map(drop))
    }

    /// Notes a sign-in, with what the authenticator's counter said.
    pub async fn note_passkey_use(&mut self, id: &[u8], sign_count: u32, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(USED)
            .bind(id).bind(i64::from(sign_count)).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Removes a person's passkey; false when they have no such.
    pub async fn delete_passkey(&mut self, id: &[u8], user: Uuid) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(DELETE).bind(id).bind(user).execute(db).await?.rows_affected() > 0))
    }

    /// Removes all of a person's passkeys.
    pub async fn delete_passkeys_of(&mut self, user: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OF_USER).bind(user).execute(db).await.map(drop))
    }
}
