//! The one-time link that makes the first administrator.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::create_admin::insert_admin;
use super::secret_hash;
use crate::app::App;
use crate::domain::{Actor, Role};
use crate::error::Error;
use crate::public;
use crate::store::AdminUser;

/// Makes a setup token and returns the link that carries it; `None` when there is an administrator already.
pub async fn create_setup_token(app: &App) -> Result<Option<String>, Error> {
    let now = app.now();
    let token: [u8; 32] = app.random();
    let mut tx = app.store().begin().await?;
    if tx.admin_count().await? > 0 {
        return Ok(None);
    }
    let network = tx.network().await?;
    tx.delete_expired_setup_tokens(now).await?;
    tx.insert_setup_token(&secret_hash(&token), now.plus(WORKS_FOR), now).await?;
    tx.commit().await?;
    // in the fragment, which a browser sends to nobody: it reaches no log and no Referer
    let base = public::web_url(app.config(), network.as_ref());
    Ok(Some(format!("{base}/setup#{}", BASE64URL_NOPAD.encode(&token))))
}

/// Makes the first administrator; the token, and every other one, is used up in the same transaction.
pub async fn consume_setup_token(
    app: &App,
    token: &str,
    name: &str,
    password_hash: String,
) -> Result<AdminUser, Error> {
    let token = BASE64URL_NOPAD.decode(token.trim().as_bytes()).map_err(|_| Error::SetupTokenInvalid)?;
    let now = app.now();
    let mut tx = app.store().begin().await?;
    let stored = tx.setup_token(&secret_hash(&token)).await?.ok_or(Error::SetupTokenInvalid)?;
    if stored.used_at.is_some() || stored.expires_at <= now || tx.admin_count().await? > 0 {
        return Err(Error::SetupTokenInvalid);
    }
    let user = insert_admin(app, &mut tx, &Actor::Server, name, password_hash, Role::Owner).await?;
    tx.use_setup_tokens(now).await?;
    tx.commit().await?;
    Ok(user)
}

/// From `docker compose up` to the browser, with a night between; `setup-link` makes another any time.
const WORKS_FOR: Duration = Duration::from_secs(24 * 3600);
