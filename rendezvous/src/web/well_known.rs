//! `/.well-known/warren`: the server's name card, for agents that are told its address only.
//!
//! It names the key of the control plane, which is no secret. Whether an agent may believe it is the agent's to find out:
//! by TLS, or by a person who compares (docs/security.md).

use axum::Json;
use axum::extract::State;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::Web;
use super::problem::Problem;
use crate::public;

/// The card. Fields are only added.
#[derive(Serialize)]
pub(super) struct Card {
    schema: u32,
    /// What people call the mesh.
    network: String,
    /// "host:port" of the control plane.
    servers: Vec<String>,
    /// Origin of the dashboard.
    web: String,
    /// SHA-256 of the control plane's SubjectPublicKeyInfo.
    server_key: String,
    version: &'static str,
}

/// `GET /.well-known/warren`
pub(super) async fn card(State(web): State<Web>) -> Result<Json<Card>, Problem> {
    let (app, network) = (&web.app, web.app.store().network().await?);
    Ok(Json(Card {
        schema: 1,
        servers: vec![public::control_addr(app.config(), network.as_ref())],
        web: public::web_url(app.config(), network.as_ref()),
        network: network.map(|network| network.name).unwrap_or_default(),
        server_key: HEXLOWER.encode(&app.server_key().pin()),
        version: env!("CARGO_PKG_VERSION"),
    }))
}
