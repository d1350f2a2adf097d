//! Attempts to sign in, by what they are counted for; a bounded number of rows.

use warren_proto::keys::UnixTime;

use super::value::{integer, millis, time, unsigned};
use super::{Result, Tx, on_tx, statements};
use crate::domain::Attempts;

statements! {
    FIND = "SELECT failures, wait_until, forget_at FROM attempt WHERE subject = $1";
    PUT = "INSERT INTO attempt (subject, failures, wait_until, forget_at) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (subject) DO UPDATE SET failures = $2, wait_until = $3, forget_at = $4";
    DELETE = "DELETE FROM attempt WHERE subject = $1";
    DELETE_OLD = "DELETE FROM attempt WHERE forget_at <= $1";
    COUNT = "SELECT COUNT(*) FROM attempt";
    DELETE_NEXT = "DELETE FROM attempt WHERE subject IN (SELECT subject FROM attempt ORDER BY forget_at LIMIT $1)";
}

impl Tx {
    /// What is remembered of this subject.
    pub async fn attempts(&mut self, subject: &[u8; 32]) -> Result<Option<Attempts>> {
        let row: Option<(i64, i64, i64)> =
            on_tx!(self, db => sqlx::query_as(FIND).bind(subject.as_slice()).fetch_optional(db).await?);
        Ok(row.map(|(failures, wait_until, forget_at)| Attempts {
            failures: unsigned(failures),
            wait_until: time(wait_until),
            forget_at: time(forget_at),
        }))
    }

    /// Remembers it.
    pub async fn put_attempts(&mut self, subject: &[u8; 32], attempts: &Attempts) -> Result<()> {
        on_tx!(self, db => sqlx::query(PUT)
            .bind(subject.as_slice())
            .bind(integer(attempts.failures))
            .bind(millis(attempts.wait_until))
            .bind(millis(attempts.forget_at))
            .execute(db).await.map(drop))
    }

    /// Forgets it.
    pub async fn delete_attempts(&mut self, subject: &[u8; 32]) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(subject.as_slice()).execute(db).await.map(drop))
    }

    /// Forgets what means nothing any more at `now`, and what would do so next while there are more than `max`.
    pub async fn trim_attempts(&mut self, max: u32, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD).bind(millis(now)).execute(db).await.map(drop))?;
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        let surplus = count - i64::from(max);
        if surplus <= 0 {
            return Ok(());
        }
        on_tx!(self, db => sqlx::query(DELETE_NEXT).bind(surplus).execute(db).await.map(drop))
    }
}
