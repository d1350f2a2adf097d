//! The server itself: what runs, on what, how busy it is, and which settings are in force.

use anyhow::Context;
use data_encoding::HEXLOWER;
use warren_proto::keys::UnixTime;

use super::keep_backups::{BackupState, backup_state};
use crate::app::App;
use crate::config::{Effective, TlsMode};
use crate::control::Census;
use crate::error::Error;
use crate::meters::resident_bytes;
use crate::public;
use crate::relay::{Counters, Load};
use crate::store::MigrationStatus;
use crate::web_tls::TlsState;

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
    /// Bytes that are left on the disk of the data directory, if the kernel says so.
    pub disk_free: Option<u64>,
    /// The backups that are made every night.
    pub backup: BackupState,
    /// How far its schema is.
    pub schema: MigrationStatus,
    /// The newest change.
    pub revision: u64,
    /// Who ends TLS for the dashboard.
    pub tls: TlsMode,
    /// Its certificate, unless a proxy has it.
    pub certificate: Option<TlsState>,
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
        disk_free: disk_free(app),
        backup: backup_state(app),
        schema: app.store().migration_status().await.context("read the schema")?,
        revision: app.store().revision().await?,
        tls: app.config().tls,
        certificate: app.dashboard_tls().state(),
        dashboard: public::web_url(app.config(), network.as_ref()),
        control: public::control_addr(app.config(), network.as_ref()),
        census: app.hub().census(),
        relay,
        relay_load,
        memory: resident_bytes(),
        settings: app.config().effective(),
    })
}

/// What is wrong with the server itself, and what to do: sentences for whoever runs it.
pub(super) fn troubles(app: &App) -> Vec<String> {
    let certificate = app.dashboard_tls().state().and_then(|state| state.trouble);
    let certificate = certificate.map(|trouble| format!("The dashboard's certificate: {trouble}"));
    let backup = backup_state(app).trouble.map(|trouble| format!("The nightly backup: {trouble}"));
    let disk = disk_free(app).and_then(disk_trouble).map(|trouble| format!("The disk: {trouble}"));
    [certificate, backup, disk].into_iter().flatten().collect()
}

/// What is wrong with so little room.
pub fn disk_trouble(free: u64) -> Option<String> {
    (free < DISK_LOW)
        .then(|| "it is nearly full; make room, for without any nothing can be written and nobody can enrol".to_owned())
}

fn disk_free(app: &App) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(&app.config().data_dir).ok()?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// A large mesh's database, its write-ahead log and a backup of it.
const DISK_LOW: u64 = 100 * 1024 * 1024;
