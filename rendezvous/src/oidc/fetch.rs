//! Asks the provider over HTTP: one request a connection, bounded in time and size, no redirects followed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::trust;

/// Asks over TLS with these authorities, or without TLS on this host itself.
#[derive(Clone)]
pub(super) struct Fetch(TlsConnector);

impl Fetch {
    /// Believes the authorities that browsers do, and those in the file.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self> {
        Ok(Self(TlsConnector::from(Arc::new(trust::client_config(ca)?))))
    }

    /// The body of a successful answer.
    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>> {
        self.ask(url, Request::get(url), String::new()).await
    }

    /// The body of the answer to a form.
    pub(super) async fn post(&self, url: &str, form: String, authorization: Option<String>) -> Result<Vec<u8>> {
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        self.ask(url, request, form).await
    }

    async fn ask(&self, url: &str, request: axum::http::request::Builder, body: String) -> Result<Vec<u8>> {
        let uri: Uri = url.parse().with_context(|| format!("read the URL {url}"))?;
        let answer = timeout(PATIENCE, self.converse(&uri, request, body)).await;
        answer.with_context(|| format!("{url} does not answer in time"))?.with_context(|| format!("ask {url}"))
    }

    async fn converse(&self, uri: &Uri, request: axum::http::request::Builder, body: String) -> Result<Vec<u8>> {
        let host = uri.host().context("the URL has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let authority = uri.authority().context("the URL has no host")?.as_str();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = request
            .uri(path)
            .header(header::HOST, authority)
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .body(Body::from(body))?;
        let stream = TcpStream::connect((host, port)).await.context("connect")?;
        if is_tls {
            let name = ServerName::try_from(host.to_owned()).context("the host is no name for TLS")?;
            return send(self.0.connect(name, stream).await.context("begin TLS")?, request).await;
        }
        // a provider beside us, or one in a test: nothing secret leaves this host
        if !stream.peer_addr().context("read the peer's address")?.ip().is_loopback() {
            bail!("a provider on another host must be reached by https");
        }
        send(stream, request).await
    }
}

async fn send(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, request: Request<Body>) -> Result<Vec<u8>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("begin HTTP")?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.context("send the request")?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await.context("read the answer")?;
        if !status.is_success() {
            bail!("it answers {status}");
        }
        Ok(body.to_vec())
    };
    let answer = answer.await;
    driver.abort();
    answer
}

/// A person waits for three of these in a row.
const PATIENCE: Duration = Duration::from_secs(8);
/// The longest key sets are some 20 KB.
const MAX_ANSWER: usize = 256 * 1024;
