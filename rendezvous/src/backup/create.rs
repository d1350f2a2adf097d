//! Makes a backup of a database and a data directory that may be in use.

use std::path::Path;

use anyhow::{Context, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use warren_proto::keys::UnixTime;

use super::archive::Writer;
use super::{FORMAT, Manifest, SavedTable};
use crate::config::Config;
use crate::keys::DataDir;
use crate::store::{Store, Values};

/// Writes everything as it is at this moment to `file`, which only its owner can read.
pub async fn create(store: &Store, config: &Config, file: &Path, now: UnixTime) -> Result<Manifest> {
    let mut archive = Writer::create(file, now.as_secs())?;
    archive.add("settings.toml", config.to_string().as_bytes())?;
    for (name, content) in DataDir::open(&config.data_dir)?.files()? {
        archive.add(&format!("files/{name}"), &content)?;
    }
    let schema = store.migration_status().await.context("read the schema")?.applied.unwrap_or(0);
    let mut snapshot = store.begin_snapshot().await.context("begin to read the database")?;
    let mut tables = Vec::new();
    for table in snapshot.tables().await.context("list the tables")? {
        let (send, mut batches) = mpsc::channel::<Vec<Values>>(1);
        let write = async {
            for part in 1.. {
                let Some(rows) = batches.recv().await else { break };
                archive.add(&format!("tables/{}/{part:06}.jsonl", table.name), &lines(&rows)?)?;
            }
            Ok(())
        };
        let read =
            async { snapshot.read_rows(&table, send).await.with_context(|| format!("read the table {}", table.name)) };
        let (tally, ()) = tokio::try_join!(read, write)?;
        let columns = table.columns.into_iter().map(|column| column.name).collect();
        tables.push(SavedTable { name: table.name, columns, tally });
    }
    let created_at = OffsetDateTime::from_unix_timestamp(now.as_secs().cast_signed()).context("write the date")?;
    archive.finish(Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: created_at.format(&Rfc3339).context("write the date")?,
        engine: config.database_url.engine().to_owned(),
        schema,
        tables,
        entries: std::collections::BTreeMap::new(),
    })
}

fn lines(rows: &[Values]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, row).context("write a row")?;
        lines.push(b'\n');
    }
    Ok(lines)
}
