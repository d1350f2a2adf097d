//! `backup create` and `backup restore`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::backup::{self, Manifest};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::store::Store;

/// Backups.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Write keys, settings and database to one file; the server may run
    Create {
        /// The file to make
        file: PathBuf,
    },
    /// Make a server of a backup; the server must not run
    Restore {
        /// The file to read
        file: PathBuf,
        /// Replace a server that is there; what it had is kept beside
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn backup(config: &Config, command: BackupCommand) -> Result<()> {
    match command {
        BackupCommand::Create { file } => create(config, &file).await,
        BackupCommand::Restore { file, force } => {
            let manifest = backup::restore(&file, config, force).await?;
            println!("restored {}", describe(&manifest));
            println!("into {} and {}", config.data_dir.display(), config.database_url);
            Ok(())
        }
    }
}

async fn create(config: &Config, file: &Path) -> Result<()> {
    super::db::must_exist(&config.database_url)?;
    let url = &config.database_url;
    let store = Store::connect(url).await.with_context(|| format!("open the database {url}"))?;
    let made = backup::create(&store, config, file, SystemClock.now()).await;
    store.close().await;
    println!("{}: {}", file.display(), describe(&made?));
    Ok(())
}

fn describe(manifest: &Manifest) -> String {
    let rows: u64 = manifest.tables.iter().map(|table| table.tally.rows).sum();
    let keys = manifest.entries.keys().filter(|entry| entry.starts_with("files/")).count();
    format!(
        "{rows} rows of {} tables and {keys} files, of {} by version {}",
        manifest.tables.len(),
        manifest.created_at,
        manifest.version
    )
}
