//! How an authority is asked: one request a connection, over TLS, bounded in time and size.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::body::to_bytes;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::trust;

/// Asks whom these authorities vouch for.
#[derive(Clone)]
pub(super) struct Https(TlsConnector);

impl Https {
    pub(super) fn new(ca: Option<&Path>) -> Result<Self> {
        Ok(Self(TlsConnector::from(Arc::new(trust::client_config(ca)?))))
    }

    async fn converse(self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>> {
        let uri = request.uri().clone();
        if uri.scheme_str() != Some("https") {
            bail!("{uri} is not reached by https");
        }
        let host = uri.host().context("the URL has no host")?.trim_start_matches('[').trim_end_matches(']');
        let authority = uri.authority().context("the URL has no host")?.as_str();
        let (mut parts, body) = request.into_parts();
        parts.uri = uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        parts.headers.insert(header::HOST, authority.parse()?);
        parts.headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.context("connect")?;
        let name = ServerName::try_from(host.to_owned()).context("the host is no name for TLS")?;
        let stream = self.0.connect(name, stream).await.context("begin TLS")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("begin HTTP")?;
        let driver = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(Request::from_parts(parts, body)).await.context("send the request")?;
            let (parts, body) = response.into_parts();
            let body = to_bytes(axum::body::Body::new(body), MAX_ANSWER).await.context("read the answer")?;
            Ok(Response::from_parts(parts, Full::new(body)))
        };
        let answer = answer.await;
        driver.abort();
        answer
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (this, uri) = (self.clone(), request.uri().clone());
        Box::pin(async move {
            let answer = match timeout(PATIENCE, this.converse(request)).await {
                Ok(answer) => answer.with_context(|| format!("ask {uri}")),
                Err(_) => Err(anyhow::anyhow!("{uri} does not answer in time")),
            };
            answer.map(BytesResponse::from).map_err(|error| {
                // one line: whoever shows it does not ask for its sources
                Error::Other(Box::<dyn StdError + Send + Sync>::from(format!("{error:#}")))
            })
        })
    }
}

/// Authorities under load take seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer is a chain of certificates, some 10 KB.
const MAX_ANSWER: usize = 256 * 1024;
