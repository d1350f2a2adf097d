//! All SQL, over SQLite or PostgreSQL: one text for both, two native pools behind one enum.
//!
//! Statements are constants, listed in `registry` so that a test prepares every one on both engines. Rows become domain
//! values here. Rules, audit and the change log's meaning are `actions`' business; there is no `now()` in any query.

mod account_link;
mod acme;
mod address;
mod admin_user;
mod api_token;
mod attempt;
mod audit;
mod ceremony;
mod change;
mod copy;
mod device;
mod enrolment;
mod idempotency;
mod invite;
mod load;
mod network;
mod notice;
mod oidc_identity;
mod open;
mod passkey;
mod path_history;
mod recovery_code;
mod registry;
mod replica;
mod session;
mod setup_token;
mod tables;
mod value;
mod webhook;
mod webhook_attempt;

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{Executor as _, PgPool, Postgres, SqlSafeStr as _, Sqlite, SqlitePool, Transaction};

pub use account_link::{AccountLink, LinkPurpose};
pub use acme::{AcmeFailure, StoredCertificate};
pub use admin_user::AdminUser;
pub use api_token::ApiToken;
pub use audit::{AuditEntry, AuditFilter, FieldChange};
pub use ceremony::Ceremony;
pub use change::{Change, ChangeKind};
pub use copy::{Copied, CopyError};
pub use enrolment::{AskedEnrolment, AskedState};
pub use idempotency::Earlier;
pub use invite::StoredInvite;
pub use load::PoolLoad;
pub use network::NetworkRow;
pub use notice::Listener;
pub use open::{DatabaseUrl, InvalidDatabaseUrl, MigrationStatus, OpenError};
pub use passkey::Passkey;
pub use registry::STATEMENTS;
pub use replica::{Lead, ReplicaRow};
pub use session::{NewSession, Session, SessionView};
pub use setup_token::SetupToken;
pub use tables::{Column, Table, Tally, Value, Values};
pub use webhook::{Attempted, Delivery, Webhook};
pub use webhook_attempt::WebhookAttempt;

use load::Stopwatch;
use notice::{Committed, Pending};

/// What the database answers; every failure is the world's.
pub type Result<T> = std::result::Result<T, sqlx::Error>;

/// One of the two engines, holding what it needs.
#[derive(Clone, Debug)]
enum Engine<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// SQLite's pools: one connection writes, several read beside it (WAL).
#[derive(Clone, Debug)]
struct SqlitePools {
    read: SqlitePool,
    write: SqlitePool,
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Engine<SqlitePools, PgPool>,
    write_times: Histogram,
    committed: Committed,
}

/// A write transaction; rolled back unless committed.
#[derive(Debug)]
pub struct Tx(Engine<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>, Stopwatch, Pending);

impl Store {
    /// Opens a write transaction, the only one until it ends: what it reads still holds when it writes.
    pub async fn begin(&self) -> Result<Tx> {
        let watch = Stopwatch::start(&self.write_times);
        match &self.db {
            Engine::Sqlite(pools) => Ok(Tx(
                Engine::Sqlite(pools.write.begin_with("BEGIN IMMEDIATE").await?),
                watch,
                self.committed.pending(),
            )),
            Engine::Postgres(pool) => {
                let mut tx = Tx(Engine::Postgres(pool.begin().await?), watch, self.committed.pending());
                tx.lock_network().await?;
                Ok(tx)
            }
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        on_reader!(self, db => sqlx::query(registry::PING).execute(db).await.map(drop))
    }

    /// Whether this engine understands a statement and knows every table and column it names.
    pub async fn check(&self, sql: &'static str) -> Result<()> {
        on_reader!(self, db => db.prepare(sql.into_sql_str()).await.map(drop))
    }

    /// Closes every connection, after saying what is still to be said; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        self.notify_rest().await;
        match &self.db {
            Engine::Sqlite(pools) => {
                pools.read.close().await;
                pools.write.close().await;
            }
            Engine::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Makes everything done so far durable.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Engine::Sqlite(tx) => tx.commit().await?,
            Engine::Postgres(tx) => tx.commit().await?,
        }
        self.1.stop();
        self.2.publish();
        Ok(())
    }
}

/// Runs one expression on the reading pool of whichever engine is there.
macro_rules! on_reader {
    ($store:expr, $db:ident => $run:expr) => {
        match &$store.db {
            $crate::store::Engine::Sqlite(pools) => {
                let $db = &pools.read;
                $run
            }
            $crate::store::Engine::Postgres($db) => $run,
        }
    };
}

/// Runs one expression on the connection of a write transaction.
macro_rules! on_tx {
    ($tx:expr, $db:ident => $run:expr) => {
        match &mut $tx.0 {
            $crate::store::Engine::Sqlite(tx) => {
                let $db = &mut **tx;
                $run
            }
            $crate::store::Engine::Postgres(tx) => {
                let $db = &mut **tx;
                $run
            }
        }
    };
}

/// Declares a module's statements and lists them for the registry.
macro_rules! statements {
    ($($name:ident = $sql:literal;)*) => {
        $(const $name: &str = $sql;)*
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name),)*];
    };
}

use {on_reader, on_tx, statements};
