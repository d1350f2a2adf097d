//! The nightly backup: made when it is due, how old the newest one is, and what is wrong with that.

use std::time::Duration;

use anyhow::Result;

use crate::app::App;
use crate::backup::{self, Kept};

/// How the backups are that nobody has to ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupState {
    /// The newest one.
    pub newest: Option<Kept>,
    /// What is wrong, and what to do.
    pub trouble: Option<String>,
}

/// Makes the nightly backup if it is due.
pub async fn keep_backups(app: &App) -> Result<()> {
    let made = backup::keep_nightly(app.store(), app.config(), app.now()).await;
    app.set_backup_trouble(made.as_ref().err().map(|error| format!("{error:#}")));
    made
}

/// How they are, for the pages.
pub fn backup_state(app: &App) -> BackupState {
    if app.config().backup_keep == 0 {
        let trouble = "none is made, because backup-keep is 0".to_owned();
        return BackupState { newest: None, trouble: Some(trouble) };
    }
    let newest = match backup::newest(app.config()) {
        Ok(newest) => newest,
        Err(error) => return BackupState { newest: None, trouble: Some(format!("{error:#}")) },
    };
    let is_old = |at| app.now().since_epoch().saturating_sub(at) > OVERDUE;
    let since = newest.as_ref().map_or_else(|| app.started_at(), |kept| kept.at);
    let trouble = match app.backup_trouble() {
        Some(reason) => Some(format!("the last attempt failed: {reason}; it is tried again every ten minutes")),
        None if is_old(since.since_epoch()) => {
            Some("the newest is older than a day and a half; look at the log".to_owned())
        }
        None => None,
    };
    BackupState { newest, trouble }
}

/// A night, and half a day for a machine that was off.
const OVERDUE: Duration = Duration::from_secs(36 * 3600);
