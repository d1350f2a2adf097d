//! The listener that Prometheus reads from, and the layer that times every request of the dashboard and the API.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::timeout::TimeoutLayer;
use tracing::warn;

use crate::app::App;
use crate::config::{OptionalListen, Origin};

/// The listener for Prometheus, if there is one.
#[derive(Debug)]
pub struct MetricsServer {
    listener: Option<TcpListener>,
}

impl MetricsServer {
    /// Opens the socket. That another program has the default port is no reason not to serve; nobody asked for it.
    pub async fn bind(app: &App) -> Result<Self> {
        let OptionalListen::At(addr) = app.config().metrics_listen else { return Ok(Self { listener: None }) };
        let listener = match TcpListener::bind(addr).await {
            Ok(listener) => Some(listener),
            Err(error) if *app.config().origins.of("metrics-listen") == Origin::Default => {
                warn!(%error, "no metrics: port {} is in use; --metrics-listen sets another, or off", addr.port());
                None
            }
            Err(error) => return Err(error).with_context(|| format!("listen for Prometheus on {addr} (TCP)")),
        };
        Ok(Self { listener })
    }

    /// The socket's address.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until it is dropped.
    pub async fn run(self, app: &App) {
        let Some(listener) = self.listener else { return std::future::pending().await };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_WITHIN))
            .with_state(app.clone());
        if let Err(error) = axum::serve(listener, router).await {
            warn!(%error, "metrics are no longer served");
        }
        std::future::pending().await
    }
}

/// `GET /metrics`
async fn metrics(State(app): State<App>) -> Response {
    match app.meters().scrape(&app) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Counts and times one request, by the route it took: an URL of its own choosing makes no time series.
pub async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();

    let response = next.run(request).await;

    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    app.meters().count_request(method, route, response.status().as_u16(), began.elapsed());
    response
}

/// A method is any word; only those that we answer get a name.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "other",
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// As Prometheus waits by default.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
