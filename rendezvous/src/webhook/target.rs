//! The address of a webhook, taken apart.

use hyper::Uri;
use hyper::http::uri::{PathAndQuery, Scheme};

/// Where to post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it is https.
    pub(super) is_secure: bool,
    /// What goes into the request line.
    pub(super) path: String,
    /// What goes into `Host`.
    pub(super) authority: String,
}

impl Target {
    /// Takes a URL apart, or says what is wrong with it.
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        if url.len() > MAX_URL {
            return Err("a webhook's URL has at most 2,048 bytes");
        }
        let uri: Uri = url.parse().map_err(|_| WHAT)?;
        let is_secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(WHAT),
        };
        let authority = uri.authority().ok_or(WHAT)?;
        if authority.as_str().contains('@') {
            return Err("a webhook's URL holds no name and password; its messages are signed");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(WHAT);
        }
        // "https://host:" and a port that is none read as no port
        if authority.port().is_none() && authority.as_str().ends_with(':') {
            return Err(WHAT);
        }
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        Ok(Self { host, port, is_secure, path, authority: authority.as_str().to_owned() })
    }
}

const WHAT: &str = "a webhook's URL is http:// or https://, a host, and a path";
/// What servers take.
const MAX_URL: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let secure = Target::parse("https://hooks.example.org/warren?key=7").unwrap();
        let literal = Target::parse("http://[2001:db8::1]:8080").unwrap();

        assert_eq!((secure.host.as_str(), secure.port, secure.is_secure), ("hooks.example.org", 443, true));
        assert_eq!((secure.path.as_str(), secure.authority.as_str()), ("/warren?key=7", "hooks.example.org"));
        assert_eq!((literal.host.as_str(), literal.port, literal.path.as_str()), ("2001:db8::1", 8080, "/"));
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for bad in
            ["", "hooks.example.org", "ftp://a/", "file:///etc/passwd", "gopher://a", "http://", "https://u:p@a/"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        assert!(Target::parse(&format!("https://a/{}", "b".repeat(MAX_URL))).is_err());
    }
}
