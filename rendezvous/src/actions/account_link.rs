//! Links that make an account or reset a password: made for somebody, opened by them once.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::create_admin::insert_admin;
use super::manage_user::{By, manageable};
use super::{audit, secret_hash};
use crate::app::App;
use crate::domain::{Actor, Role, account_subject};
use crate::error::Error;
use crate::public;
use crate::store::{AccountLink, AdminUser, LinkPurpose, Tx};

/// A link, shown this once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedLink {
    /// To be given to the person.
    pub url: String,
    /// Names it in lists.
    pub id: Uuid,
    /// When it stops working.
    pub expires_at: UnixTime,
}

/// Makes a link that makes an account of this role.
pub async fn invite_user(app: &App, by: By<'_>, role: Role, note: &str) -> Result<CreatedLink, Error> {
    if !by.role.may_manage(role) {
        return Err(Error::NotAllowed);
    }
    let mut tx = app.store().begin().await?;
    if tx.account_link_count().await? >= MAX_LINKS || tx.admin_count().await? >= MAX_ACCOUNTS {
        return Err(Error::AccountsFull);
    }
    let note: String = note.trim().chars().filter(|letter| !letter.is_control()).take(MAX_NOTE).collect();
    audit(app, &mut tx, by.actor, "user.invite", &note, role).await?;
    let created = insert(app, &mut tx, by.actor, LinkPurpose::Invite(role), note, "join", INVITE_WORKS_FOR).await?;
    tx.commit().await?;
    Ok(created)
}

/// Makes a link that gives an account another password. Nothing changes before it is opened.
pub async fn create_reset_link(app: &App, by: By<'_>, id: Uuid, drops_factors: bool) -> Result<CreatedLink, Error> {
    let mut tx = app.store().begin().await?;
    let user = manageable(&mut tx, by, id).await?;
    // one at a time: the one before was for somebody who did not get it
    tx.delete_reset_links(id).await?;
    let detail = if drops_factors { "and remove passkeys and authenticator" } else { "" };
    audit(app, &mut tx, by.actor, "user.reset-link", &user.name, detail).await?;
    let purpose = LinkPurpose::Reset { user: id, drops_factors };
    let created = insert(app, &mut tx, by.actor, purpose, String::new(), "reset", RESET_WORKS_FOR).await?;
    tx.commit().await?;
    Ok(created)
}

async fn insert(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    purpose: LinkPurpose,
    note: String,
    page: &str,
    works_for: Duration,
) -> Result<CreatedLink, Error> {
    let now = app.now();
    let token: [u8; 32] = app.random();
    let (id, created_by, expires_at) = (app.new_id(), actor.to_string(), now.plus(works_for));
    let link = AccountLink { id, purpose, note, created_by, created_at: now, expires_at };
    tx.insert_account_link(&link, &secret_hash(&token)).await?;
    let base = public::web_url(app.config(), tx.network().await?.as_ref());
    // in the fragment, which a browser sends to nobody: it reaches no log and no Referer
    let url = format!("{base}/{page}#{}", BASE64URL_NOPAD.encode(&token));
    Ok(CreatedLink { url, id, expires_at })
}

/// Withdraws an invite that nobody has used.
pub async fn withdraw_user_invite(app: &App, by: By<'_>, id: Uuid) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    let link = tx.account_link_by_id(id, app.now()).await?.ok_or(Error::AccountLinkInvalid)?;
    let LinkPurpose::Invite(role) = link.purpose else { return Err(Error::AccountLinkInvalid) };
    if !by.role.may_manage(role) {
        return Err(Error::NotAllowed);
    }
    tx.delete_account_link(id).await?;
    audit(app, &mut tx, by.actor, "user.withdraw-invite", link.note, role).await?;
    Ok(tx.commit().await?)
}

/// Makes the account of an invite, and uses the invite up.
pub async fn accept_user_invite(app: &App, token: &str, name: &str, password_hash: String) -> Result<AdminUser, Error> {
    let mut tx = app.store().begin().await?;
    let link = tx.account_link(&token_hash(token)?, app.now()).await?.ok_or(Error::AccountLinkInvalid)?;
    let LinkPurpose::Invite(role) = link.purpose else { return Err(Error::AccountLinkInvalid) };
    tx.delete_account_link(link.id).await?;
    let user = insert_admin(app, &mut tx, &Actor::Server, name, password_hash, role).await?;
    tx.commit().await?;
    Ok(user)
}

/// Whose password a reset link gives anew.
pub async fn reset_link_user(app: &App, token: &str) -> Result<AdminUser, Error> {
    let link = app.store().account_link(&token_hash(token)?, app.now()).await?.ok_or(Error::AccountLinkInvalid)?;
    let LinkPurpose::Reset { user, .. } = link.purpose else { return Err(Error::AccountLinkInvalid) };
    app.store().admin_by_id(user).await?.ok_or(Error::AccountLinkInvalid)
}

/// Gives the account of a reset link this password, ends its sessions and uses the link up.
pub async fn use_reset_link(app: &App, token: &str, password_hash: &str) -> Result<AdminUser, Error> {
    let mut tx = app.store().begin().await?;
    let link = tx.account_link(&token_hash(token)?, app.now()).await?.ok_or(Error::AccountLinkInvalid)?;
    let LinkPurpose::Reset { user: id, drops_factors } = link.purpose else { return Err(Error::AccountLinkInvalid) };
    let user = tx.admin_by_id(id).await?.filter(|user| user.disabled_at.is_none()).ok_or(Error::AccountLinkInvalid)?;
    let actor = Actor::User { id, name: user.name.clone() };
    set_password(app, &mut tx, &actor, &user, password_hash, drops_factors).await?;
    tx.commit().await?;
    Ok(user)
}

/// Gives an account another password from the server's shell.
pub async fn reset_user(
    app: &App,
    actor: &Actor,
    id: Uuid,
    password_hash: &str,
    drops_factors: bool,
) -> Result<AdminUser, Error> {
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
    set_password(app, &mut tx, actor, &user, password_hash, drops_factors).await?;
    tx.commit().await?;
    Ok(user)
}

async fn set_password(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    user: &AdminUser,
    password_hash: &str,
    drops_factors: bool,
) -> Result<(), Error> {
    tx.set_admin_password(user.id, password_hash).await?;
    tx.delete_sessions_of(user.id).await?;
    tx.delete_reset_links(user.id).await?;
    tx.delete_attempts(&account_subject(&user.name)).await?;
    if drops_factors {
        tx.set_totp(user.id, None, 0).await?;
        tx.set_recovery_codes(user.id, &[]).await?;
        tx.delete_passkeys_of(user.id).await?;
        tx.delete_oidc_identities_of(user.id).await?;
    }
    let detail = if drops_factors { "and removed passkeys and authenticator" } else { "" };
    audit(app, tx, actor, "user.reset", &user.name, detail).await
}

/// A token as it is stored; people paste the whole link as well.
fn token_hash(text: &str) -> Result<[u8; 32], Error> {
    let token = text.trim().rsplit('#').next().unwrap_or_default();
    let token = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| Error::AccountLinkInvalid)?;
    Ok(secret_hash(&token))
}

/// To reach somebody who reads their messages at the week-end.
const INVITE_WORKS_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Gives an account away, so no longer than a day.
const RESET_WORKS_FOR: Duration = Duration::from_secs(86_400);
const MAX_NOTE: usize = 80;
const MAX_LINKS: u64 = 1000;
/// A company's worth; whoever has more brings an OpenID provider, and has this raised.
pub(super) const MAX_ACCOUNTS: u64 = 10_000;
