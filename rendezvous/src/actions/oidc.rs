//! Signing in at the OpenID provider: sends a browser there, and lets in or makes the account of whoever it comes back as.

use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;
use tracing::warn;

use super::attempts::{count_begin, count_client};
use super::audit;
use super::ceremony::{self, Kind};
use super::create_admin::insert_admin;
use super::sign_in::insert_session;
use crate::app::App;
use crate::auth::{Client, Token};
use crate::domain::{Actor, Role, derive_user_name};
use crate::error::Error;
use crate::oidc::{Asked, Claims, OidcError, Provider};
use crate::public;
use crate::store::{AdminUser, Tx};

/// What the ceremony remembers.
#[derive(Serialize, Deserialize)]
struct State {
    asked: Asked,
    asked_by: [u8; 32],
    next: String,
}

/// Somebody who came back.
pub(crate) struct CameBack {
    /// Their session.
    pub(crate) session: Token,
    /// Where they wanted to go.
    pub(crate) next: String,
}

/// Where to send this browser. With `link`, the identity it comes back with is added to that account.
pub(crate) async fn begin_oidc(
    app: &App,
    client: &Client,
    asked_by: [u8; 32],
    next: String,
    link: Option<Uuid>,
) -> Result<String, Error> {
    let provider = app.oidc().ok_or(Error::OidcUnavailable)?;
    count_begin(app, client.address).await?;
    let base = public::web_url(app.config(), app.store().network().await?.as_ref());
    let asked = provider.ask(format!("{base}{CALLBACK}"), app.random(), app.random());
    let state = serde_json::to_string(&State { asked: asked.clone(), asked_by, next });
    let state = state.map_err(|error| Error::Internal(error.into()))?;
    let token = ceremony::begin(app, Kind::Oidc, link, state).await?;
    provider.authorize_url(&asked, &token.to_text(), app.now()).await.map_err(refused)
}

/// Lets in whoever the browser came back as.
pub(crate) async fn finish_oidc(
    app: &App,
    (state, code): (&str, &str),
    asked_by: [u8; 32],
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<CameBack, Error> {
    let provider = app.oidc().ok_or(Error::OidcUnavailable)?;
    count_client(app, client.address).await?;
    let hash = Token::parse(state).ok_or(Error::CeremonyOver)?.digest();
    let mut tx = app.store().begin().await?;
    let begun = tx.take_ceremony(&hash, Kind::Oidc.name(), app.now()).await?.ok_or(Error::CeremonyOver)?;
    tx.commit().await?;
    let remembered: State = serde_json::from_str(&begun.state).map_err(|error| Error::Internal(error.into()))?;
    // another browser's: an attacker would have somebody sign in as the attacker
    if remembered.asked_by != asked_by {
        return Err(Error::CeremonyOver);
    }
    let claims = provider.redeem(&remembered.asked, code, app.now()).await.map_err(refused)?;
    let mut tx = app.store().begin().await?;
    let user = account(app, &mut tx, provider, &claims, begun.user_id).await?;
    if user.disabled_at.is_some() {
        return Err(Error::AccountDisabled);
    }
    let session = insert_session(app, &mut tx, (user.id, &user.name), client, replaces).await?;
    tx.commit().await?;
    Ok(CameBack { session, next: remembered.next })
}

/// The account of the identity: the one it was linked to before, the one it is being linked to, or a new one. Never one
/// that merely has the same name or address: those are the provider's to give.
async fn account(
    app: &App,
    tx: &mut Tx,
    provider: &Provider,
    claims: &Claims,
    link: Option<Uuid>,
) -> Result<AdminUser, Error> {
    let config = provider.config();
    let role = config.roles.role(&claims.texts(&config.role_claim));
    let known = tx.oidc_user(&config.issuer, &claims.sub).await?;
    if let Some(id) = known.or(link) {
        let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
        if known.is_some_and(|known| link.is_some_and(|link| link != known)) {
            return Err(Error::OidcTaken);
        }
        if known.is_none() {
            tx.insert_oidc_identity(&config.issuer, &claims.sub, id, app.now()).await?;
            let actor = Actor::User { id, name: user.name.clone() };
            audit(app, tx, &actor, "user.link-provider", &user.name, &config.name).await?;
            return Ok(user);
        }
        return follow_role(app, tx, provider, user, role).await;
    }
    // whoever comes first by a provider must not own the server for it
    if tx.admin_count().await? == 0 {
        return Err(Error::OidcBeforeSetup);
    }
    let role = role.ok_or(Error::OidcNoRole)?;
    let name = free_name(tx, &derive_user_name(claims.name())).await?;
    let user = insert_admin(app, tx, &Actor::Server, &name, String::new(), role).await?;
    tx.insert_oidc_identity(&config.issuer, &claims.sub, user.id, app.now()).await?;
    Ok(user)
}

/// Gives the person the role that the provider's groups have, where the settings map them and the account has no password
/// of its own: whoever has one is an account of this server's, such as the owner who can always get in.
async fn follow_role(
    app: &App,
    tx: &mut Tx,
    provider: &Provider,
    user: AdminUser,
    role: Option<Role>,
) -> Result<AdminUser, Error> {
    if !provider.config().roles.is_authoritative() || !user.password_hash.is_empty() {
        return Ok(user);
    }
    let role = role.ok_or(Error::OidcNoRole)?;
    if role == user.role || (user.role == Role::Owner && tx.active_owner_count().await? <= 1) {
        return Ok(user);
    }
    tx.set_admin_role(user.id, role).await?;
    tx.delete_sessions_of(user.id).await?;
    audit(app, tx, &Actor::Server, "user.role", &user.name, format!("{} -> {role}", user.role)).await?;
    Ok(AdminUser { role, ..user })
}

async fn free_name(tx: &mut Tx, wanted: &str) -> Result<String, Error> {
    for number in 1..=MAX_NAMESAKES {
        let name = if number == 1 { wanted.to_owned() } else { format!("{wanted}-{number}") };
        if tx.admin_by_name(&name).await?.is_none() {
            return Ok(name);
        }
    }
    Err(Error::AdminNameTaken)
}

/// Takes the link to the provider away from an account that has another way in.
pub(crate) async fn unlink_oidc(app: &App, actor: &Actor, id: Uuid) -> Result<(), Error> {
    let provider = app.oidc().ok_or(Error::OidcUnavailable)?;
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(id).await?.ok_or(Error::AccountUnknown)?;
    if user.password_hash.is_empty() && tx.passkeys_of(id).await?.is_empty() {
        return Err(Error::OnlyWayIn);
    }
    if tx.delete_oidc_identity(id, &provider.config().issuer).await? {
        audit(app, &mut tx, actor, "user.unlink-provider", &user.name, &provider.config().name).await?;
    }
    Ok(tx.commit().await?)
}

fn refused(error: OidcError) -> Error {
    match error {
        OidcError::Answer(why) => {
            warn!(reason = why, "the OpenID provider's answer does not hold");
            Error::OidcRefused
        }
        OidcError::World(error) => {
            warn!(error = format!("{error:#}"), "the OpenID provider cannot be asked");
            Error::OidcUnavailable
        }
    }
}

/// Where the provider sends browsers back to.
const CALLBACK: &str = "/sign-in/oidc/callback";
const MAX_NAMESAKES: usize = 100;
