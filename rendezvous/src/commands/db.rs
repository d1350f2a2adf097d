//! `db migrate`, `db status` and `db copy`.

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::open;
use crate::config::Config;
use crate::keys::{DataDir, create_private};
use crate::store::{DatabaseUrl, Store};

/// The database.
#[derive(Clone, Debug, Subcommand)]
pub enum DbCommand {
    /// Copy everything to another, empty database; the server must not run on this one meanwhile
    Copy {
        /// postgres://USER:PASSWORD@HOST/NAME or sqlite:///PATH
        #[arg(long, value_name = "URL", env = "WARREN_COPY_TO", hide_env_values = true)]
        to: DatabaseUrl,
    },
    /// Bring the database to this version's schema (`run` does so too)
    Migrate,
    /// Print which schema the database has and which this version wants; exit 1 when they differ
    Status,
}

pub(super) async fn db(config: &Config, command: DbCommand) -> Result<()> {
    match command {
        DbCommand::Copy { to } => copy(config, &to).await,
        DbCommand::Migrate => {
            open(config.clone()).await?.store().close().await;
            println!("{} has this version's schema", config.database_url);
            Ok(())
        }
        DbCommand::Status => status(config).await,
    }
}

async fn copy(config: &Config, to: &DatabaseUrl) -> Result<()> {
    let from = &config.database_url;
    must_exist(from)?;
    if from == to {
        bail!("{from} is the database that is in use; name another one");
    }
    // what a server wrote after its row was copied would be lost
    let _alone = DataDir::open(&config.data_dir)?.seize()?;
    if let DatabaseUrl::Sqlite(path) = to {
        create_private(path).with_context(|| format!("create the database {}", path.display()))?;
    }
    let store = Store::connect(from).await.with_context(|| format!("open the database {from}"))?;
    let copied = store.copy_to(to).await.with_context(|| format!("copy {from} to {to}"));
    store.close().await;
    for (table, rows) in copied? {
        println!("{table}: {rows}");
    }
    println!("{to} holds all of {from}, read back and compared. Start the server with --database-url on it;");
    println!("its keys stay in {}. {from} was left as it is.", config.data_dir.display());
    Ok(())
}

/// A database that a mere question must not make.
pub(super) fn must_exist(url: &DatabaseUrl) -> Result<()> {
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        bail!("there is no database {url} yet; `run` or `db migrate` makes it");
    }
    Ok(())
}

async fn status(config: &Config) -> Result<()> {
    let url = &config.database_url;
    must_exist(url)?;
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
