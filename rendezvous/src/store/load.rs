//! How busy the database is: connections in use, and how long writes take.

use std::time::Instant;

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{Database, Pool};

use super::{Engine, Result, Store, on_reader};

/// One pool of connections at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolLoad {
    /// Open connections.
    pub size: u32,
    /// Of these, unused ones.
    pub idle: usize,
}

impl PoolLoad {
    fn of<D: Database>(pool: &Pool<D>) -> Self {
        Self { size: pool.size(), idle: pool.num_idle() }
    }
}

impl Store {
    /// Every pool by its name.
    pub fn pools(&self) -> Vec<(&'static str, PoolLoad)> {
        match &self.db {
            Engine::Postgres(pool) => vec![("postgres", PoolLoad::of(pool))],
            Engine::Sqlite(pools) => {
                vec![("sqlite-read", PoolLoad::of(&pools.read)), ("sqlite-write", PoolLoad::of(&pools.write))]
            }
        }
    }

    /// How long write transactions took.
    pub fn write_times(&self) -> &Histogram {
        &self.write_times
    }

    /// Bytes that the database takes up.
    pub async fn size(&self) -> Result<u64> {
        let sql = match &self.db {
            Engine::Postgres(_) => POSTGRES_SIZE,
            Engine::Sqlite(_) => SQLITE_SIZE,
        };
        let bytes: i64 = on_reader!(self, db => sqlx::query_scalar(sql).fetch_one(db).await)?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }
}

/// Measures one write transaction.
#[derive(Debug)]
pub(super) struct Stopwatch {
    began: Instant,
    times: Histogram,
}

impl Stopwatch {
    pub(super) fn start(times: &Histogram) -> Self {
        Self { began: Instant::now(), times: times.clone() }
    }

    pub(super) fn stop(self) {
        self.times.observe(self.began.elapsed().as_secs_f64());
    }
}

/// A histogram in which nothing has been measured.
pub(super) fn write_times() -> Histogram {
    Histogram::new(SECONDS)
}

// the one question that the engines ask each in their own words, so not in the registry of common statements
const POSTGRES_SIZE: &str = "SELECT pg_database_size(current_database())";
const SQLITE_SIZE: &str = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
/// From a write to memory to the five seconds after which a lock is given up.
const SECONDS: [f64; 8] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];
