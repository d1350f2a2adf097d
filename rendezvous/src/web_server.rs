//! The dashboard's socket: accepts, ends TLS as configured, and hands requests to the router.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::server::Acceptor;
use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;
use tracing::debug;

use crate::app::App;
use crate::limits::canonical;
use crate::router::router;
use crate::web_tls;

/// The dashboard's listener.
pub struct WebServer {
    listener: TcpListener,
    addr: SocketAddr,
    app: App,
    router: Router,
}

impl WebServer {
    /// Opens the socket.
    pub async fn bind(app: &App) -> Result<Self> {
        let listen = app.config().web_listen();
        web_tls::begin(app).await?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listen for browsers on {listen} (TCP); another program may have the port"))?;
        let addr = listener.local_addr().context("read the dashboard's address")?;
        Ok(Self { listener, addr, app: app.clone(), router: router(app.clone()) })
    }

    /// The socket's address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until it is dropped.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // out of descriptors, most likely: they come back
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (app, router) = (self.app.clone(), self.router.clone());
            tokio::spawn(async move {
                accept(stream, canonical(from), &app, router).await;
                drop(place);
            });
        }
    }
}

async fn accept(stream: TcpStream, from: SocketAddr, app: &App, router: Router) {
    // small patches of a live page must not wait for each other
    let _ = stream.set_nodelay(true);
    // nor the datagrams of a WebSocket behind many others that the kernel has not sent yet
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let Some(tls) = app.dashboard_tls().config() else { return converse(stream, from, router).await };
    match timeout(BEGIN_WITHIN, secure(stream, app, tls)).await {
        Ok(Ok(Some(stream))) => converse(stream, from, router).await,
        Ok(Err(error)) => debug!(%error, "a browser did not complete TLS"),
        Ok(Ok(None)) | Err(_) => {}
    }
}

/// Begins TLS; nothing comes of it for an authority, which only wants to see who we are.
async fn secure(stream: TcpStream, app: &App, tls: Arc<ServerConfig>) -> io::Result<Option<TlsStream<TcpStream>>> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    match web_tls::challenge(app, &begun.client_hello()).await {
        Some(answer) => {
            begun.into_stream(answer).await?.shutdown().await?;
            Ok(None)
        }
        None => begun.into_stream_with(tls, bound).await.map(Some),
    }
}

fn bound(session: &mut ServerConnection) {
    session.set_buffer_limit(Some(SEALED));
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, from: SocketAddr, router: Router) {
    let service = router.map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from));
        request
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(BEGIN_WITHIN);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(KEEP_ALIVE)).max_concurrent_streams(MAX_STREAMS);
    if let Err(error) =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).await
    {
        debug!(%error, "a browser's connection ended badly");
    }
}

/// A page of a browser holds one; a lab of browsers and scripts holds a few hundred. A WebSocket gives its place back, for
/// there is another limit for those.
const MAX_CONNECTIONS: usize = 2048;
/// What the kernel may hold of a connection that is not sent yet, and what TLS may hold in front of it.
const UNSENT: u32 = 16 * 1024;
const SEALED: usize = 32 * 1024;
/// For the TLS handshake, and for the head of each request.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// Notices a laptop that closed its lid with a live page open.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// What a browser opens at most.
const MAX_STREAMS: u32 = 100;
