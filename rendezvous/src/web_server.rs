//! The dashboard's socket: accepts, ends TLS as configured, and hands requests to the router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
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
    tls: Option<TlsAcceptor>,
    router: Router,
}

impl WebServer {
    /// Opens the socket.
    pub async fn bind(app: &App) -> Result<Self> {
        let listen = app.config().web_listen();
        let tls = web_tls::server_config(app).await?.map(|config| TlsAcceptor::from(Arc::new(config)));
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listen for browsers on {listen} (TCP); another program may have the port"))?;
        let addr = listener.local_addr().context("read the dashboard's address")?;
        Ok(Self { listener, addr, tls, router: router(app.clone()) })
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
            let (tls, router) = (self.tls.clone(), self.router.clone());
            tokio::spawn(async move {
                accept(stream, canonical(from), tls, router).await;
                drop(place);
            });
        }
    }
}

async fn accept(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, router: Router) {
    // small patches of a live page must not wait for each other
    let _ = stream.set_nodelay(true);
    // nor the datagrams of a WebSocket behind many others that the kernel has not sent yet
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    match tls {
        None => converse(stream, from, router).await,
        Some(tls) => match timeout(BEGIN_WITHIN, tls.accept_with(stream, bound)).await {
            Ok(Ok(stream)) => converse(stream, from, router).await,
            Ok(Err(error)) => debug!(%error, "a browser did not complete TLS"),
            Err(_) => {}
        },
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
