//! Where a request comes from: the browser's address, the host it asked for, and whether TLS protects the way to it.
//!
//! Headers of a reverse proxy are believed only when they come from an address that the settings trust.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, header};

use crate::app::App;
use crate::config::{Config, TlsMode};

/// The other end of a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// For budgets and the session list.
    pub(crate) address: IpAddr,
    /// What it calls itself, cut to a reasonable length.
    pub(crate) agent: String,
    /// The host, and the port if it is not the usual one, that it asked for.
    pub(crate) asked_for: String,
    /// Whether cookies can be restricted to TLS.
    pub(crate) is_secure: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Client
where
    App: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let app = App::from_ref(state);
        let peer = peer(&parts.extensions);
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());

        Ok(Self {
            address: address(app.config(), peer, &parts.headers),
            agent: agent(&parts.headers),
            // HTTP/2 carries the host in the request line
            asked_for: host.or_else(|| parts.uri.authority().map(Authority::as_str)).unwrap_or_default().to_owned(),
            is_secure: is_secure(app.config(), peer, &parts.headers),
        })
    }
}

/// The other end of the connection a request came by: a browser, or a proxy.
pub(crate) fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
    peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Whether TLS protects the request all the way: we end it ourselves, or a proxy we trust says that it did.
pub(crate) fn is_secure(config: &Config, peer: IpAddr, headers: &HeaderMap) -> bool {
    config.tls != TlsMode::Proxy
        || (is_trusted(config, peer) && list(headers, "x-forwarded-proto").next_back() == Some("https"))
}

/// The last address that nobody we trust vouches for: each proxy appends whom it was asked by.
fn address(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut address = peer;
    for said in list(headers, "x-forwarded-for").rev() {
        let Some(said) = Some(said).filter(|_| is_trusted(config, address)).and_then(parse) else { break };
        address = said;
    }
    address
}

fn is_trusted(config: &Config, address: IpAddr) -> bool {
    config.trusted_proxies.iter().any(|prefix| prefix.contains(&address))
}

/// An address as proxies write it: some add the port, some put IPv6 into brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let with_port = text.parse::<SocketAddr>().map(|addr| addr.ip());
    let address = with_port.or_else(|_| text.trim_matches(['[', ']']).parse());
    address.ok().map(|address| address.to_canonical())
}

/// The elements of a header that may be there several times, each with several elements.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn agent(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(MAX_AGENT).collect()
}

/// Enough to tell browsers apart in a list of sessions.
const MAX_AGENT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn config(text: &str) -> Config {
        toml::from_str::<Settings>(text).unwrap().resolve().unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let config = config("tls = \"proxy\"\ntrusted-proxies = [\"10.0.0.0/8\", \"fd00::/8\"]");
        for (peer, forwarded, who) in [
            ("10.0.0.1", &["203.0.113.5"][..], "203.0.113.5"),
            ("192.0.2.1", &["203.0.113.5"], "192.0.2.1"),
            // what the browser itself wrote before the first proxy
            ("10.0.0.1", &["198.51.100.66, 203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5, 10.9.9.9"], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5", "10.9.9.9"], "203.0.113.5"),
            ("fd00::1", &["[2001:db8::5]:4711"], "2001:db8::5"),
            ("10.0.0.1", &["203.0.113.5:4711"], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            let pairs: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();

            assert_eq!(address(&config, peer.parse().unwrap(), &headers(&pairs)).to_string(), who, "{forwarded:?}");
        }
    }

    #[test]
    fn without_a_list_only_a_proxy_on_this_host_is_trusted_and_only_where_one_is_expected() {
        let forwarded = headers(&[("x-forwarded-for", "203.0.113.5"), ("x-forwarded-proto", "https")]);
        let (own, other) = ("127.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let (proxied, internal) = (config("tls = \"proxy\""), config(""));

        assert_eq!(address(&proxied, own, &forwarded).to_string(), "203.0.113.5");
        assert_eq!(address(&proxied, other, &forwarded), other);
        assert_eq!(address(&internal, own, &forwarded), own);
        assert!(is_secure(&proxied, own, &forwarded) && is_secure(&internal, other, &headers(&[])));
        assert!(!is_secure(&proxied, other, &forwarded) && !is_secure(&proxied, own, &headers(&[])));
    }
}
