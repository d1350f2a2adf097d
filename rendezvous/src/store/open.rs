//! Opening, migrating and describing the database. Refuses a database that a newer program wrote.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{Committed, Engine, SqlitePools, Store};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the URL may hold a password.
    Postgres(String),
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error texts say it")]
pub enum OpenError {
    #[error("cannot use the database {what}")]
    Connect { what: String, source: sqlx::Error },
    #[error(
        "the database {what} was written by a newer version of warren-rendezvous (schema {schema}); upgrade this one"
    )]
    Newer { what: String, schema: i64 },
    #[error("cannot bring the database {what} to this version's schema")]
    Migrate { what: String, source: MigrateError },
}

/// How far the schema is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MigrationStatus {
    /// The newest migration this program knows.
    pub known: i64,
    /// The newest migration the database has seen, if any.
    pub applied: Option<i64>,
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).ok_or(InvalidDatabaseUrl)?;
        if path.is_empty() { Err(InvalidDatabaseUrl) } else { Ok(Self::Sqlite(path.into())) }
    }
}

impl DatabaseUrl {
    /// The engine's name, for people.
    pub const fn engine(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Sqlite(_) => "SQLite",
        }
    }
}

impl std::fmt::Display for DatabaseUrl {
    /// Without user and password: this goes to logs and error messages.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                write!(f, "postgres://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The text is not a database URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a database URL is sqlite:///PATH or postgres://USER:PASSWORD@HOST/NAME")]
pub struct InvalidDatabaseUrl;

impl Store {
    /// Opens the database, creating a SQLite file that is not there, and migrates it to this program's schema.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let store = Self::connect(url).await.map_err(|source| OpenError::Connect { what: url.to_string(), source })?;
        store.migrate(url).await?;
        Ok(store)
    }

    /// Opens an empty database and gives it the schema of an earlier version, for what was saved under that.
    pub async fn open_at(url: &DatabaseUrl, schema: i64) -> Result<Self, OpenError> {
        let store = Self::connect(url).await.map_err(|source| OpenError::Connect { what: url.to_string(), source })?;
        let done = match &store.db {
            Engine::Sqlite(pools) => SQLITE.run_to(schema, &pools.write).await,
            Engine::Postgres(pool) => POSTGRES.run_to(schema, pool).await,
        };
        done.map_err(|source| OpenError::Migrate { what: url.to_string(), source })?;
        Ok(store)
    }

    /// Brings a database that was opened at an earlier schema to this program's.
    pub async fn migrate_to_newest(&self, url: &DatabaseUrl) -> Result<(), OpenError> {
        self.migrate(url).await
    }

    /// Opens the database as it is.
    pub async fn connect(url: &DatabaseUrl) -> Result<Self, sqlx::Error> {
        let db = match url {
            DatabaseUrl::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    // what an agent was told is committed must survive a power cut; enrolments are rare enough to sync
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY_TIMEOUT);
                let pool = SqlitePoolOptions::new().acquire_timeout(BUSY_TIMEOUT);
                let write = pool.clone().max_connections(1).connect_with(options.clone()).await?;
                let read = pool.max_connections(READERS).connect_with(options).await?;
                Engine::Sqlite(SqlitePools { read, write })
            }
            DatabaseUrl::Postgres(url) => Engine::Postgres(
                PgPoolOptions::new()
                    .acquire_timeout(BUSY_TIMEOUT)
                    .max_connections(POSTGRES_CONNECTIONS)
                    .connect(url)
                    .await?,
            ),
        };
        Ok(Self { db, write_times: super::load::write_times(), committed: Committed::default() })
    }

    async fn migrate(&self, url: &DatabaseUrl) -> Result<(), OpenError> {
        let done = match &self.db {
            Engine::Sqlite(pools) => SQLITE.run(&pools.write).await,
            Engine::Postgres(pool) => POSTGRES.run(pool).await,
        };
        done.map_err(|error| {
            let what = url.to_string();
            if let MigrateError::VersionMissing(schema) = error {
                return OpenError::Newer { what, schema };
            }
            OpenError::Migrate { what, source: error }
        })
    }

    /// How far the schema is; an empty database has applied nothing.
    pub async fn migration_status(&self) -> Result<MigrationStatus, MigrateError> {
        use sqlx::migrate::Migrate;
        let applied = match &self.db {
            Engine::Sqlite(pools) => {
                let mut db = pools.read.acquire().await?;
                db.ensure_migrations_table("_sqlx_migrations").await?;
                db.list_applied_migrations("_sqlx_migrations").await?
            }
            Engine::Postgres(pool) => {
                let mut db = pool.acquire().await?;
                db.ensure_migrations_table("_sqlx_migrations").await?;
                db.list_applied_migrations("_sqlx_migrations").await?
            }
        };
        Ok(MigrationStatus {
            known: SQLITE.iter().map(|migration| migration.version).max().unwrap_or(0),
            applied: applied.iter().map(|migration| migration.version).max(),
        })
    }
}

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

/// How long a statement waits for another process's lock (`key create` beside a running server) or for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Readers beside SQLite's writer: pages and map deltas are short, more would only share two cores.
const READERS: u32 = 4;
/// Below PostgreSQL's default of 100 with room for several replicas.
const POSTGRES_CONNECTIONS: u32 = 16;
