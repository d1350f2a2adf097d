//! All rows of one database into another, empty one: everything or nothing, checked before it is made to last.

use tokio::sync::mpsc;

use super::tables::{Table, Tally, Values};
use super::{DatabaseUrl, MigrationStatus, OpenError, Store, Tx};

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error texts say it")]
pub enum CopyError {
    #[error("the database has schema {applied}, this version wants {known}: run `warren-rendezvous db migrate` first")]
    Behind { applied: i64, known: i64 },
    #[error("{0}")]
    Differs(String),
    #[error("the database to copy to has a mesh in it already; name an empty one")]
    NotEmpty,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database failed")]
    World(#[from] sqlx::Error),
}

/// What was copied: tables with the number of their rows.
pub type Copied = Vec<(String, u64)>;

impl Store {
    /// Copies everything to the database at `to`, which is given the schema first.
    pub async fn copy_to(&self, to: &DatabaseUrl) -> std::result::Result<Copied, CopyError> {
        let MigrationStatus { known, applied } = self.migration_status().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let applied = applied.unwrap_or(0);
        if applied != known {
            return Err(CopyError::Behind { applied, known });
        }
        let target = Self::open(to).await?;
        let copied = self.copy_rows(&target).await;
        target.close().await;
        copied
    }

    async fn copy_rows(&self, target: &Self) -> std::result::Result<Copied, CopyError> {
        let mut from = self.begin_snapshot().await?;
        let mut into = target.begin_load().await?;
        let tables = into.tables().await?;
        let mut copied = Vec::new();
        for table in from.tables().await? {
            let there = matching(&tables, &table).ok_or_else(|| {
                CopyError::Differs(format!("the table {} is not the same in both databases", table.name))
            })?;
            let (send, mut batches) = mpsc::channel::<Vec<Values>>(BATCHES_AHEAD);
            let write = async {
                while let Some(rows) = batches.recv().await {
                    into.insert_rows(there, &rows).await?;
                }
                Ok(())
            };
            let (read, _) = tokio::try_join!(from.read_rows(&table, send), write)?;
            into.verify(there, &read).await?;
            copied.push((table.name, read.rows));
        }
        into.commit().await?;
        Ok(copied)
    }

    /// Begins to fill an empty database of this schema.
    pub async fn begin_load(&self) -> std::result::Result<Tx, CopyError> {
        let mut tx = self.begin().await?;
        if tx.network().await?.is_some() {
            return Err(CopyError::NotEmpty);
        }
        let tables = tx.tables().await?;
        tx.clear_tables(&tables).await?;
        Ok(tx)
    }
}

impl Tx {
    /// Whether a table holds exactly these rows.
    pub async fn verify(&mut self, table: &Table, expected: &Tally) -> std::result::Result<(), CopyError> {
        let found = self.read_rows(table, mpsc::channel(1).0).await?;
        if found == *expected {
            return Ok(());
        }
        Err(CopyError::Differs(format!(
            "{} reads back differently: {} rows of {}; nothing was kept",
            table.name, found.rows, expected.rows
        )))
    }
}

/// The table of the other database that has the same columns.
fn matching<'a>(tables: &'a [Table], table: &Table) -> Option<&'a Table> {
    let names = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    tables.iter().find(|there| there.name == table.name && names(there) == names(table))
}

/// One is written while the next is read.
const BATCHES_AHEAD: usize = 2;
