//! `/system`: the server and its network, for those who run it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::problem::Problem;
use crate::actions;
use crate::app::App;
use crate::auth::ManageServer;
use crate::public;

/// The server and its network.
#[derive(Serialize, ToSchema)]
pub(super) struct System {
    version: &'static str,
    network: NetworkBody,
    devices: DeviceCounts,
    /// "sqlite" or "postgres".
    database: &'static str,
    /// Where agents connect.
    control_addr: String,
    /// Where the dashboard is.
    web_url: String,
    /// What invites pin, in hexadecimal.
    server_key: String,
    /// Of the newest change.
    revision: u64,
}

/// The mesh.
#[derive(Serialize, ToSchema)]
#[schema(as = Network)]
pub(super) struct NetworkBody {
    id: String,
    name: String,
    #[schema(example = "100.64.0.0/10")]
    v4: String,
    v6: String,
}

/// How many devices.
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceCounts {
    total: usize,
    online: usize,
}

/// The server and its network
#[utoipa::path(get, path = "/system", tag = "Server", responses((status = 200, body = System)),
    security(("token" = ["manage-server"]), ("session" = [])))]
pub(super) async fn show(State(app): State<App>, _: Caller<ManageServer>) -> Result<Json<System>, Problem> {
    let stored = app.store().network().await?;
    let network = stored.as_ref().unwrap_or_else(|| app.network());
    let devices = actions::list_devices(&app).await?;
    let online = devices.iter().filter(|view| view.presence.is_some()).count();
    Ok(Json(System {
        version: env!("CARGO_PKG_VERSION"),
        devices: DeviceCounts { total: devices.len(), online },
        database: app.store().engine(),
        control_addr: public::control_addr(app.config(), Some(network)),
        web_url: public::web_url(app.config(), Some(network)),
        server_key: data_encoding::HEXLOWER.encode(&app.server_key().pin()),
        revision: app.store().revision().await?,
        network: NetworkBody {
            id: network.id.to_string(),
            name: network.name.clone(),
            v4: network.v4.clone(),
            v6: network.v6.clone(),
        },
    }))
}
