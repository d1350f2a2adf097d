//! The JSON under `/api/v1`: short handlers that say what may be asked and how it is answered. What is done is done by
//! `actions`, the same as from the pages; no SQL and no HTML here.
//!
//! A request goes through `enter` (who calls, how often), `once` (`Idempotency-Key`) and then its handler, whose arguments
//! refuse what is not allowed or cannot be read. Every route is declared together with its description, so the OpenAPI
//! document (`document`) cannot lack one.

mod account_invites;
mod audit;
mod caller;
mod devices;
mod document;
mod enroll_keys;
mod enrollments;
mod enter;
mod events;
mod input;
mod instance;
mod me;
mod metrics;
mod once;
mod output;
mod own;
mod pair_wishes;
mod pairs;
mod problem;
mod session;
mod settings;
mod system;
mod tags;
mod tokens;
mod users;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) use document::document;
use enter::Limits;

/// What the handlers share.
#[derive(Clone, FromRef)]
struct Api {
    app: App,
    limits: Arc<Mutex<Limits>>,
    streams: Arc<Semaphore>,
}

impl Api {
    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().expect("nothing panics while it holds the limits")
    }
}

/// Every route of the API.
pub(crate) fn router(app: App) -> Router {
    let api = Api {
        app,
        limits: Arc::new(Mutex::new(Limits::new(Instant::now()))),
        streams: Arc::new(Semaphore::new(events::MAX_STREAMS)),
    };
    let (router, _) = described().split_for_parts();
    router
        .route("/openapi.json", get(document::show))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::not_allowed)
        .layer(middleware::from_fn_with_state(api.clone(), once::once))
        .layer(middleware::from_fn_with_state(api.clone(), enter::enter))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CompressionLayer::new())
        .with_state(api)
}

/// The routes with their descriptions.
fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(instance::show))
        .routes(routes!(me::show, me::rename))
        .routes(routes!(own::sessions, own::end_other_sessions))
        .routes(routes!(own::end_session))
        .routes(routes!(own::passkeys))
        .routes(routes!(own::remove_passkey))
        .routes(routes!(own::unlink_provider))
        .routes(routes!(session::end))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(users::list))
        .routes(routes!(users::show, users::change, users::remove))
        .routes(routes!(users::reset_link))
        .routes(routes!(account_invites::list, account_invites::create))
        .routes(routes!(account_invites::withdraw))
        .routes(routes!(devices::list))
        .routes(routes!(devices::show, devices::change, devices::revoke))
        .routes(routes!(devices::connections))
        .routes(routes!(tags::add, tags::remove))
        .routes(routes!(tags::list))
        .routes(routes!(pairs::list))
        .routes(routes!(metrics::of_device))
        .routes(routes!(pairs::show))
        .routes(routes!(metrics::of_pair))
        .routes(routes!(pair_wishes::ping))
        .routes(routes!(pair_wishes::retry))
        .routes(routes!(metrics::topology))
        .routes(routes!(enroll_keys::list, enroll_keys::create))
        .routes(routes!(enroll_keys::show, enroll_keys::change, enroll_keys::revoke))
        .routes(routes!(enrollments::list))
        .routes(routes!(enrollments::show))
        .routes(routes!(enrollments::approve))
        .routes(routes!(enrollments::deny))
        .routes(routes!(audit::list))
        .routes(routes!(events::stream))
        .routes(routes!(system::show))
        .routes(routes!(settings::show, settings::change))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::show, webhooks::change, webhooks::delete))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::attempts))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
}

/// No call needs more than a few kilobytes.
const MAX_BODY: usize = 64 * 1024;
