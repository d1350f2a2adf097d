//! Makes a server of a backup: its keys into the data directory, its rows into an empty database of either engine.
//!
//! Nothing is touched before the whole archive has been read and found whole. A SQLite database is built beside the place
//! it will have; what was there before stays under another name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{FORMAT, Manifest, archive};
use crate::config::Config;
use crate::keys::{BEFORE_RESTORE, DataDir, create_private};
use crate::store::{DatabaseUrl, Store, Table, Tx, Values};

/// Reads an archive to its end and checks it.
pub fn read_manifest(file: &Path) -> Result<Manifest> {
    let manifest = archive::verify(file)?;
    ensure!(
        manifest.format <= FORMAT,
        "{} was made by a newer version ({}); restore it with that",
        file.display(),
        manifest.version
    );
    Ok(manifest)
}

/// Restores into the configured data directory and database. With `force` what is there is moved aside.
pub async fn restore(file: &Path, config: &Config, force: bool) -> Result<Manifest> {
    let manifest = read_manifest(file)?;
    let directory = DataDir::open(&config.data_dir)?;
    let _alone = directory.seize()?;
    let files = saved_files(file)?;
    let there = directory.files()?;
    let differs = |(name, content): &&(String, Vec<u8>)| there.iter().any(|(has, is)| has == name && is != content);
    if let Some((name, _)) = files.iter().find(differs).filter(|_| !force) {
        bail!(
            "{} is there already and is another server's; --force puts the backup's in its place and keeps it as {name}{BEFORE_RESTORE}",
            directory.file(name).display()
        );
    }
    match &config.database_url {
        DatabaseUrl::Sqlite(path) => {
            ensure!(
                force || fs::metadata(path).map_or(0, |file| file.len()) == 0,
                "there is a database {} already; --force puts the backup's in its place and keeps it beside that",
                path.display()
            );
            let draft = beside(path, ".restoring");
            remove_database(&draft)?;
            create_private(&draft).with_context(|| format!("create {}", draft.display()))?;
            load(file, &manifest, &DatabaseUrl::Sqlite(draft.clone())).await?;
            for (name, content) in &files {
                directory.replace(name, content)?;
            }
            exchange(&draft, path).with_context(|| format!("put {} in its place", path.display()))?;
        }
        postgres @ DatabaseUrl::Postgres(_) => {
            load(file, &manifest, postgres).await?;
            for (name, content) in &files {
                directory.replace(name, content)?;
            }
        }
    }
    Ok(manifest)
}

fn saved_files(file: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    archive::each(file, |entry, content| {
        if let Some(name) = entry.strip_prefix("files/") {
            ensure!(!name.contains('/') && !name.starts_with('.'), "{entry} is no name of ours");
            files.push((name.to_owned(), content));
        }
        Ok(())
    })?;
    Ok(files)
}

/// Fills an empty database under the schema of the backup, then brings it to this program's.
async fn load(file: &Path, manifest: &Manifest, url: &DatabaseUrl) -> Result<()> {
    let store = Store::connect(url).await.with_context(|| format!("open the database {url}"))?;
    let status = store.migration_status().await.with_context(|| format!("read the schema of {url}"))?;
    store.close().await;
    ensure!(status.applied.is_none(), "the database {url} has tables already; make an empty one and name that");
    ensure!(
        manifest.schema <= status.known,
        "the backup has schema {}, this version knows {}: restore it with version {} or a later one",
        manifest.schema,
        status.known,
        manifest.version
    );
    let store = Store::open_at(url, manifest.schema).await?;
    let mut tx = store.begin_load().await?;
    let tables = tx.tables().await.context("list the tables")?;
    fill(file, manifest, &mut tx, &tables).await?;
    tx.commit().await.context("write the database")?;
    store.migrate_to_newest(url).await?;
    store.close().await;
    Ok(())
}

async fn fill(file: &Path, manifest: &Manifest, tx: &mut Tx, tables: &[Table]) -> Result<()> {
    // the archive is read by a thread that waits for the database: it may be larger than memory
    let (send, mut parts) = tokio::sync::mpsc::channel::<(String, Vec<u8>)>(PARTS_AHEAD);
    let path = file.to_owned();
    let reader = tokio::task::spawn_blocking(move || {
        archive::each(&path, |entry, content| {
            let part = entry.strip_prefix("tables/").and_then(|entry| entry.split_once('/'));
            let Some((table, _)) = part else { return Ok(()) };
            send.blocking_send((table.to_owned(), content)).context("the database failed")
        })
    });
    while let Some((name, content)) = parts.recv().await {
        let table = tables.iter().find(|table| table.name == name);
        let table = table.with_context(|| format!("schema {} has no table {name}", manifest.schema))?;
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows: Vec<Values> = lines.map(serde_json::from_slice).collect::<Result<_, _>>().context("read the rows")?;
        tx.insert_rows(table, &rows).await.with_context(|| format!("write the table {name}"))?;
    }
    reader.await.context("read the backup")??;
    for saved in &manifest.tables {
        let table = tables.iter().find(|table| table.name == saved.name);
        let table = table.with_context(|| format!("schema {} has no table {}", manifest.schema, saved.name))?;
        tx.verify(table, &saved.tally).await?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A SQLite database is its file and what belongs to it.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

fn remove_database(path: &Path) -> Result<()> {
    for part in PARTS.map(|suffix| beside(path, suffix)) {
        match fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", part.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Moves what is at `path` aside and the draft there.
fn exchange(draft: &Path, path: &Path) -> std::io::Result<()> {
    for suffix in PARTS {
        let (from, to) = (beside(path, suffix), beside(&beside(path, BEFORE_RESTORE), suffix));
        match fs::rename(from, to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(draft, path)
}

/// A few batches of rows.
const PARTS_AHEAD: usize = 4;
