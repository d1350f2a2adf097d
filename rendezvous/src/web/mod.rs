//! The dashboard: pages rendered on the server, forms that are posted and answered by a redirect, streams that keep
//! the pages live. No SQL and no JSON; what is done is done by `actions`.

mod account;
mod activate;
mod activity;
mod assets;
mod csv;
mod devices;
mod format;
mod headers;
mod install;
mod keys;
mod live;
mod map;
mod me;
mod overview;
mod page;
mod pairs;
mod passkeys;
mod plot;
mod problem;
mod qr;
mod reference;
mod settings;
mod system;
mod tokens;
mod users;
mod view;
mod webhooks;
mod well_known;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;

use crate::agents::Agents;
use crate::app::App;
use crate::auth::Passwords;

use live::Streams;
use reference::Reference;

/// What the pages' handlers share.
#[derive(Clone, FromRef)]
struct Web {
    app: App,
    passwords: Passwords,
    streams: Streams,
    agents: Arc<Agents>,
    reference: Arc<Reference>,
}

/// Every page, form and asset; `document` describes the API.
pub fn router(app: App, document: &serde_json::Value) -> Router {
    let agents = Arc::new(Agents::new(app.config()));
    let reference = Arc::new(Reference::new(document));
    let web = Web { app, passwords: Passwords::new(), streams: Streams::new(), agents, reference };
    Router::new()
        .route("/", get(overview::page))
        .route("/live", get(overview::live))
        .route("/setup", get(account::setup::page).post(account::setup::submit))
        .route("/sign-in", get(account::sign_in::page).post(account::sign_in::submit))
        .route("/sign-in/code", get(account::code::page).post(account::code::submit))
        .route("/sign-in/oidc", get(account::oidc::begin))
        .route("/sign-in/oidc/callback", get(account::oidc::callback))
        .route("/sign-in/passkey", post(account::passkey::submit))
        .route("/sign-in/passkey/challenge", post(account::passkey::challenge))
        .route("/join", get(account::join::page).post(account::join::submit))
        .route("/reset", get(account::reset::page).post(account::reset::submit))
        .route("/account", get(me::page::page))
        .route("/account/name", post(me::page::rename))
        .route("/account/provider/unlink", post(me::provider::unlink))
        .route("/account/password", post(me::password::submit))
        .route("/account/passkeys", post(me::passkeys::add))
        .route("/account/passkeys/challenge", post(me::passkeys::challenge))
        .route("/account/passkeys/{id}/remove", post(me::passkeys::remove))
        .route("/account/authenticator", get(me::authenticator::page).post(me::authenticator::confirm))
        .route("/account/authenticator/codes", post(me::authenticator::renew))
        .route("/account/authenticator/remove", post(me::authenticator::remove))
        .route("/account/sessions/end-others", post(me::sessions::end_others))
        .route("/account/sessions/{id}/end", post(me::sessions::end))
        .route("/users", get(users::list::page))
        .route("/users/invite", get(users::invite::page).post(users::invite::submit))
        .route("/users/links/{id}", get(users::invite::link))
        .route("/users/links/{id}/withdraw", post(users::invite::withdraw))
        .route("/users/{id}", get(users::show::page))
        .route("/users/{id}/role", post(users::show::change_role))
        .route("/users/{id}/disable", post(users::show::disable))
        .route("/users/{id}/enable", post(users::show::enable))
        .route("/users/{id}/reset", post(users::show::reset))
        .route("/users/{id}/remove", get(users::show::ask_removal).post(users::show::remove))
        .route("/sign-out", post(account::sign_out::submit))
        .route("/activate", get(activate::page))
        .route("/activate/live", get(activate::live))
        .route("/activate/approve", post(activate::approve))
        .route("/activate/deny", post(activate::deny))
        .route("/devices", get(devices::list::page))
        .route("/devices.csv", get(devices::list::csv))
        .route("/devices/bulk", post(devices::bulk::submit))
        .route("/devices/live", get(devices::list::live))
        .route("/devices/new", get(devices::add::page).post(devices::add::submit))
        .route("/devices/new/{id}", get(devices::invited::page))
        .route("/devices/new/{id}/live", get(devices::invited::live))
        .route("/devices/{id}", get(devices::show::page))
        .route("/devices/{id}/live", get(devices::show::live))
        .route("/devices/{id}/relay", post(devices::relay::submit))
        .route("/devices/{id}/rename", post(devices::rename::submit))
        .route("/devices/{id}/tags", post(devices::tags::submit))
        .route("/devices/{id}/revoke", get(devices::revoke::page).post(devices::revoke::submit))
        .route("/map", get(map::page))
        .route("/map/live", get(map::live))
        .route("/pairs/{a}/{b}", get(pairs::show::page))
        .route("/pairs/{a}/{b}/live", get(pairs::show::live))
        .route("/pairs/{a}/{b}/ping", post(pairs::ask::ping))
        .route("/pairs/{a}/{b}/retry", post(pairs::ask::retry))
        .route("/keys", get(keys::page).post(keys::submit))
        .route("/keys/{id}", get(keys::show))
        .route("/keys/{id}/revoke", post(keys::revoke))
        .route("/settings", get(settings::page))
        .route("/settings/name", post(settings::rename))
        .route("/activity", get(activity::page))
        .route("/system", get(system::page))
        .route("/api", get(reference::page))
        .route("/tokens", get(tokens::page).post(tokens::create))
        .route("/tokens/{id}/revoke", post(tokens::revoke))
        .route("/activity.csv", get(activity::csv))
        .route("/webhooks", get(webhooks::list::page).post(webhooks::list::create))
        .route("/webhooks/{id}", get(webhooks::show::page).post(webhooks::show::submit))
        .route("/webhooks/{id}/remove", post(webhooks::show::remove))
        .route("/webhooks/{id}/rotate", post(webhooks::show::rotate))
        .route("/webhooks/{id}/test", post(webhooks::show::test))
        .route("/.well-known/warren", get(well_known::card))
        .route("/assets/{name}", get(assets::asset))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::not_found)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(CompressionLayer::new())
        // a program does not become shorter, and its length tells how far a download is
        .route("/install.sh", get(install::script))
        .route("/dl/{name}", get(install::program))
        .with_state(web)
}

pub(crate) use headers::secure;

/// The longest form holds a name and a password of 1,024 bytes.
const MAX_FORM: usize = 16 * 1024;
