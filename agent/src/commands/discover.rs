//! Meets a server that is known by its address only: fetches its name card, and finds out how far it can be believed.
//!
//! The card names the key that the control plane must prove, so whoever can change it can be the server. It is believed
//! when TLS vouches for the host (the system's authorities); else the person compares the key with what the dashboard
//! shows, or has named it beforehand.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::control::{Proxies, WebOrigin, believing_any_certificate};
use crate::exit::{Exit, Failure};
use crate::ipc::Rendezvous;

/// A server and how it was met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Met {
    /// Where it is and which key it must prove.
    pub(super) server: Rendezvous,
    /// What it calls its mesh.
    pub(super) network: String,
    /// Whether TLS vouches for it; if not, why.
    pub(super) doubt: Option<String>,
}

/// The name card, `/.well-known/warren`.
#[derive(Deserialize)]
struct Card {
    network: String,
    servers: Vec<String>,
    web: String,
    server_key: String,
}

/// Fetches the card of the server that somebody named by a URL, a host or a host and port.
pub(super) async fn meet(address: &str, proxies: &Proxies) -> Result<Met, Failure> {
    let url = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    let origin = WebOrigin::parse(&url).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{address} is neither an invite nor the address of a server"))
            .remedy("Use an invite from the dashboard, or the address of the dashboard: `warren up vpn.example.org`.")
    })?;
    let (text, doubt) = match fetch(&origin, proxies, Trust::Authorities).await {
        Ok(text) if origin.is_tls => (text, None),
        Ok(text) => (text, Some("it is reached without TLS".to_owned())),
        Err(error) => match certificate_problem(&error) {
            Some(problem) => {
                (fetch(&origin, proxies, Trust::Anybody).await.map_err(|e| unreachable(&origin, &e))?, Some(problem))
            }
            None => return Err(unreachable(&origin, &error)),
        },
    };
    let card = read(&text).ok_or_else(|| {
        Failure::new(Exit::Failure, format!("{} is no Warren server", origin.host))
            .remedy("Check the address: it is that of the dashboard.")
    })?;
    let key = HEXLOWER.decode(card.server_key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    let pin = key.ok_or_else(|| Failure::new(Exit::Failure, format!("{} names no key of its own", origin.host)))?;
    Ok(Met { server: Rendezvous { servers: card.servers, web: card.web, pin }, network: card.network, doubt })
}

/// A key as people compare it: in groups of four.
pub(super) fn in_groups(pin: &[u8; 32]) -> String {
    let text = HEXLOWER.encode(pin);
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
    groups.chunks(8).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")
}

/// Reads a key that somebody named, with whatever stands between its digits.
pub(super) fn parse_key(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != ':').collect();
    HEXLOWER.decode(digits.to_ascii_lowercase().as_bytes()).ok()?.try_into().ok()
}

/// Whose word is taken for who a server is.
#[derive(Clone, Copy)]
enum Trust {
    /// Nobody's: who answers is found out by other means.
    Anybody,
    /// That of the system's authorities.
    Authorities,
}

async fn fetch(origin: &WebOrigin<'_>, proxies: &Proxies, trust: Trust) -> io::Result<String> {
    let fetched = async {
        let stream = match proxies.towards(origin.host, origin.is_tls) {
            Some(proxy) => proxy.connect(origin.host, origin.port).await?,
            None => TcpStream::connect((origin.host, origin.port)).await?,
        };
        if !origin.is_tls {
            return ask(origin, stream).await;
        }
        let name = ServerName::try_from(origin.host.to_owned()).map_err(io::Error::other)?;
        ask(origin, TlsConnector::from(Arc::new(tls(trust))).connect(name, stream).await?).await
    };
    tokio::time::timeout(WITHIN, fetched).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// HTTP/1.0 in its plainest form: the answer is not in chunks, and ends with the connection.
async fn ask(origin: &WebOrigin<'_>, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    let request = format!("GET {PATH} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n\r\n", origin.authority());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream.take(MAX_CARD).read_to_end(&mut answer).await;
    match read {
        // some servers leave without TLS's goodbye; a card that lacks its end is no JSON
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        read => drop(read?),
    }
    String::from_utf8(answer).map_err(io::Error::other)
}

fn read(answer: &str) -> Option<Card> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    let card: Card = serde_json::from_str(body).ok().filter(|_| status == "200")?;
    let few = !card.servers.is_empty() && card.servers.len() <= MAX_SERVERS;
    few.then_some(card)
}

fn tls(trust: Trust) -> ClientConfig {
    match trust {
        Trust::Anybody => believing_any_certificate(),
        Trust::Authorities => {
            let mut roots = RootCertStore::empty();
            // those that cannot be read are as if they were not there
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring has TLS 1.2 and 1.3")
                .with_root_certificates(roots)
                .with_no_client_auth()
        }
    }
}

/// Why TLS does not vouch for a server, if that is what went wrong.
fn certificate_problem(error: &io::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(reason) = error.get_ref()?.downcast_ref()? else { return None };
    Some(if matches!(reason, CertificateError::UnknownIssuer) {
        "its certificate is its own".to_owned()
    } else if matches!(reason, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        "its certificate has expired".to_owned()
    } else if matches!(reason, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        "its certificate is for another name".to_owned()
    } else {
        format!("its certificate cannot be verified ({reason})")
    })
}

fn unreachable(origin: &WebOrigin<'_>, error: &io::Error) -> Failure {
    Failure::new(Exit::Unreachable, format!("cannot reach {}: {error}", origin.authority()))
        .remedy("Check the address, and that the server's web port can be reached from here.")
}

const PATH: &str = "/.well-known/warren";
/// A card has a key, a few host names and a head of some hundred bytes.
const MAX_CARD: u64 = 16 * 1024;
/// As many as an invite may name.
const MAX_SERVERS: usize = 8;
/// For TCP, perhaps a proxy, TLS and a short answer.
const WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown_and_as_a_log_has_it() {
        let pin = std::array::from_fn(|at| at as u8);

        assert_eq!(parse_key(&in_groups(&pin)), Some(pin));
        assert_eq!(parse_key(&HEXLOWER.encode(&pin).to_uppercase()), Some(pin));
        assert_eq!(in_groups(&pin).lines().count(), 2);
        assert_eq!(parse_key("00:01"), None);
    }

    #[test]
    fn only_a_card_is_taken_for_one() {
        let card = |servers: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\n{{\"schema\":1,\"network\":\"home\",\"servers\":{servers},\"web\":\"https://a\",\"server_key\":\"00\"}}"
            )
        };

        assert!(read(&card("[\"a:443\"]")).is_some());
        for bad in [
            card("[]"),
            card("[\"a:443\"]").replace("200", "404"),
            "<html>".to_owned(),
            "HTTP/1.1 200 OK\r\n\r\n{}".to_owned(),
        ] {
            assert!(read(&bad).is_none(), "{bad}");
        }
    }
}
