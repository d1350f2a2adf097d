//! Requests that may be sent again under a key of their caller's: who came first, and what was answered.
//!
//! A row without a response is a request that runs. What a row holds is sealed; this module sees bytes.

use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, time, unsigned};
use super::{Result, Tx, on_tx, statements};

/// A request that came before.
#[derive(Clone, PartialEq, Eq)]
pub struct Earlier {
    /// SHA-256 of what was asked.
    pub request_hash: [u8; 32],
    /// The sealed answer, once there is one.
    pub response: Option<Vec<u8>>,
    /// When it came.
    pub created_at: UnixTime,
}

statements! {
    FIND = "SELECT request_hash, response, created_at FROM idempotency WHERE key_hash = $1";
    INSERT = "INSERT INTO idempotency (key_hash, caller, request_hash, created_at) VALUES ($1, $2, $3, $4)";
    ANSWER = "UPDATE idempotency SET response = $2 WHERE key_hash = $1";
    DELETE = "DELETE FROM idempotency WHERE key_hash = $1";
    DELETE_OLD = "DELETE FROM idempotency WHERE created_at < $1";
    COUNT = "SELECT COUNT(*) FROM idempotency WHERE caller = $1";
    DELETE_OLDEST = "DELETE FROM idempotency WHERE key_hash IN (SELECT key_hash FROM idempotency \
                     WHERE caller = $1 AND response IS NOT NULL ORDER BY created_at LIMIT $2)";
}

type Row = (Vec<u8>, Option<Vec<u8>>, i64);

impl Tx {
    /// The request that came before under this key.
    pub async fn earlier_request(&mut self, key_hash: &[u8; 32]) -> Result<Option<Earlier>> {
        let row: Option<Row> =
            on_tx!(self, db => sqlx::query_as(FIND).bind(key_hash.as_slice()).fetch_optional(db).await?);
        row.map(|(request_hash, response, created_at)| {
            Ok(Earlier {
                request_hash: parsed(request_hash.try_into().ok(), "request_hash")?,
                response,
                created_at: time(created_at),
            })
        })
        .transpose()
    }

    /// Notes a request that begins to run.
    pub async fn begin_request(
        &mut self,
        key_hash: &[u8; 32],
        caller: &[u8; 32],
        request_hash: &[u8; 32],
        now: UnixTime,
    ) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(key_hash.as_slice())
            .bind(caller.as_slice())
            .bind(request_hash.as_slice())
            .bind(millis(now))
            .execute(db).await.map(drop))
    }

    /// Keeps the sealed answer of a request.
    pub async fn answer_request(&mut self, key_hash: &[u8; 32], response: &[u8]) -> Result<()> {
        on_tx!(self, db => sqlx::query(ANSWER)
            .bind(key_hash.as_slice()).bind(response).execute(db).await.map(drop))
    }

    /// Forgets a request, so that the next one under its key runs.
    pub async fn forget_request(&mut self, key_hash: &[u8; 32]) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(key_hash.as_slice()).execute(db).await.map(drop))
    }

    /// Forgets requests from before `since`.
    pub async fn forget_old_requests(&mut self, since: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD).bind(millis(since)).execute(db).await.map(drop))
    }

    /// How many requests of a caller are remembered.
    pub async fn remembered_requests(&mut self, caller: &[u8; 32]) -> Result<u64> {
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT).bind(caller.as_slice()).fetch_one(db).await?);
        Ok(unsigned(count))
    }

    /// Forgets the `count` oldest answers that a caller was given.
    pub async fn forget_oldest_requests(&mut self, caller: &[u8; 32], count: u32) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLDEST)
            .bind(caller.as_slice()).bind(i64::from(count)).execute(db).await.map(drop))
    }
}
