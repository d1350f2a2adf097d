//! Finds a server that answers: resolves the names of the invite and tries their addresses, a little after each other.
//!
//! By UDP; when to try another way is `search`'s business.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use quinn::{ConnectError, Connection, ConnectionError, Endpoint, TransportErrorCode};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::{CONNECT_WITHIN, ServerPlace};

/// Why there is no connection to the rendezvous.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreached {
    /// None of the names has an address.
    #[error("the name {0} cannot be resolved")]
    Name(String),
    /// Nobody answered.
    #[error("{0} does not answer")]
    Silent(String),
    /// Nobody answered, by neither way.
    #[error("{udp} does not answer by UDP, nor {web} by WebSocket: {why}")]
    SilentBothWays {
        /// Address or name.
        udp: String,
        /// Origin.
        web: String,
        /// What happened there.
        why: String,
    },
    /// Somebody answered who does not have the pinned key.
    #[error("whoever answers at {0} does not have the key that the invite names")]
    WrongKey(String),
    /// The connection was there and broke.
    #[error("the connection to {0} broke")]
    Broke(String),
}

impl Unreached {
    /// The stable word of `Problem::code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongKey(_) => "server-key",
            Self::Name(_) | Self::Silent(_) | Self::SilentBothWays { .. } | Self::Broke(_) => "server-unreachable",
        }
    }
}

/// The addresses of a server's names and of those that it `told` of; those it had before when DNS does not answer.
pub(super) async fn resolve(place: &ServerPlace, told: &[String]) -> Result<Vec<SocketAddr>, Unreached> {
    let mut addresses = Vec::new();
    // the names told begin with that of the server last in use
    for name in told.iter().chain(&place.names) {
        match timeout(RESOLVE_WITHIN, tokio::net::lookup_host(name)).await {
            Ok(Ok(found)) => addresses.extend(found),
            Ok(Err(error)) => debug!(%error, "a server name cannot be resolved"),
            Err(_) => debug!("resolving a server name takes too long"),
        }
    }
    if addresses.is_empty() {
        addresses.extend(&place.remembered);
    }
    let mut seen = BTreeSet::new();
    addresses.retain(|address| seen.insert(*address));
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() { Err(Unreached::Name(place.names.join(", "))) } else { Ok(addresses) }
}

/// Connects to whichever address answers first; each further one is tried `STAGGER` after the one before.
pub(super) async fn connect(
    endpoint: &Endpoint,
    config: &quinn::ClientConfig,
    addresses: &[SocketAddr],
) -> Result<Connection, Unreached> {
    let mut attempts: FuturesUnordered<_> = (0_u32..)
        .zip(addresses)
        .map(|(index, address)| async move {
            sleep(STAGGER * index).await;
            attempt(endpoint, config.clone(), *address).await
        })
        .collect();
    let mut failure = None;
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(connection) => return Ok(connection),
            // A wrong key is worth more to the reader than a silent address.
            Err(error @ Unreached::WrongKey(_)) => failure = Some(error),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| Unreached::Silent("the server".to_owned())))
}

pub(super) async fn attempt(
    endpoint: &Endpoint,
    config: quinn::ClientConfig,
    address: SocketAddr,
) -> Result<Connection, Unreached> {
    let silent = || Unreached::Silent(address.to_string());
    let connecting = endpoint.connect_with(config, address, SERVER_NAME).map_err(|error: ConnectError| {
        debug!(%error, "an address of the server cannot be used");
        silent()
    })?;
    match timeout(CONNECT_WITHIN, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            debug!(%error, "an address of the server cannot be reached");
            Err(if is_wrong_key(&error) { Unreached::WrongKey(address.to_string()) } else { silent() })
        }
        Err(_) => Err(silent()),
    }
}

/// Our own verifier ended the handshake: with an alert about the certificate.
fn is_wrong_key(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::TransportError(error) => {
            ALERTS.iter().any(|alert| error.code == TransportErrorCode::crypto(*alert))
        }
        ConnectionError::VersionMismatch
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => false,
    }
}

/// Sent as SNI; the key decides, so the real name need not be shown on the wire.
const SERVER_NAME: &str = "rendezvous.warren";
/// bad_certificate, unsupported_certificate, certificate_unknown, access_denied (RFC 8446 section 6.2), as rustls
/// sends them when a key is not the one expected or is not a raw key at all.
const ALERTS: [u8; 4] = [42, 43, 46, 49];
/// As RFC 8305 section 5 recommends between connection attempts.
const STAGGER: Duration = Duration::from_millis(250);
/// A resolver that is down must not keep us from addresses we remember.
const RESOLVE_WITHIN: Duration = Duration::from_secs(3);
/// 8 names with two addresses each.
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn remembered_addresses_stand_in_for_names_that_cannot_be_resolved() {
        let remembered: SocketAddr = "203.0.113.1:443".parse().unwrap();
        let place = ServerPlace { remembered: vec![remembered], ..place(&["no port and no name"]) };

        assert_eq!(resolve(&place, &[]).await, Ok(vec![remembered]));
    }

    #[tokio::test]
    async fn a_name_without_address_is_told() {
        assert_eq!(resolve(&place(&["nonsense"]), &[]).await, Err(Unreached::Name("nonsense".to_owned())));
    }

    #[tokio::test]
    async fn an_address_named_twice_is_tried_once() {
        let place = place(&["127.0.0.1:443", "127.0.0.1:443"]);

        assert_eq!(resolve(&place, &place.names).await.map(|addresses| addresses.len()), Ok(1));
    }

    fn place(names: &[&str]) -> ServerPlace {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ServerPlace { names, remembered: Vec::new(), web: String::new(), pin: [0; 32] }
    }
}
