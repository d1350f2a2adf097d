//! The provider: where its endpoints are, what it is asked, which keys it signs with.

use std::time::Duration;

use anyhow::Context;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use warren_proto::keys::UnixTime;

use super::fetch::Fetch;
use super::id_token::{Claims, Expected, KeySet, has_key, verify};
use super::{OidcConfig, OidcError};

/// An OpenID provider.
pub(crate) struct Provider {
    config: OidcConfig,
    fetch: Fetch,
    known: Mutex<Option<Known>>,
}

/// What must be remembered between asking and the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    nonce: String,
    verifier: String,
    redirect_uri: String,
}

#[derive(Clone)]
struct Known {
    endpoints: Endpoints,
    keys: KeySet,
    at: UnixTime,
}

#[derive(Clone, Debug, Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

impl Provider {
    /// The provider that the settings describe; nothing is asked of it yet.
    pub(crate) fn new(config: OidcConfig) -> anyhow::Result<Self> {
        let fetch = Fetch::new(config.ca.as_deref())?;
        Ok(Self { config, fetch, known: Mutex::new(None) })
    }

    /// As the settings describe it.
    pub(crate) fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// A request for the person's browser, but for the state that `authorize_url` adds.
    pub(crate) fn ask(&self, redirect_uri: String, nonce: [u8; 32], verifier: [u8; 32]) -> Asked {
        let text = |random: [u8; 32]| BASE64URL_NOPAD.encode(&random);
        Asked { nonce: text(nonce), verifier: text(verifier), redirect_uri }
    }

    /// Where the browser goes with it.
    pub(crate) async fn authorize_url(&self, asked: &Asked, state: &str, now: UnixTime) -> Result<String, OidcError> {
        let endpoint = self.known(now, |_| true).await?.endpoints.authorization_endpoint;
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&asked.verifier));
        let query = serde_urlencoded::to_string([
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", &asked.redirect_uri),
            ("scope", "openid profile email"),
            ("state", state),
            ("nonce", &asked.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .context("write the request")?;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{joint}{query}"))
    }

    /// Who it is, for the code that the browser brought back.
    pub(crate) async fn redeem(&self, asked: &Asked, code: &str, now: UnixTime) -> Result<Claims, OidcError> {
        let endpoints = self.known(now, |_| true).await?.endpoints;
        let OidcConfig { client_id, client_secret, .. } = &self.config;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &asked.redirect_uri),
            ("code_verifier", &asked.verifier),
        ];
        let mut authorization = None;
        match client_secret {
            // RFC 6749 section 2.3.1: both parts form-encoded, then Basic; it is what every provider must take
            Some(secret) if endpoints.takes_basic() => {
                let encode = |text: &str| serde_urlencoded::to_string([("", text)]).map(|pair| pair[1..].to_owned());
                let pair = (encode(client_id).context("encode the id")?, encode(secret).context("encode the secret")?);
                authorization = Some(format!("Basic {}", BASE64.encode(format!("{}:{}", pair.0, pair.1).as_bytes())));
            }
            Some(secret) => form.extend([("client_id", client_id.as_str()), ("client_secret", secret)]),
            None => form.push(("client_id", client_id)),
        }
        let form = serde_urlencoded::to_string(form).context("write the request")?;
        let body = self.fetch.post(&endpoints.token_endpoint, form, authorization).await?;
        let Answer { id_token } =
            serde_json::from_slice(&body).map_err(|_| OidcError::Answer("there is no ID token in it"))?;
        let keys = self.known(now, |keys| has_key(&id_token, keys)).await?.keys;
        let expected = Expected { issuer: &self.config.issuer, client_id, nonce: &asked.nonce };
        verify(&id_token, &keys, expected, now)
    }

    /// What is known of the provider; asked anew when that is old, or will not do.
    async fn known(&self, now: UnixTime, will_do: impl Fn(&KeySet) -> bool) -> Result<Known, OidcError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref() {
            let is_fresh = now < known.at.plus(FRESH_FOR);
            // a token with a made-up key must not have us ask again and again
            let is_new = now < known.at.plus(AGAIN_AFTER);
            if is_new || (is_fresh && will_do(&known.keys)) {
                return Ok(known.clone());
            }
        }
        let issuer = self.config.issuer.trim_end_matches('/');
        let body = self.fetch.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        let endpoints: Endpoints =
            serde_json::from_slice(&body).map_err(|_| OidcError::Answer("its configuration cannot be read"))?;
        if endpoints.issuer != self.config.issuer {
            return Err(OidcError::Answer("its configuration is of another issuer than oidc-issuer says"));
        }
        let body = self.fetch.get(&endpoints.jwks_uri).await?;
        let keys = serde_json::from_slice(&body).map_err(|_| OidcError::Answer("its keys cannot be read"))?;
        Ok(known.insert(Known { endpoints, keys, at: now }).clone())
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

impl Endpoints {
    fn takes_basic(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic")
    }
}

/// Providers announce new keys days before they use them.
const FRESH_FOR: Duration = Duration::from_secs(3600);
const AGAIN_AFTER: Duration = Duration::from_secs(30);
