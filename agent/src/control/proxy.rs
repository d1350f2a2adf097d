//! The way through an HTTP proxy, if the environment names one: CONNECT (RFC 9110 section 9.3.6), with a password if need be.
//!
//! Which variables say so is `config`'s business; here is what they mean, and the words that open the way.

use std::io;
use std::net::IpAddr;

use data_encoding::BASE64;
use ipnet::IpNet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// What the environment says of proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `https` origins.
    pub https: Option<Proxy>,
    /// For `http` origins.
    pub http: Option<Proxy>,
    /// Hosts that are reached without.
    pub except: Exceptions,
}

/// One proxy. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<Zeroizing<String>>,
}

/// Hosts that are reached without a proxy: names with all below them, addresses, prefixes, or `*` for all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exceptions(Vec<String>);

/// A proxy that this agent cannot use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not http://HOST:PORT, with USER:PASSWORD@ before HOST if need be")]
pub struct InvalidProxy;

impl Proxies {
    /// The proxy on the way to a host.
    pub fn towards(&self, host: &str, is_tls: bool) -> Option<&Proxy> {
        let proxy = if is_tls { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.except.covers(host))
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port/`; the scheme may be left out, the port is 80 then.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(InvalidProxy),
            None => text,
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let (host, port) = split_port(place, HTTP_PORT).ok_or(InvalidProxy)?;
        let authorization = credentials.map(|credentials| {
            let plain = Zeroizing::new(decode_percent(credentials));
            Zeroizing::new(format!("Basic {}", BASE64.encode(&plain)))
        });
        Ok(Self { host: host.to_owned(), port, authorization })
    }

    /// "host:port", for people.
    pub(super) fn place(&self) -> String {
        join(&self.host, self.port)
    }

    /// Opens a way through the proxy.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.write_all(self.request(host, port).as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // byte by byte: what follows the head is not the proxy's
            head.push(stream.read_u8().await?);
            if head.len() > MAX_HEAD {
                return Err(refusal("a proxy's answer without end"));
            }
        }
        match status(&head) {
            Some(200..=299) => Ok(stream),
            Some(407) => Err(refusal("the proxy asks for a user and password")),
            Some(status) => Err(refusal(&format!("the proxy answers with status {status}"))),
            None => Err(refusal("whoever answers at the proxy's address does not speak HTTP")),
        }
    }

    fn request(&self, host: &str, port: u16) -> Zeroizing<String> {
        let target = join(host, port);
        let authorization = match &self.authorization {
            Some(value) => format!("Proxy-Authorization: {}\r\n", value.as_str()),
            None => String::new(),
        };
        Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"))
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Exceptions {
    /// Reads the comma-separated list of NO_PROXY.
    pub fn parse(text: &str) -> Self {
        let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty());
        Self(hosts.map(|host| host.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase()).collect())
    }

    fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|entry| match (entry.as_str(), address) {
            ("*", _) => true,
            (entry, Some(address)) => {
                entry.parse() == Ok(address) || entry.parse().is_ok_and(|net: IpNet| net.contains(&address))
            }
            (entry, None) => host == *entry || host.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.')),
        })
    }
}

/// "host", "host:port", "[v6]", "[v6]:port" in its parts.
pub(super) fn split_port(text: &str, default: u16) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or(if rest.is_empty() { Some("") } else { None })?),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() { default } else { port.parse().ok().filter(|port| *port > 0)? };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_plain)).then_some((host, port))
}

/// As a URL has them: an IPv6 address in brackets.
pub(super) fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The status of an HTTP answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.get(1..)?.split_whitespace().next().filter(|code| code.len() == 3)?.parse().ok()
}

fn decode_percent(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|pair| str::from_utf8(pair).ok()).filter(|_| *first == b'%');
        match escaped.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

fn refusal(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

const HTTP_PORT: u16 = 80;
/// A proxy's page of apology comes behind the head, and is not read.
const MAX_HEAD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_answer_of_a_proxy_and_no_variable_makes_us_fall(bytes: Vec<u8>, text in "\\PC*") {
            let _ = status(&bytes);
            let _ = status(&[b"HTTP/1.", &bytes[..]].concat());
            let _ = Proxy::parse(&text);
            let _ = Proxy::parse(&format!("http://{text}"));
            Exceptions::parse(&text).covers(&text);
        }
    }

    #[test]
    fn a_proxy_is_read_as_people_write_it() {
        for (text, place) in [
            ("http://proxy.example:3128", "proxy.example:3128"),
            ("http://proxy.example", "proxy.example:80"),
            ("proxy.example:3128", "proxy.example:3128"),
            ("HTTP://10.0.0.1:8080/", "10.0.0.1:8080"),
            ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
            ("http://user:p%40ss@proxy.example:3128", "proxy.example:3128"),
        ] {
            assert_eq!(Proxy::parse(text).unwrap().place(), place, "{text}");
        }
        for bad in ["", "socks5://proxy.example", "https://proxy.example", "http://", "http://a b", "a:0", "a:x"] {
            assert_eq!(Proxy::parse(bad), Err(InvalidProxy), "{bad}");
        }
    }

    #[test]
    fn the_request_names_the_target_and_shows_the_password_to_the_proxy_alone() {
        let proxy = Proxy::parse("http://ada:p%40ss@proxy.example:3128").unwrap();

        let request = proxy.request("2001:db8::9", 443);

        let authorization = BASE64.encode(b"ada:p@ss");
        assert_eq!(
            request.as_str(),
            format!(
                "CONNECT [2001:db8::9]:443 HTTP/1.1\r\nHost: [2001:db8::9]:443\r\n\
                 Proxy-Authorization: Basic {authorization}\r\n\r\n"
            )
        );
        assert!(!format!("{proxy:?}").contains(&authorization));
    }

    #[test]
    fn exceptions_are_names_with_what_is_below_addresses_and_prefixes() {
        let except = Exceptions::parse("localhost, .corp.example,*.lab.example,10.0.0.0/8,192.0.2.10,fd00::/8");

        for host in
            ["localhost", "corp.example", "vpn.corp.example", "x.lab.example", "10.9.8.7", "192.0.2.10", "fd00::1"]
        {
            assert!(except.covers(host), "{host}");
        }
        for host in ["example", "mycorp.example", "192.0.2.11", "2001:db8::1"] {
            assert!(!except.covers(host), "{host}");
        }
        assert!(Exceptions::parse("*").covers("anything.example"));
    }

    #[test]
    fn an_answer_is_known_by_its_status() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        assert_eq!(status(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
    }
}
