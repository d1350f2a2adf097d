//! The URL table. Handlers live in `api` and `web`, in `control` for its WebSocket, and here only for the two that say
//! whether the server is well.

use std::time::Duration;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};
use tokio::time::timeout;

use crate::app::App;
use crate::auth::Client;
use crate::origin;
use crate::{api, control, meters, web};

/// Everything the web listener serves.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(app.clone())
        .nest("/api/v1", api::router(app.clone()))
        .merge(control::router(app.clone()))
        .merge(web::router(app.clone(), api::document()))
        .layer(middleware::from_fn_with_state(app.clone(), remember_origin))
        .layer(middleware::from_fn_with_state(app.clone(), web::secure))
        .layer(middleware::from_fn_with_state(app, meters::measure))
}

/// Has whatever the request changes be logged with where it comes from.
async fn remember_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(client) = Client::from_request_parts(&mut parts, &app).await;
    origin::within(client.address, next.run(Request::from_parts(parts, body))).await
}

/// `GET /readyz`: whether the database answers; the listeners are open before this one is.
async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    match timeout(PATIENCE, app.store().ping()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}

/// Shorter than anybody who asks is willing to wait.
const PATIENCE: Duration = Duration::from_secs(2);
