//! `/system`: the server itself, for whoever runs it.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::Web;
use super::format::{Bytes, Moment, sentence};
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions::{self, SystemView};
use crate::auth::{ManageServer, May};
use crate::config::{Effective, Origin, TlsMode};

#[derive(Template)]
#[template(path = "system/show.html")]
struct SystemPage {
    shell: Shell,
    system: System,
}

/// What the page says, in words.
struct System {
    version: &'static str,
    started: Moment,
    server_key: String,
    memory: String,
    agents: usize,
    direct: usize,
    relayed: usize,
    relay_bytes: Bytes,
    relay_packets: u64,
    relay_dropped: u64,
    relay_channels: usize,
    dashboard: String,
    control: String,
    tls: &'static str,
    certificate: Option<Until>,
    engine: &'static str,
    database: String,
    database_size: Bytes,
    disk: Option<Disk>,
    backup: Option<Backup>,
    backup_trouble: Option<String>,
    schema: String,
    revision: u64,
    settings: Vec<Row>,
}

/// The end of something, and what is wrong with it.
struct Until {
    at: Moment,
    trouble: Option<String>,
}

/// Room for the database and its backups.
struct Disk {
    free: Bytes,
    trouble: Option<String>,
}

/// The newest backup.
struct Backup {
    at: Moment,
    size: Bytes,
    place: String,
}

/// A setting.
struct Row {
    name: &'static str,
    value: String,
    origin: String,
    /// Whether somebody chose it.
    chosen: bool,
}

/// `GET /system`
pub(super) async fn page(State(web): State<Web>, may: May<ManageServer>) -> Result<Html<String>, Problem> {
    let view = actions::show_system(&web.app).await?;
    let shell = Shell::of_person(&web.app, &may.person, "system");
    page::html(&SystemPage { shell, system: System::new(view, web.app.now()) })
}

impl System {
    fn new(view: SystemView, now: warren_proto::keys::UnixTime) -> Self {
        let pairs = |names: &[&str]| names.iter().filter_map(|name| view.census.pairs.get(name)).sum();
        let schema = match view.schema.applied {
            Some(applied) if applied == view.schema.known => format!("{applied}, as this version wants it"),
            applied => format!("{}; this version wants {}", applied.unwrap_or(0), view.schema.known),
        };
        Self {
            version: view.version,
            started: Moment::new(view.started_at, now),
            server_key: view.server_key,
            memory: view.memory.map_or_else(|| "unknown".to_owned(), |bytes| Bytes(bytes).to_string()),
            agents: view.census.connected,
            direct: pairs(&["ipv4", "ipv6", "lan"]),
            relayed: pairs(&["udp-relay", "websocket-relay"]),
            relay_bytes: Bytes(view.relay.forwarded_bytes),
            relay_packets: view.relay.forwarded,
            relay_dropped: view.relay.dropped.iter().sum(),
            relay_channels: view.relay_load.channels,
            dashboard: view.dashboard,
            control: view.control,
            tls: tls(view.tls),
            certificate: view.certificate.map(|certificate| Until {
                at: Moment::new(certificate.validity.not_after, now),
                trouble: certificate.trouble.as_deref().map(sentence),
            }),
            engine: view.engine,
            database: view.database,
            database_size: Bytes(view.database_size),
            disk: view
                .disk_free
                .map(|free| Disk { free: Bytes(free), trouble: actions::disk_trouble(free).as_deref().map(sentence) }),
            backup: view.backup.newest.map(|kept| Backup {
                at: Moment::new(kept.at, now),
                size: Bytes(kept.bytes),
                place: kept.path.display().to_string(),
            }),
            backup_trouble: view.backup.trouble.as_deref().map(sentence),
            schema,
            revision: view.revision,
            settings: view.settings.into_iter().map(Row::new).collect(),
        }
    }
}

fn tls(mode: TlsMode) -> &'static str {
    match mode {
        TlsMode::Auto => "this server, with a certificate from an ACME authority",
        TlsMode::File => "this server, with a certificate from files",
        TlsMode::Internal => "this server, with a certificate that it signed itself",
        TlsMode::Proxy => "a proxy before this server",
    }
}

impl Row {
    fn new(setting: Effective) -> Self {
        let value = setting.value.unwrap_or_else(|| "not set".to_owned());
        let hidden = if setting.redacted { " (user and password not shown)" } else { "" };
        Self {
            name: setting.name,
            value: value.trim_matches('"').to_owned() + hidden,
            chosen: setting.origin != Origin::Default,
            origin: setting.origin.to_string(),
        }
    }
}
