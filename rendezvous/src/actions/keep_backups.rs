//! The nightly backup: made when it is due, and how old the newest one is.

use anyhow::Result;

use crate::app::App;
use crate::backup::{self, Kept};

/// Makes the nightly backup if it is due.
pub async fn keep_backups(app: &App) -> Result<()> {
    backup::keep_nightly(app.store(), app.config(), app.now()).await
}

/// The newest backup that was made without being asked for, for the pages.
pub fn newest_backup(app: &App) -> Result<Option<Kept>> {
    backup::newest(app.config())
}
