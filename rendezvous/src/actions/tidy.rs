//! Forgets what has served its time, so that no table but the devices grows for ever.

use std::time::Duration;

use warren_proto::keys::UnixTime;

use super::record_paths::before;
use crate::app::App;
use crate::domain::history::Span;
use crate::error::Error;

/// Cuts the change log and the audit log to their lengths. Harmless at any time.
pub async fn tidy(app: &App) -> Result<(), Error> {
    let now = app.now();
    let oldest = app.store().revision().await?.saturating_sub(CHANGES_KEPT);
    let since = UnixTime::new(now.since_epoch().saturating_sub(AUDIT_KEPT));
    let mut tx = app.store().begin().await?;
    tx.trim_changes(oldest).await?;
    tx.delete_old_audit(since).await?;
    tx.delete_expired_setup_tokens(now).await?;
    for span in Span::ALL {
        // of ways that are silent; the others are trimmed as they are written
        tx.delete_old_path_points(span, before(span, now)).await?;
    }
    tx.delete_old_path_changes(before(Span::Hour, now)).await?;
    tx.delete_expired_api_tokens(now).await?;
    tx.delete_expired_account_links(now).await?;
    tx.delete_expired_asked(now).await?;
    tx.commit().await?;
    app.hub().set_oldest_revision(app.store().oldest_revision().await?.unwrap_or(0));
    Ok(())
}

/// A device that missed more than this many changes is told the whole map, which is shorter by then.
const CHANGES_KEPT: u64 = 100_000;
/// A year of activity, and a month to notice.
const AUDIT_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
