//! Recovery codes, by their SHA-256.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

statements! {
    LEFT = "SELECT COUNT(*) FROM recovery_code WHERE user_id = $1 AND used_at IS NULL";
    INSERT = "INSERT INTO recovery_code (user_id, hash) VALUES ($1, $2)";
    USE_ONCE = "UPDATE recovery_code SET used_at = $3 WHERE user_id = $1 AND hash = $2 AND used_at IS NULL";
    DELETE_OF_USER = "DELETE FROM recovery_code WHERE user_id = $1";
}

impl Store {
    /// How many codes a person has left.
    pub async fn recovery_codes_left(&self, user: Uuid) -> Result<u64> {
        let (count,): (i64,) = on_reader!(self, db => sqlx::query_as(LEFT).bind(user).fetch_one(db).await?);
        Ok(unsigned(count))
    }
}

impl Tx {
    /// Replaces a person's codes.
    pub async fn set_recovery_codes(&mut self, user: Uuid, hashes: &[[u8; 32]]) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OF_USER).bind(user).execute(db).await.map(drop))?;
        for hash in hashes {
            on_tx!(self, db => sqlx::query(INSERT).bind(user).bind(hash.as_slice()).execute(db).await.map(drop))?;
        }
        Ok(())
    }

    /// Uses up a code; false when the person has no such code left.
    pub async fn use_recovery_code(&mut self, user: Uuid, hash: &[u8; 32], now: UnixTime) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(USE_ONCE)
            .bind(user).bind(hash.as_slice()).bind(millis(now)).execute(db).await?.rows_affected() > 0))
    }
}
