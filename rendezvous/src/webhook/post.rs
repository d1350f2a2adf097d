//! One `POST`: look the name up, check the address, connect to that address and no other, send, read the status.
//!
//! No redirects, no retries, no kept connections, no more of the answer than its head.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::debug;

use super::guard::may_call;
use super::signature::sign;
use super::target::Target;

/// What to tell.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Tells repetitions.
    pub(crate) id: String,
    /// The word for what happened.
    pub(crate) event: String,
    /// JSON.
    pub(crate) body: String,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The HTTP status, if there was an answer.
    pub(crate) status: Option<u16>,
    /// Why it did not go well.
    pub(crate) error: Option<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("{0} may not be called: it is this host, its link or a metadata service (see --webhook-allow)")]
    Forbidden(IpAddr),
    #[error("the answer was no HTTP")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("the name {0} does not resolve")]
    Resolve(String),
    #[error("no answer within 10 seconds")]
    TimedOut,
    #[error("no TLS: {0}")]
    Tls(std::io::Error),
}

/// Posts a message, signed with `secret` at the Unix time `timestamp`.
pub(crate) async fn post(
    target: &Target,
    message: &Message,
    secret: &str,
    allowed: &[IpNet],
    timestamp: u64,
) -> Outcome {
    let began = Instant::now();
    let signature = sign(secret, timestamp, &message.body);
    let answered = match timeout(WITHIN, exchange(target, message, signature, allowed)).await {
        Ok(answered) => answered,
        Err(_) => Err(PostError::TimedOut),
    };
    let took = began.elapsed();
    match answered {
        Ok(status @ 200..=299) => Outcome { status: Some(status), error: None, took },
        Ok(status @ 300..=399) => {
            let error = Some(format!("it answered {status}; redirects are not followed"));
            Outcome { status: Some(status), error, took }
        }
        Ok(status) => Outcome { status: Some(status), error: Some(format!("it answered {status}")), took },
        Err(error) => Outcome { status: None, error: Some(error.to_string()), took },
    }
}

async fn exchange(target: &Target, message: &Message, signature: String, allowed: &[IpNet]) -> Result<u16, PostError> {
    let stream = connect(target, allowed).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("warren-rendezvous/", env!("CARGO_PKG_VERSION")))
        .header("warren-delivery", &message.id)
        .header("warren-event", &message.event)
        .header("warren-signature", signature)
        .body(Full::new(Bytes::from(message.body.clone())))?;
    if target.is_secure {
        let name = ServerName::try_from(target.host.clone()).map_err(|_| PostError::Resolve(target.host.clone()))?;
        let stream = TlsConnector::from(Arc::clone(&TLS)).connect(name, stream).await.map_err(PostError::Tls)?;
        return send(stream, request).await;
    }
    send(stream, request).await
}

/// A connection to the first of the name's addresses that may be called and answers.
async fn connect(target: &Target, allowed: &[IpNet]) -> Result<TcpStream, PostError> {
    let unknown = || PostError::Resolve(target.host.clone());
    let found = lookup_host((target.host.as_str(), target.port)).await.map_err(|_| unknown())?;
    let mut failure = unknown();
    for address in found {
        if !may_call(address.ip(), allowed) {
            failure = PostError::Forbidden(address.ip());
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = PostError::Connect(address, error),
        }
    }
    Err(failure)
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, PostError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "a webhook's connection ended badly");
        }
    });
    let answered = sender.send_request(request).await;
    // whatever else it says is not read
    driver.abort();
    Ok(answered?.status().as_u16())
}

/// The authorities that browsers trust, as the crate lists them: it is in the build for PostgreSQL anyway.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
});

/// Longer than a healthy server takes to say "noted"; name lookup and TLS included.
const WITHIN: Duration = Duration::from_secs(10);
