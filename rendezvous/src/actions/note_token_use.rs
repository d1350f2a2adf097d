//! Notes when and from where a token is used. That it is used from a place it was never used from is news: it may have been
//! stolen.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::audit;
use crate::app::App;
use crate::auth::{By, Identity};
use crate::error::Error;
use crate::store::AuditFilter;

/// Notes the use, seldom enough that reading does not become writing to the database.
pub(crate) async fn note_token_use(app: &App, caller: &Identity, from: IpAddr) -> Result<(), Error> {
    let By::Token { id, used, .. } = &caller.by else { return Ok(()) };
    let (now, from) = (app.now(), from.to_string());
    let is_same = used.as_ref().is_some_and(|(_, before)| *before == from);
    if is_same && used.as_ref().is_some_and(|(at, _)| now < at.plus(NOTE_EVERY)) {
        return Ok(());
    }
    let is_news = !is_same && is_news(app, *id, &from, now).await?;
    let mut tx = app.store().begin().await?;
    let Some(token) = tx.api_token(*id).await? else { return Ok(()) };
    tx.note_api_token_use(*id, &from, now).await?;
    // of several requests at once the first says it
    if is_news && token.last_used_from.as_ref() != Some(&from) {
        audit(app, &mut tx, &caller.actor(), "token.use", id, &token.name).await?;
    }
    Ok(tx.commit().await?)
}

/// Whether the log does not say yet that the token is used from there. A token that is used from everywhere is news no more.
async fn is_news(app: &App, id: Uuid, from: &str, now: UnixTime) -> Result<bool, Error> {
    let (subject, action) = (Some(id.to_string()), Some("token.use".to_owned()));
    let known = app.store().audit(&AuditFilter { subject, action, ..AuditFilter::default() }, MAX_PLACES).await?;
    let is_full = known.len() >= MAX_PLACES as usize;
    let is_everywhere = is_full && known.iter().all(|(_, entry)| now < entry.at.plus(A_DAY));
    Ok(!is_everywhere && known.iter().all(|(_, entry)| entry.address != from))
}

/// Fine enough to find a token that nobody uses.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// A laptop has fewer on one day; more lines would only bury others.
const MAX_PLACES: u32 = 20;
const A_DAY: Duration = Duration::from_secs(24 * 3600);
