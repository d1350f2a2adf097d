//! `db migrate` and `db status`.

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::open;
use crate::config::Config;
use crate::store::{DatabaseUrl, Store};

/// The database.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the database to this version's schema (`run` does so too)
    Migrate,
    /// Print which schema the database has and which this version wants; exit 1 when they differ
    Status,
}

pub(super) async fn db(config: &Config, command: DbCommand) -> Result<()> {
    match command {
        DbCommand::Migrate => {
            open(config.clone()).await?.store().close().await;
            println!("{} has this version's schema", config.database_url);
            Ok(())
        }
        DbCommand::Status => status(config).await,
    }
}

async fn status(config: &Config) -> Result<()> {
    let url = &config.database_url;
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        bail!("there is no database {url} yet; `run` or `db migrate` makes it");
    }
    let store = Store::connect(url).await.with_context(|| format!("open the database {url}"))?;
    let status = store.migration_status().await.with_context(|| format!("read the schema of {url}"))?;
    let revision = store.revision().await;
    store.close().await;
    let applied = status.applied.map_or_else(|| "none".to_owned(), |version| version.to_string());
    println!("database {url}\nschema {applied}\nwanted {}", status.known);
    if let Ok(revision) = revision {
        println!("revision {revision}");
    }
    if status.applied != Some(status.known) {
        bail!("the schemas differ");
    }
    Ok(())
}
