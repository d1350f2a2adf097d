//! The server itself: what runs, on what, how busy it is, and which settings are in force.

use anyhow::Context;
use data_encoding::HEXLOWER;
use warren_proto::keys::UnixTime;

use crate::app::App;
use crate::config::{Effective, TlsMode};
use crate::control::Census;
use crate::error::Error;
use crate::meters::resident_bytes;
use crate::public;
use crate::relay::{Counters, Load};
use crate::store::MigrationStatus;

/// The server at this moment.
#[derive(Clone, Debug)]
pub struct SystemView {
    /// The program's version.
    pub version: &'static str,
    /// When it started.
    pub started_at: UnixTime,
    /// What agents pin, in hex.
    pub server_key: String,
    /// The database, without user and password.
    pub database: String,
    /// Its engine, for people.
    pub engine: &'static str,
    /// Bytes it takes up.
    pub database_size: u64,
    /// How far its schema is.
    pub schema: MigrationStatus,
    /// The newest change.
    pub revision: u64,
    /// Who ends TLS for the dashboard.
    pub tls: TlsMode,
    /// Base of the dashboard's links.
    pub dashboard: String,
    /// The control address that agents are given.
    pub control: String,
    /// Who is connected and how.
    pub census: Census,
    /// What the relay has done since the start.
    pub relay: Counters,
    /// What it does now.
    pub relay_load: Load,
    /// Memory held, if the kernel says so.
    pub memory: Option<u64>,
    /// Every setting.
    pub settings: Vec<Effective>,
}

/// Looks at the server.
pub async fn show_system(app: &App) -> Result<SystemView, Error> {
    let (relay, relay_load) = {
        let table = app.hub().relay().lock().expect("nothing panics while it holds the table");
        (table.counters(), table.load())
    };
    let network = app.store().network().await?;
    let url = &app.config().database_url;
    Ok(SystemView {
        version: env!("CARGO_PKG_VERSION"),
        started_at: app.started_at(),
        server_key: HEXLOWER.encode(&app.server_key().pin()),
        database: url.to_string(),
        engine: url.engine(),
        database_size: app.store().size().await?,
        schema: app.store().migration_status().await.context("read the schema")?,
        revision: app.store().revision().await?,
        tls: app.config().tls,
        dashboard: public::web_url(app.config(), network.as_ref()),
        control: public::control_addr(app.config(), network.as_ref()),
        census: app.hub().census(),
        relay,
        relay_load,
        memory: resident_bytes(),
        settings: app.config().effective(),
    })
}
