//! `Visitor`: a browser that need not be signed in. A cookie of its own guards the sign-in and set-up forms, so that
//! no other site can post them either.

use std::convert::Infallible;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum_extra::extract::cookie::Cookie;

use super::client::Client;
use super::cookies;
use super::token::{FormSecret, Token};
use crate::app::App;

/// A browser that somebody may sign in with.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The browser.
    pub(crate) client: Client,
    token: Token,
    is_new: bool,
}

impl Visitor {
    /// Guards the forms of this visitor.
    pub(crate) fn form_secret(&self) -> FormSecret {
        self.token.form_secret()
    }

    /// Binds to this browser what it began.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.token.digest()
    }

    /// The cookie to set, for a visitor who had none.
    pub(crate) fn cookie(&self) -> Option<Cookie<'static>> {
        self.is_new.then(|| cookies::visitor_cookie(&self.token, self.client.is_secure))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor
where
    App: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let client = Client::from_request_parts(parts, state).await?;
        let known = cookies::token(&parts.headers, cookies::VISITOR, client.is_secure);
        let is_new = known.is_none();
        let token = known.unwrap_or_else(|| Token::new(App::from_ref(state).random()));

        Ok(Self { client, token, is_new })
    }
}
