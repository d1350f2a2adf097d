//! One-time tokens of setup links, by their SHA-256.

use warren_proto::keys::UnixTime;

use super::value::{millis, time};
use super::{Result, Tx, on_tx, statements};

/// A setup token as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetupToken {
    /// When it stops working.
    pub expires_at: UnixTime,
    /// When it was used up.
    pub used_at: Option<UnixTime>,
}

statements! {
    FIND = "SELECT expires_at, used_at FROM setup_token WHERE hash = $1";
    INSERT = "INSERT INTO setup_token (hash, created_at, expires_at) VALUES ($1, $2, $3)";
    USE_ALL = "UPDATE setup_token SET used_at = $1 WHERE used_at IS NULL";
    DELETE_EXPIRED = "DELETE FROM setup_token WHERE expires_at < $1";
}

impl Tx {
    /// The token that hashes to this.
    pub async fn setup_token(&mut self, hash: &[u8; 32]) -> Result<Option<SetupToken>> {
        let row: Option<(i64, Option<i64>)> =
            on_tx!(self, db => sqlx::query_as(FIND).bind(hash.as_slice()).fetch_optional(db).await?);
        Ok(row.map(|(expires_at, used_at)| SetupToken { expires_at: time(expires_at), used_at: used_at.map(time) }))
    }

    /// Adds a token.
    pub async fn insert_setup_token(&mut self, hash: &[u8; 32], expires_at: UnixTime, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(hash.as_slice()).bind(millis(now)).bind(millis(expires_at)).execute(db).await.map(drop))
    }

    /// Uses up every token: once there is an administrator, no other link may make one.
    pub async fn use_setup_tokens(&mut self, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(USE_ALL).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Forgets tokens that stopped working before `now`.
    pub async fn delete_expired_setup_tokens(&mut self, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_EXPIRED).bind(millis(now)).execute(db).await.map(drop))
    }
}
