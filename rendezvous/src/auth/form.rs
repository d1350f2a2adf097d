//! Posted forms that one of our own pages made: nobody else can post one in a signed-in browser's name (CSRF).
//!
//! Two checks that fail independently: where the browser says the request comes from, and a token that only our page
//! could know. Browsers too old, or too plain, to say where they come from are held by the token alone.

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::token::FormSecret;
use super::{Person, Refusal, Visitor};
use crate::app::App;

/// A form of somebody who is signed in.
#[derive(Debug)]
pub(crate) struct PersonForm<T> {
    /// Who posted it.
    pub(crate) person: Person,
    /// What it says.
    pub(crate) form: T,
}

/// A form of somebody who need not be signed in.
#[derive(Debug)]
pub(crate) struct VisitorForm<T> {
    /// Whose browser posted it.
    pub(crate) visitor: Visitor,
    /// What it says.
    pub(crate) form: T,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for PersonForm<T>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let person = <Person as FromRequestParts<S>>::from_request_parts(&mut parts, state).await?;
        let form = read(&person.form_secret, Request::from_parts(parts, body)).await?;

        Ok(Self { person, form })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for VisitorForm<T>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Ok(visitor) = Visitor::from_request_parts(&mut parts, state).await;
        let form = read(&visitor.form_secret(), Request::from_parts(parts, body)).await?;

        Ok(Self { visitor, form })
    }
}

#[derive(Deserialize)]
struct Guard {
    form_token: String,
}

async fn read<T: DeserializeOwned>(secret: &FormSecret, request: Request) -> Result<T, Refusal> {
    // HTTP/2 carries the host in the request line
    if !is_same_origin(request.headers(), request.uri().authority().map(Authority::as_str)) {
        return Err(Refusal::Forged);
    }
    let body = Bytes::from_request(request, &()).await.map_err(|_| Refusal::Unreadable)?;
    let guard: Guard = serde_urlencoded::from_bytes(&body).map_err(|_| Refusal::Forged)?;
    if !secret.accepts(&guard.form_token) {
        return Err(Refusal::Forged);
    }
    serde_urlencoded::from_bytes(&body).map_err(|_| Refusal::Unreadable)
}

/// Whether the browser, if it says anything about it, says that the request comes from a page of this host.
pub(super) fn is_same_origin(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else { return true };
    let host = text(header::HOST.as_str()).or(authority).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, of)| !host.is_empty() && of == host)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn judged(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        is_same_origin(&headers, Some("vpn.example.net"))
    }

    #[test]
    fn what_the_browser_says_of_the_origin_decides() {
        assert!(judged(&[("sec-fetch-site", "same-origin")]));
        assert!(!judged(&[("sec-fetch-site", "cross-site")]));
        assert!(!judged(&[("sec-fetch-site", "same-site")]));
        assert!(judged(&[("origin", "https://vpn.example.org"), ("host", "vpn.example.org")]));
        assert!(!judged(&[("origin", "https://evil.example"), ("host", "vpn.example.org")]));
        assert!(judged(&[("origin", "https://vpn.example.net")]));
        assert!(!judged(&[("origin", "null"), ("host", "vpn.example.org")]));
        assert!(judged(&[]));
    }
}
