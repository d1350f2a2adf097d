//! The JSON under `/api/v1`: short handlers, problems by RFC 9457, no SQL and no HTML. What is done is done by `actions`.

mod pairs;
mod problem;
mod signed_in;

use axum::Router;
use axum::routing::get;

use crate::app::App;

/// Every route of the API.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/pairs/{a}/{b}", get(pairs::show))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::not_allowed)
        .with_state(app)
}
