//! `/system`: the server and its network, for those who run it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::output::Moment;
use super::problem::Problem;
use crate::actions;
use crate::app::App;
use crate::auth::ManageServer;
use crate::config::Effective;
use crate::public;

/// The server and its network.
#[derive(Serialize, ToSchema)]
pub(super) struct System {
    version: &'static str,
    started_at: Moment,
    network: NetworkBody,
    database: DatabaseBody,
    /// Devices online.
    online: usize,
    /// Pairs that have a path, by how it goes.
    #[schema(example = json!({ "ipv4": 3, "udp-relay": 1 }))]
    pairs: BTreeMap<&'static str, usize>,
    /// Memory held, if the kernel says so.
    memory_bytes: Option<u64>,
    /// Where agents connect.
    control_addr: String,
    /// Where the dashboard is.
    web_url: String,
    /// What invites pin, in hexadecimal.
    server_key: String,
    /// Of the newest change.
    revision: u64,
    /// Every setting, without secrets.
    settings: Vec<SettingBody>,
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

/// The database.
#[derive(Serialize, ToSchema)]
#[schema(as = Database)]
pub(super) struct DatabaseBody {
    #[schema(example = "SQLite")]
    engine: &'static str,
    /// Without user and password.
    url: String,
    size_bytes: u64,
    /// Its newest migration.
    schema: Option<i64>,
}

/// A setting in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Setting)]
pub(super) struct SettingBody {
    name: &'static str,
    /// As the settings file would hold it.
    value: Option<String>,
    /// Where it comes from.
    #[schema(example = "default")]
    origin: String,
}

/// The server and its network
#[utoipa::path(get, path = "/system", tag = "Server", responses((status = 200, body = System)),
    security(("token" = ["manage-server"]), ("session" = [])))]
pub(super) async fn show(State(app): State<App>, _: Caller<ManageServer>) -> Result<Json<System>, Problem> {
    let view = actions::show_system(&app).await?;
    let stored = app.store().network().await?;
    let network = stored.as_ref().unwrap_or_else(|| app.network());
    Ok(Json(System {
        version: view.version,
        started_at: view.started_at.into(),
        online: view.census.connected,
        pairs: view.census.pairs,
        memory_bytes: view.memory,
        control_addr: public::control_addr(app.config(), Some(network)),
        web_url: public::web_url(app.config(), Some(network)),
        server_key: view.server_key,
        revision: view.revision,
        settings: view.settings.into_iter().map(SettingBody::from).collect(),
        database: DatabaseBody {
            engine: view.engine,
            url: view.database,
            size_bytes: view.database_size,
            schema: view.schema.applied,
        },
        network: NetworkBody {
            id: network.id.to_string(),
            name: network.name.clone(),
            v4: network.v4.clone(),
            v6: network.v6.clone(),
        },
    }))
}

impl From<Effective> for SettingBody {
    fn from(setting: Effective) -> Self {
        Self { name: setting.name, value: setting.value, origin: setting.origin.to_string() }
    }
}
