//! Tokens for programs: made once and shown once, listed, revoked.

use std::time::Duration;

use sqlx::types::Uuid;

use super::audit;
use crate::app::App;
use crate::auth::ApiSecret;
use crate::domain::{Actor, Right};
use crate::error::Error;
use crate::store::ApiToken;

/// What kind of token is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TokenRequest {
    /// What its owner will know it by.
    pub(crate) name: String,
    /// What it may be used for, as far as its owner may do that.
    pub(crate) scopes: Vec<Right>,
    /// How long it works.
    pub(crate) expires_after: Duration,
}

/// Makes a token for a person; only the hash of its secret is kept.
pub(crate) async fn create_api_token(
    app: &App,
    actor: &Actor,
    owner: Uuid,
    request: TokenRequest,
) -> Result<(ApiToken, ApiSecret), Error> {
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::LabelInvalid);
    }
    if !(SHORTEST..=LONGEST).contains(&request.expires_after) {
        return Err(Error::LifetimeInvalid);
    }
    let mut scopes: Vec<String> = request.scopes.iter().map(|right| right.name().to_owned()).collect();
    scopes.sort();
    scopes.dedup();
    let secret = ApiSecret::new(app.random());
    let now = app.now();
    let token = ApiToken {
        id: app.new_id(),
        hash: secret.digest(),
        user_id: owner,
        name,
        scopes,
        created_at: now,
        expires_at: now.plus(request.expires_after),
        last_used_at: None,
        last_used_from: None,
    };
    let mut tx = app.store().begin().await?;
    let others = tx.api_tokens_of(owner).await?;
    if others.iter().filter(|other| now < other.expires_at).count() >= MAX_TOKENS {
        return Err(Error::LimitReached("a person has at most 100 tokens; revoke one that is not used"));
    }
    if others.iter().any(|other| other.name == token.name && now < other.expires_at) {
        return Err(Error::NameTaken);
    }
    tx.insert_api_token(&token).await?;
    audit(app, &mut tx, actor, "token.create", token.id, format!("{} ({})", token.name, token.scopes.join(", ")))
        .await?;
    tx.commit().await?;
    Ok((token, secret))
}

/// A person's tokens that work, newest first.
pub(crate) async fn list_api_tokens(app: &App, owner: Uuid) -> Result<Vec<ApiToken>, Error> {
    let now = app.now();
    let tokens = app.store().api_tokens_of(owner).await?;
    Ok(tokens.into_iter().filter(|token| now < token.expires_at).collect())
}

/// Ends a token of this owner; what uses it is refused from the next request on.
pub(crate) async fn revoke_api_token(app: &App, actor: &Actor, owner: Uuid, id: Uuid) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    let token = tx.api_token(id).await?.filter(|token| token.user_id == owner).ok_or(Error::Unknown)?;
    tx.delete_api_token(id).await?;
    audit(app, &mut tx, actor, "token.revoke", id, &token.name).await?;
    Ok(tx.commit().await?)
}

/// Enough to say what it is for.
const MAX_NAME: usize = 100;
/// More than anybody has programs; what is lost in a longer list is not noticed.
const MAX_TOKENS: usize = 100;
/// A token for one run of a script.
const SHORTEST: Duration = Duration::from_secs(60);
/// A year and a day: who renews yearly is not late. What works for ever is forgotten and found by somebody else.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
