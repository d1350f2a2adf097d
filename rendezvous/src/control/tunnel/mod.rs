//! Control plane and relay for networks that let no UDP out: a WebSocket that carries their datagrams.
//!
//! Each WebSocket is given two loopback sockets, one towards our own QUIC listener and one towards our own relay, so that
//! neither knows the difference: keys, proofs and tokens are theirs, and whoever ends the TLS on the way learns and forges
//! nothing. `registry` says who may open one and knows whose it is; `carry` moves the datagrams.

mod carry;
mod registry;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tracing::debug;
use warren_proto::control::tunnel::{MAX_MESSAGE, PATH, SUBPROTOCOL};

use crate::app::App;
use crate::auth::Client;
use crate::limits::canonical;

pub use registry::Tunnels;

use registry::Refusal;

/// The one URL.
pub fn router(app: App) -> Router {
    Router::new().route(PATH, get(open)).with_state(app)
}

/// `GET /tunnel`
async fn open(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    // a page of some other site would use its visitors' addresses; agents send no such header
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "this is for agents, not for pages\n").into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "no subprotocol that this server speaks\n").into_response();
    }
    let ends = match Tunnels::open(&app, client.address).await {
        Ok(ends) => ends,
        Err(refusal) => return refusal.into_response(),
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_failed_upgrade(|error| debug!(%error, "a WebSocket was not completed"))
        .on_upgrade(move |socket| carry::carry(socket, ends))
}

/// Whom we see behind a control connection. Through a tunnel it is the client of the WebSocket, without a port: that of a
/// TCP connection is no UDP port, and an address without one is nobody's candidate.
pub(super) fn observed(app: &App, remote: SocketAddr) -> SocketAddr {
    app.tunnels().client(remote).map_or_else(|| canonical(remote), |client| SocketAddr::new(client, 0))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Full | Self::NotServing | Self::Socket(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// One TLS record; thousands of idle WebSockets hold one each.
const READ_BUFFER: usize = 16 * 1024;
