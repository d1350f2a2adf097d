//! `Identity`: who calls the API, by a token or by the session of a browser, and what they may do at this moment.
//!
//! A token is never more than its owner's role: its scopes are intersected with it at each request, and it dies with the
//! account. A session has everything that its person has.

use axum::extract::{FromRef, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::api_token::ApiSecret;
use super::client::Client;
use super::form::is_same_origin;
use super::may::Required;
use super::{Person, Refusal, cookies};
use crate::app::App;
use crate::domain::{Actor, Device, Right, Role, Scope, may_on_device};

/// Somebody who calls the API.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Whose account.
    pub(crate) user_id: Uuid,
    /// Their name.
    pub(crate) name: String,
    /// What they are.
    pub(crate) role: Role,
    /// By what they are known.
    pub(crate) by: By,
    seed: Seed,
}

/// By what a caller is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// A browser's session, by the hash of its token.
    Session([u8; 32]),
    /// A token, with the rights it was given.
    Token {
        /// Which.
        id: Uuid,
        /// What it was given; its owner may have less by now.
        scopes: Vec<Right>,
        /// When and from where it was used before, as far as noted.
        used: Option<(UnixTime, String)>,
    },
}

/// Made from the credential itself, which is stored nowhere.
#[derive(Clone)]
struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// Why a credential is not believed.
#[derive(Debug)]
pub(crate) enum Unidentified {
    /// It is none that works.
    Invalid,
    /// The database failed.
    World(anyhow::Error),
}

impl Identity {
    /// Whoever sends this request; `None` for a stranger.
    pub(crate) async fn of<S: Send + Sync>(
        parts: &mut Parts,
        client: &Client,
        state: &S,
    ) -> Result<Option<Self>, Unidentified>
    where
        App: FromRef<S>,
    {
        let app = App::from_ref(state);
        if let Some(text) = bearer(&parts.headers) {
            let secret = ApiSecret::parse(text).ok_or(Unidentified::Invalid)?;
            return Self::of_token(&app, &secret).await.map(Some);
        }
        let person = <Person as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await;
        let person = person.map_err(|refusal| {
            if let Refusal::World(cause) = refusal { Unidentified::World(cause) } else { Unidentified::Invalid }
        });
        let Some(person) = person? else { return Ok(None) };
        let token = cookies::token(&parts.headers, cookies::SESSION, client.is_secure).ok_or(Unidentified::Invalid)?;
        Ok(Some(Self {
            user_id: person.id,
            name: person.name,
            role: person.role,
            by: By::Session(person.session),
            seed: Seed::of(token.to_text().as_bytes()),
        }))
    }

    async fn of_token(app: &App, secret: &ApiSecret) -> Result<Self, Unidentified> {
        let world = |error: sqlx::Error| Unidentified::World(error.into());
        let now = app.now();
        let stored = app.store().api_token_by_hash(&secret.digest()).await.map_err(world)?;
        let token = stored.filter(|token| now < token.expires_at).ok_or(Unidentified::Invalid)?;
        let owner = app.store().admin_by_id(token.user_id).await.map_err(world)?;
        let owner = owner.filter(|owner| owner.disabled_at.is_none()).ok_or(Unidentified::Invalid)?;
        let scopes = token.scopes.iter().filter_map(|word| Right::parse(word)).collect();
        Ok(Self {
            user_id: owner.id,
            name: owner.name,
            role: owner.role,
            by: By::Token { id: token.id, scopes, used: token.last_used_at.zip(token.last_used_from) },
            seed: Seed::of(secret.bytes()),
        })
    }

    /// Whether they may do what `R` stands for, to every object there is.
    pub(crate) fn has<R: Required>(&self) -> bool {
        R::is_met_by(self.role) && self.is_scoped(R::RIGHT)
    }

    /// Whether they have this right for every object there is.
    pub(crate) fn may(&self, right: Right) -> bool {
        self.role.has(right) && self.is_scoped(right)
    }

    /// Whether they have this right over a device, by role or because it is theirs.
    pub(crate) fn may_on(&self, right: Right, device: &Device) -> bool {
        self.is_scoped(right) && may_on_device(self.role, self.user_id, right, device)
    }

    /// Which devices they see.
    pub(crate) fn scope(&self) -> Scope {
        Scope::of(self.role, self.user_id)
    }

    /// Whether the credential at hand stretches to a right that the person may have.
    pub(crate) fn is_scoped(&self, right: Right) -> bool {
        match &self.by {
            By::Session(_) => true,
            By::Token { scopes, .. } => scopes.contains(&right),
        }
    }

    /// Them, as the log names who does something.
    pub(crate) fn actor(&self) -> Actor {
        Actor::User { id: self.user_id, name: self.name.clone() }
    }

    /// The session by which they are known, if by one.
    pub(crate) const fn session(&self) -> Option<[u8; 32]> {
        match self.by {
            By::Session(hash) => Some(hash),
            By::Token { .. } => None,
        }
    }

    /// A key that only who holds the credential can make again, for the purpose that `label` names.
    pub(crate) fn derive(&self, label: &str, context: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.seed.0).chain_update(label).chain_update(context).finalize().into()
    }

    /// Whether the credential still works, and for the same role; for what outlives a request.
    pub(crate) async fn is_alive(&self, app: &App) -> crate::store::Result<bool> {
        let owner = app.store().admin_by_id(self.user_id).await?;
        if owner.is_none_or(|owner| owner.disabled_at.is_some() || owner.role != self.role) {
            return Ok(false);
        }
        Ok(match &self.by {
            By::Session(hash) => Person::is_session_alive(app, hash).await?,
            By::Token { id, .. } => {
                let tokens = app.store().api_tokens_of(self.user_id).await?;
                tokens.iter().any(|token| token.id == *id && app.now() < token.expires_at)
            }
        })
    }
}

impl Seed {
    fn of(credential: &[u8]) -> Self {
        Self(Sha256::new().chain_update(b"warren credential v1").chain_update(credential).finalize().into())
    }
}

/// Whether a browser says, and does not merely leave open, that a request comes from one of our own pages. A cookie is
/// sent whoever made the page; a token is not.
pub(crate) fn is_from_own_page(parts: &Parts) -> bool {
    let says = parts.headers.contains_key("sec-fetch-site") || parts.headers.contains_key(header::ORIGIN);
    says && is_same_origin(&parts.headers, parts.uri.authority().map(Authority::as_str))
}

/// The credential of an `Authorization` header; `Some` also for one that is none of ours.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
    Some(if scheme.eq_ignore_ascii_case("bearer") { credential.trim() } else { "" })
}
