//! Servers that share the database: how they find each other, and which one does what only one is to do.
//!
//! None of this is a change of the mesh: it takes no lock that a writer of devices would wait for.

use sqlx::Either;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard, Postgres};
use sqlx::types::Uuid;

use super::value::{parsed, unsigned};
use super::{Engine, Result, Store, on_reader, statements};

/// A server as the others see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaRow {
    /// One run of it.
    pub id: Uuid,
    /// "host:port" for the others.
    pub address: String,
    /// SHA-256 of its public server key.
    pub server_key: [u8; 32],
    /// Grows while it runs.
    pub beat: u64,
}

/// Whoever holds it does what only one server is to do; the others may when it is dropped.
pub struct Lead {
    _lock: Option<PgAdvisoryLockGuard<PoolConnection<Postgres>>>,
}

statements! {
    BEAT = "INSERT INTO replica (id, address, server_key, beat) VALUES ($1, $2, $3, 1) \
            ON CONFLICT (id) DO UPDATE SET beat = replica.beat + 1";
    ALL = "SELECT id, address, server_key, beat FROM replica ORDER BY id";
    FORGET = "DELETE FROM replica WHERE id = $1";
}

impl Store {
    /// Says that a server runs, and where.
    pub async fn beat(&self, id: Uuid, address: &str, server_key: &[u8; 32]) -> Result<()> {
        on_reader!(self, db => sqlx::query(BEAT)
            .bind(id).bind(address).bind(server_key.as_slice()).execute(db).await.map(drop))
    }

    /// Every server that has said so and was not forgotten.
    pub async fn replicas(&self) -> Result<Vec<ReplicaRow>> {
        let rows: Vec<(Uuid, String, Vec<u8>, i64)> = on_reader!(self, db => sqlx::query_as(ALL).fetch_all(db).await?);
        rows.into_iter()
            .map(|(id, address, server_key, beat)| {
                let server_key = parsed(server_key.try_into().ok(), "server_key")?;
                Ok(ReplicaRow { id, address, server_key, beat: unsigned(beat) })
            })
            .collect()
    }

    /// A server has ended.
    pub async fn forget_replica(&self, id: Uuid) -> Result<()> {
        on_reader!(self, db => sqlx::query(FORGET).bind(id).execute(db).await.map(drop))
    }

    /// The right to do a job, unless another server is doing it at this moment. With SQLite there is no other.
    pub async fn lead(&self, job: &str) -> Result<Option<Lead>> {
        let Engine::Postgres(pool) = &self.db else { return Ok(Some(Lead { _lock: None })) };
        let lock = PgAdvisoryLock::new(format!("warren {job}"));
        Ok(match lock.try_acquire(pool.acquire().await?).await? {
            Either::Left(guard) => Some(Lead { _lock: Some(guard) }),
            Either::Right(_) => None,
        })
    }
}
