//! Backups that nobody has to ask for: one a night, one before each change of the schema; the newest few of each kind stay.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use tracing::info;
use warren_proto::keys::UnixTime;

use super::create;
use crate::config::Config;
use crate::keys::DataDir;
use crate::store::{DatabaseUrl, Store};

/// A backup in the data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// When it was made.
    pub at: UnixTime,
    /// How large it is.
    pub bytes: u64,
}

/// Saves a database whose schema this program is about to change.
pub async fn before_migration(config: &Config, now: UnixTime) -> Result<()> {
    if config.backup_keep == 0 || matches!(&config.database_url, DatabaseUrl::Sqlite(path) if !path.exists()) {
        return Ok(());
    }
    // whatever is wrong with the database is said by who opens it next
    let Ok(store) = Store::connect(&config.database_url).await else { return Ok(()) };
    let applied = store.migration_status().await.ok().and_then(|status| Some((status.applied?, status.known)));
    let made = match applied {
        Some((applied, known)) if applied < known => {
            let directory = directory(config)?;
            let file = directory.join(name(&format!("{BEFORE}{applied:04}-"), now)?);
            info!("saving the database to {} before it is brought to a newer schema", file.display());
            let made = create(&store, config, &file, now).await.context("back up before the schema is changed");
            made.and_then(|_| prune(&directory, BEFORE, BEFORE_KEPT))
        }
        _ => Ok(()),
    };
    store.close().await;
    made
}

/// Makes a backup if the newest one of its kind is a day old.
pub async fn keep_nightly(store: &Store, config: &Config, now: UnixTime) -> Result<()> {
    let keep = config.backup_keep as usize;
    if keep == 0 {
        return Ok(());
    }
    let directory = directory(config)?;
    let newest = list(&directory, NIGHTLY)?.pop();
    if newest.is_some_and(|kept| now.since_epoch().saturating_sub(kept.at.since_epoch()) < EVERY) {
        return Ok(());
    }
    create(store, config, &directory.join(name(NIGHTLY, now)?), now).await?;
    prune(&directory, NIGHTLY, keep)
}

/// The newest backup that was made by itself, if any.
pub fn newest(config: &Config) -> Result<Option<Kept>> {
    let directory = directory(config)?;
    let mut kept = list(&directory, NIGHTLY)?;
    kept.extend(list(&directory, BEFORE)?);
    Ok(kept.into_iter().max_by_key(|kept| kept.at))
}

fn directory(config: &Config) -> Result<PathBuf> {
    let directory = config.data_dir.join(DIRECTORY);
    DataDir::open(&directory)?;
    Ok(directory)
}

fn name(prefix: &str, now: UnixTime) -> Result<String> {
    let at = OffsetDateTime::from_unix_timestamp(now.as_secs().cast_signed()).context("name the backup by its date")?;
    Ok(format!("{prefix}{}{SUFFIX}", at.format(MOMENT).context("name the backup")?))
}

/// The time in a name.
fn moment(name: &str) -> Option<UnixTime> {
    let at = PrimitiveDateTime::parse(name.strip_suffix(SUFFIX)?.rsplit('-').next()?, MOMENT).ok()?;
    Some(UnixTime::from_secs(at.assume_utc().unix_timestamp().try_into().ok()?))
}

/// Those of one kind, the oldest first.
fn list(directory: &Path, prefix: &str) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?.flatten() {
        let name = entry.file_name();
        let at = name.to_str().filter(|name| name.starts_with(prefix)).and_then(moment);
        if let (Some(at), Ok(about)) = (at, entry.metadata()) {
            kept.push(Kept { path: entry.path(), at, bytes: about.len() });
        }
    }
    kept.sort_by_key(|kept| kept.at);
    Ok(kept)
}

fn prune(directory: &Path, prefix: &str, keep: usize) -> Result<()> {
    let kept = list(directory, prefix)?;
    for old in kept.iter().rev().skip(keep) {
        fs::remove_file(&old.path).with_context(|| format!("remove the old backup {}", old.path.display()))?;
    }
    Ok(())
}

const MOMENT: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const DIRECTORY: &str = "backups";
const NIGHTLY: &str = "nightly-";
const BEFORE: &str = "before-schema-";
const SUFFIX: &str = ".tar.gz";
/// The way back from the last three upgrades.
const BEFORE_KEPT: usize = 3;
/// A night's.
const EVERY: Duration = Duration::from_secs(24 * 3600);
