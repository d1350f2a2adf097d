//! Signing in at an OpenID provider: authorization code with PKCE (RFC 7636), nonce and state.
//!
//! What is asked of the provider, and whether its answer holds. Who the person is here, and in which session, is `actions`'.

mod config;
mod fetch;
mod id_token;
mod provider;

pub use config::{OidcConfig, RoleMap};
pub(crate) use id_token::Claims;
pub(crate) use provider::{Asked, Provider};

/// Why a sign-in at the provider came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    /// What it sent is not what the standard or our request says.
    #[error("the answer does not hold: {0}")]
    Answer(&'static str),
    /// It could not be reached, or refused.
    #[error(transparent)]
    World(#[from] anyhow::Error),
}
