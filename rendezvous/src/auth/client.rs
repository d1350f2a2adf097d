//! Where a request comes from: the browser's address and whether TLS protects the way to it.
//!
//! Headers of a reverse proxy are believed only when the server was told that it stands behind one.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::config::TlsMode;

/// The other end of a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// For budgets and the session list.
    pub(crate) address: IpAddr,
    /// What it calls itself, cut to a reasonable length.
    pub(crate) agent: String,
    /// Whether cookies can be restricted to TLS.
    pub(crate) is_secure: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Client
where
    App: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let proxied = App::from_ref(state).config().tls == TlsMode::Proxy;
        let forwarded = || last(&parts.headers, "x-forwarded-for").and_then(|text| text.parse().ok());

        Ok(Self {
            address: if proxied { forwarded().unwrap_or(peer) } else { peer },
            agent: agent(&parts.headers),
            is_secure: !proxied || last(&parts.headers, "x-forwarded-proto") == Some("https"),
        })
    }
}

/// The last element: the one that the nearest proxy wrote.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn agent(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(MAX_AGENT).collect()
}

/// Enough to tell browsers apart in a list of sessions.
const MAX_AGENT: usize = 200;
