//! Settings, read once: flag beats environment beats file beats default; an unknown key is an error.
//!
//! Each setting is a flag, `WARREN_` and its name in upper snake case, and a key of `/etc/warren/rendezvous.toml`.

mod effective;
mod listen;
mod origin;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

use crate::acme::{self, AcmeConfig};
use crate::oidc::{OidcConfig, RoleMap};
use crate::store::DatabaseUrl;
use crate::web_tls::host_of;

pub use effective::Effective;
pub use listen::{InvalidListen, OptionalListen};
pub use origin::{Origin, Origins};

/// What may be set, all optional; the same struct for flags with environment and for the file.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Where the database and the keys live
    #[arg(long, global = true, value_name = "DIR", env = "WARREN_DATA_DIR")]
    #[serde(alias = "data_dir")]
    pub data_dir: Option<PathBuf>,
    /// Host name or address under which agents and browsers reach this server
    #[arg(long, global = true, value_name = "HOST", env = "WARREN_PUBLIC_ADDR")]
    #[serde(alias = "public_addr")]
    pub public_addr: Option<String>,
    /// Base of the dashboard's links, where it is not the web listener on the public address
    #[arg(long, global = true, value_name = "URL", env = "WARREN_PUBLIC_URL")]
    #[serde(alias = "public_url")]
    pub public_url: Option<String>,
    /// Dashboard (TCP) [default: 0.0.0.0:443]
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "WARREN_WEB_LISTEN")]
    #[serde(alias = "web_listen")]
    pub web_listen: Option<SocketAddr>,
    /// Control plane (UDP) [default: 0.0.0.0:443]
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "WARREN_QUIC_LISTEN")]
    #[serde(alias = "quic_listen")]
    pub quic_listen: Option<SocketAddr>,
    /// STUN (UDP), on this port and the next [default: 0.0.0.0:3478]
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "WARREN_STUN_LISTEN")]
    #[serde(alias = "stun_listen")]
    pub stun_listen: Option<SocketAddr>,
    /// Relay (UDP) [default: 0.0.0.0:3480]
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "WARREN_RELAY_LISTEN")]
    #[serde(alias = "relay_listen")]
    pub relay_listen: Option<SocketAddr>,
    /// Whether the relay leaves joining and cutting runs of packets to the kernel [default: on]
    #[arg(long, global = true, value_name = "MODE", env = "WARREN_RELAY_OFFLOAD")]
    #[serde(alias = "relay_offload")]
    pub relay_offload: Option<Offload>,
    /// Metrics for Prometheus (TCP), or "off" [default: 127.0.0.1:9090]
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "WARREN_METRICS_LISTEN")]
    #[serde(alias = "metrics_listen")]
    pub metrics_listen: Option<OptionalListen>,
    /// Other servers on the same PostgreSQL (UDP); makes this one of several
    #[arg(long, global = true, value_name = "ADDR:PORT", env = "WARREN_REPLICA_LISTEN")]
    #[serde(alias = "replica_listen")]
    pub replica_listen: Option<SocketAddr>,
    /// Where the other servers reach this one, where that is not the listener's own address
    #[arg(long, global = true, value_name = "HOST:PORT", env = "WARREN_REPLICA_ADDR")]
    #[serde(alias = "replica_addr")]
    pub replica_addr: Option<String>,
    /// Who ends TLS for the dashboard: a self-signed certificate of our own, files, or a proxy before us
    #[arg(long, global = true, value_name = "MODE", env = "WARREN_TLS")]
    pub tls: Option<TlsMode>,
    /// Certificate chain (PEM) for --tls file
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_TLS_CERT")]
    #[serde(alias = "tls_cert")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) for --tls file
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_TLS_KEY")]
    #[serde(alias = "tls_key")]
    pub tls_key: Option<PathBuf>,
    /// ACME authority for --tls auto: letsencrypt, letsencrypt-staging, or the URL of its directory [default: letsencrypt]
    #[arg(long, global = true, value_name = "URL", env = "WARREN_ACME_DIRECTORY")]
    #[serde(alias = "acme_directory")]
    pub acme_directory: Option<String>,
    /// Where the ACME authority may write to; told when the account is made
    #[arg(long, global = true, value_name = "ADDRESS", env = "WARREN_ACME_EMAIL")]
    #[serde(alias = "acme_email")]
    pub acme_email: Option<String>,
    /// Certificate authority (PEM) of an ACME authority that browsers do not know
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_ACME_CA")]
    #[serde(alias = "acme_ca")]
    pub acme_ca: Option<PathBuf>,
    /// Where the agents' programs are that /install.sh gives out [default: /usr/share/warren/agents, or beside this program]
    #[arg(long, global = true, value_name = "DIR", env = "WARREN_AGENT_DIR")]
    #[serde(alias = "agent_dir")]
    pub agent_dir: Option<PathBuf>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto count, as prefixes [default: this host's own, for --tls proxy]
    #[arg(long, global = true, value_name = "PREFIX,..", value_delimiter = ',', env = "WARREN_TRUSTED_PROXIES")]
    #[serde(alias = "trusted_proxies")]
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Who owns a new server, made at its first start without a setup link
    #[arg(long, global = true, value_name = "NAME", env = "WARREN_ADMIN_NAME")]
    #[serde(alias = "admin_name")]
    pub admin_name: Option<String>,
    /// A file whose first line is the password of that owner
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_ADMIN_PASSWORD_FILE")]
    #[serde(alias = "admin_password_file")]
    pub admin_password_file: Option<PathBuf>,
    /// OpenID provider at which people may sign in: its base URL, as its tokens say it
    #[arg(long, global = true, value_name = "URL", env = "WARREN_OIDC_ISSUER")]
    #[serde(alias = "oidc_issuer")]
    pub oidc_issuer: Option<String>,
    /// What the OpenID provider calls this server
    #[arg(long, global = true, value_name = "ID", env = "WARREN_OIDC_CLIENT_ID")]
    #[serde(alias = "oidc_client_id")]
    pub oidc_client_id: Option<String>,
    /// What this server proves that with to the OpenID provider
    #[arg(long, global = true, value_name = "SECRET", env = "WARREN_OIDC_CLIENT_SECRET", hide_env_values = true)]
    #[serde(alias = "oidc_client_secret")]
    pub oidc_client_secret: Option<String>,
    /// A file that holds the OpenID client secret
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_OIDC_CLIENT_SECRET_FILE")]
    #[serde(alias = "oidc_client_secret_file")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// What the button for the OpenID provider says [default: its host]
    #[arg(long, global = true, value_name = "NAME", env = "WARREN_OIDC_NAME")]
    #[serde(alias = "oidc_name")]
    pub oidc_name: Option<String>,
    /// Roles by the groups that the OpenID provider says, followed at every sign-in; "*" is everybody [default: members]
    #[arg(long, global = true, value_name = "GROUP=ROLE,..", env = "WARREN_OIDC_ROLES")]
    #[serde(alias = "oidc_roles")]
    pub oidc_roles: Option<String>,
    /// The claim that says the groups [default: groups]
    #[arg(long, global = true, value_name = "CLAIM", env = "WARREN_OIDC_ROLE_CLAIM")]
    #[serde(alias = "oidc_role_claim")]
    pub oidc_role_claim: Option<String>,
    /// Certificate authority (PEM) of an OpenID provider that has one of its own
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_OIDC_CA")]
    #[serde(alias = "oidc_ca")]
    pub oidc_ca: Option<PathBuf>,
    /// sqlite:///PATH or postgres://USER:PASSWORD@HOST/NAME [default: SQLite in the data directory]
    #[arg(long, global = true, value_name = "URL", env = "WARREN_DATABASE_URL", hide_env_values = true)]
    #[serde(alias = "database_url")]
    pub database_url: Option<String>,
    /// A file that holds the database URL
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_DATABASE_URL_FILE")]
    #[serde(alias = "database_url_file")]
    pub database_url_file: Option<PathBuf>,
    /// How many nightly backups stay in the data directory; 0 makes none, not even before an upgrade [default: 7]
    #[arg(long, global = true, value_name = "COUNT", env = "WARREN_BACKUP_KEEP")]
    #[serde(alias = "backup_keep")]
    pub backup_keep: Option<u32>,
    /// Overlay IPv4 prefix of a new mesh [default: 100.64.0.0/10]
    #[arg(long, global = true, value_name = "PREFIX", env = "WARREN_OVERLAY_V4")]
    #[serde(alias = "overlay_v4")]
    pub overlay_v4: Option<Ipv4Net>,
    /// Name of a new mesh [default: warren]
    #[arg(long, global = true, value_name = "NAME", env = "WARREN_NETWORK_NAME")]
    #[serde(alias = "network_name")]
    pub network_name: Option<String>,
    /// Prefixes that webhooks may call although they are this host's or its link's; may be repeated
    #[arg(long, global = true, value_name = "PREFIX", env = "WARREN_WEBHOOK_ALLOW", value_delimiter = ',')]
    #[serde(alias = "webhook_allow")]
    pub webhook_allow: Option<Vec<IpNet>>,
    /// What to log: a level, or directives as in "info,warren_rendezvous=debug" [default: info, and less of libraries]
    #[arg(long, global = true, value_name = "FILTER", env = "WARREN_LOG")]
    pub log: Option<String>,
    /// How log lines look: text for people, json for programs [default: text]
    #[arg(long, global = true, value_name = "FORMAT", env = "WARREN_LOG_FORMAT")]
    #[serde(alias = "log_format")]
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// Whether runs of packets cross the border to the kernel as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offload {
    /// Never: each by itself, for drivers that get it wrong.
    Off,
    /// Wherever the kernel takes them.
    On,
}

/// Who ends TLS for the dashboard. The control plane has its own key in every mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// A certificate from an ACME authority.
    Auto,
    /// Certificate and key from files.
    File,
    /// A self-signed certificate, kept in the data directory.
    Internal,
    /// Nobody here: plain HTTP behind a proxy.
    Proxy,
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database and the keys live.
    pub data_dir: PathBuf,
    /// The host the world reaches us at, if said.
    pub public_addr: Option<String>,
    /// Base of the dashboard's links, if said.
    pub public_url: Option<String>,
    /// Dashboard and API, if said; see [`Config::web_listen`].
    pub web_listen: Option<SocketAddr>,
    /// Control plane, if said; see [`Config::quic_listen`].
    pub quic_listen: Option<SocketAddr>,
    /// STUN; the second socket is on the next port.
    pub stun_listen: SocketAddr,
    /// Relay.
    pub relay_listen: SocketAddr,
    /// Whether the relay's packets cross to the kernel in runs.
    pub relay_offload: Offload,
    /// Metrics.
    pub metrics_listen: OptionalListen,
    /// Other replicas, if there are any.
    pub replica_listen: Option<SocketAddr>,
    /// Where other replicas reach this one, if said.
    pub replica_addr: Option<String>,
    /// Who ends TLS for the dashboard.
    pub tls: TlsMode,
    /// Certificate chain and key, for `TlsMode::File`.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    /// Who gives out the certificate, for `TlsMode::Auto`.
    pub acme: Option<AcmeConfig>,
    /// Where the agents' programs are, if said.
    pub agent_dir: Option<PathBuf>,
    /// Whose word on where a request comes from is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The bridge before us, when we are in a container that has a network of its own; see `crate::container`.
    pub bridge: Option<Ipv4Addr>,
    /// Name and password file of the first owner, if they are made without a setup link.
    pub first_admin: Option<(String, PathBuf)>,
    /// The OpenID provider at which people may sign in, if there is one.
    pub oidc: Option<OidcConfig>,
    /// Where the database is.
    pub database_url: DatabaseUrl,
    /// The file that says so, if one does.
    pub database_url_file: Option<PathBuf>,
    /// How many nightly backups stay.
    pub backup_keep: u32,
    /// Overlay IPv4 prefix of a new mesh.
    pub overlay_v4: Ipv4Net,
    /// Name of a new mesh.
    pub network_name: String,
    /// What is logged, in the syntax of tracing's `EnvFilter`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where each of these comes from.
    pub origins: Origins,
    /// What webhooks may call although it is this host or its link.
    pub webhook_allow: Vec<IpNet>,
}

impl Settings {
    /// Reads a settings file; one that is not there is empty unless it was asked for by name.
    pub fn from_file(path: Option<&Path>) -> Result<(Self, Origins)> {
        let file = path.unwrap_or_else(|| Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let settings = toml::from_str(&text);
                let settings = settings.with_context(|| format!("read settings from {}", file.display()))?;
                Ok((settings, Origins::of_file(file, &text)))
            }
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Default::default()),
            Err(error) => Err(error).with_context(|| format!("read settings from {}", file.display())),
        }
    }

    /// These settings where they say something, `weaker` where they do not.
    pub fn over(self, weaker: Self) -> Self {
        // a URL and a file with the URL are one setting: the stronger source must hide both of the weaker one
        let (database_url, database_url_file) = if self.database_url.is_some() || self.database_url_file.is_some() {
            (self.database_url, self.database_url_file)
        } else {
            (weaker.database_url, weaker.database_url_file)
        };
        let (oidc_client_secret, oidc_client_secret_file) =
            if self.oidc_client_secret.is_some() || self.oidc_client_secret_file.is_some() {
                (self.oidc_client_secret, self.oidc_client_secret_file)
            } else {
                (weaker.oidc_client_secret, weaker.oidc_client_secret_file)
            };
        Self {
            data_dir: self.data_dir.or(weaker.data_dir),
            public_addr: self.public_addr.or(weaker.public_addr),
            public_url: self.public_url.or(weaker.public_url),
            web_listen: self.web_listen.or(weaker.web_listen),
            quic_listen: self.quic_listen.or(weaker.quic_listen),
            stun_listen: self.stun_listen.or(weaker.stun_listen),
            relay_listen: self.relay_listen.or(weaker.relay_listen),
            relay_offload: self.relay_offload.or(weaker.relay_offload),
            metrics_listen: self.metrics_listen.or(weaker.metrics_listen),
            replica_listen: self.replica_listen.or(weaker.replica_listen),
            replica_addr: self.replica_addr.or(weaker.replica_addr),
            tls: self.tls.or(weaker.tls),
            tls_cert: self.tls_cert.or(weaker.tls_cert),
            tls_key: self.tls_key.or(weaker.tls_key),
            acme_directory: self.acme_directory.or(weaker.acme_directory),
            acme_email: self.acme_email.or(weaker.acme_email),
            acme_ca: self.acme_ca.or(weaker.acme_ca),
            agent_dir: self.agent_dir.or(weaker.agent_dir),
            trusted_proxies: self.trusted_proxies.or(weaker.trusted_proxies),
            admin_name: self.admin_name.or(weaker.admin_name),
            admin_password_file: self.admin_password_file.or(weaker.admin_password_file),
            oidc_issuer: self.oidc_issuer.or(weaker.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(weaker.oidc_client_id),
            oidc_client_secret,
            oidc_client_secret_file,
            oidc_name: self.oidc_name.or(weaker.oidc_name),
            oidc_roles: self.oidc_roles.or(weaker.oidc_roles),
            oidc_role_claim: self.oidc_role_claim.or(weaker.oidc_role_claim),
            oidc_ca: self.oidc_ca.or(weaker.oidc_ca),
            database_url,
            database_url_file,
            backup_keep: self.backup_keep.or(weaker.backup_keep),
            overlay_v4: self.overlay_v4.or(weaker.overlay_v4),
            network_name: self.network_name.or(weaker.network_name),
            log: self.log.or(weaker.log),
            log_format: self.log_format.or(weaker.log_format),
            webhook_allow: self.webhook_allow.or(weaker.webhook_allow),
        }
    }

    /// Fills in the defaults and checks what belongs together.
    pub fn resolve(self) -> Result<Config> {
        let data_dir = self.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
        let database_url = match (self.database_url.filter(|url| !url.is_empty()), &self.database_url_file) {
            (Some(_), Some(_)) => bail!("--database-url and --database-url-file say the same thing twice; keep one"),
            (Some(url), None) => url.parse()?,
            (None, Some(file)) => std::fs::read_to_string(file)
                .with_context(|| format!("read the database URL from {}", file.display()))?
                .trim()
                .parse()?,
            (None, None) => DatabaseUrl::Sqlite(data_dir.join("warren.db")),
        };
        if self.replica_listen.is_some() && matches!(database_url, DatabaseUrl::Sqlite(_)) {
            bail!("--replica-listen is for servers that share a PostgreSQL; SQLite has one server");
        }
        let oidc_secret = secret(self.oidc_client_secret, self.oidc_client_secret_file.as_deref())?;
        let oidc = match (self.oidc_issuer.filter(|issuer| !issuer.is_empty()), self.oidc_client_id) {
            (Some(issuer), Some(client_id)) => Some(OidcConfig {
                name: self.oidc_name.unwrap_or_else(|| host_of(&issuer)),
                issuer,
                client_id,
                client_secret: oidc_secret,
                client_secret_file: self.oidc_client_secret_file,
                role_claim: self.oidc_role_claim.unwrap_or_else(|| "groups".to_owned()),
                roles: self.oidc_roles.map_or_else(|| Ok(RoleMap::members()), |text| RoleMap::parse(&text))?,
                ca: self.oidc_ca,
            }),
            (Some(_), None) => bail!("--oidc-issuer needs --oidc-client-id"),
            (None, _) => None,
        };
        let first_admin = match (self.admin_name.filter(|name| !name.is_empty()), self.admin_password_file) {
            (Some(name), Some(file)) => Some((name, file)),
            (None, None) => None,
            _ => bail!("--admin-name and --admin-password-file belong together"),
        };
        let public_addr = self.public_addr.filter(|host| !host.is_empty()).map(public_host).transpose()?;
        let public_url = self.public_url.filter(|url| !url.is_empty()).map(public_url).transpose()?;
        let acme = match self.tls {
            Some(TlsMode::Auto) => Some(AcmeConfig {
                directory: acme::directory(self.acme_directory.as_deref().unwrap_or(DEFAULT_ACME))?,
                email: self.acme_email.filter(|email| !email.is_empty()),
                ca: self.acme_ca,
                name: acme_name(public_url.as_deref(), public_addr.as_deref())?,
            }),
            _ if self.acme_directory.is_some() || self.acme_email.is_some() || self.acme_ca.is_some() => {
                bail!("--acme-directory, --acme-email and --acme-ca are for --tls auto")
            }
            _ => None,
        };
        Ok(Config {
            public_addr,
            public_url,
            acme,
            web_listen: self.web_listen,
            quic_listen: self.quic_listen,
            stun_listen: self.stun_listen.unwrap_or_else(|| any(STUN_PORT)),
            relay_listen: self.relay_listen.unwrap_or_else(|| any(RELAY_PORT)),
            relay_offload: self.relay_offload.unwrap_or(Offload::On),
            metrics_listen: self.metrics_listen.unwrap_or_default(),
            replica_listen: self.replica_listen,
            replica_addr: self.replica_addr.filter(|address| !address.is_empty()),
            tls_files: tls_files(self.tls, self.tls_cert, self.tls_key)?,
            tls: self.tls.unwrap_or(TlsMode::Internal),
            agent_dir: self.agent_dir,
            trusted_proxies: self.trusted_proxies.unwrap_or_else(|| own_proxies(self.tls)),
            bridge: None,
            first_admin,
            oidc,
            database_url,
            database_url_file: self.database_url_file,
            backup_keep: self.backup_keep.unwrap_or(DEFAULT_BACKUPS),
            overlay_v4: overlay(self.overlay_v4.unwrap_or_else(|| DEFAULT_OVERLAY.parse().expect("a valid prefix")))?,
            network_name: self.network_name.filter(|name| !name.is_empty()).unwrap_or_else(|| "warren".to_owned()),
            log: self.log.filter(|filter| !filter.is_empty()).unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            log_format: self.log_format.unwrap_or_default(),
            origins: Origins::default(),
            webhook_allow: self.webhook_allow.unwrap_or_default(),
            data_dir,
        })
    }
}

impl Config {
    /// Where the dashboard listens.
    pub fn web_listen(&self) -> SocketAddr {
        self.web_listen.unwrap_or_else(|| any(HTTPS_PORT))
    }

    /// Where the control plane listens.
    pub fn quic_listen(&self) -> SocketAddr {
        self.quic_listen.unwrap_or_else(|| any(HTTPS_PORT))
    }
}

impl LogFormat {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

impl Offload {
    const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

impl TlsMode {
    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::File => "file",
            Self::Internal => "internal",
            Self::Proxy => "proxy",
        }
    }
}

pub(crate) fn public_host(text: String) -> Result<String> {
    let host = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&text);
    let name = host.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if host.parse::<IpAddr>().is_err() && !(name && host.len() <= 253) {
        bail!("--public-addr is a host name or an address without a port, not {text:?}");
    }
    Ok(host.to_owned())
}

fn public_url(text: String) -> Result<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.trim_end_matches('/').contains(['/', '#', '?', ' '])) {
        bail!("--public-url is https://HOST or https://HOST:PORT, not {text:?}");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn tls_files(
    mode: Option<TlsMode>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>> {
    match (mode, certificate, key) {
        (Some(TlsMode::File), Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (Some(TlsMode::File), _, _) => bail!("--tls file needs --tls-cert and --tls-key"),
        (_, None, None) => Ok(None),
        _ => bail!("--tls-cert and --tls-key are for --tls file"),
    }
}

/// The host that an ACME authority is asked for: the one that browsers go to.
fn acme_name(url: Option<&str>, addr: Option<&str>) -> Result<String> {
    let host = url.map(host_of).or_else(|| addr.map(str::to_owned));
    match host {
        Some(host) if host.parse::<IpAddr>().is_err() && host != "localhost" => Ok(host.to_ascii_lowercase()),
        _ => bail!("--tls auto needs the name that browsers go to: --public-addr vpn.example.org, not an address"),
    }
}

/// A secret that was said, or the one in the file that was named.
fn secret(said: Option<String>, file: Option<&Path>) -> Result<Option<String>> {
    match (said.filter(|secret| !secret.is_empty()), file) {
        (Some(_), Some(_)) => {
            bail!("--oidc-client-secret and --oidc-client-secret-file say the same thing twice; keep one")
        }
        (Some(secret), None) => Ok(Some(secret)),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("read the OpenID client secret from {}", file.display()))?;
            Ok(Some(text.trim().to_owned()))
        }
        (None, None) => Ok(None),
    }
}

/// A proxy on this very host, where there must be one and none is named.
fn own_proxies(mode: Option<TlsMode>) -> Vec<IpNet> {
    if mode != Some(TlsMode::Proxy) {
        return Vec::new();
    }
    ["127.0.0.0/8", "::1/128"].map(|prefix| prefix.parse().expect("a valid prefix")).to_vec()
}

fn overlay(prefix: Ipv4Net) -> Result<Ipv4Net> {
    if !(4..=29).contains(&prefix.prefix_len()) {
        bail!("--overlay-v4 has a prefix length of 4 to 29, not {prefix}");
    }
    Ok(prefix.trunc())
}

fn any(port: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, port).into()
}

const DEFAULT_FILE: &str = "/etc/warren/rendezvous.toml";
const DEFAULT_DATA_DIR: &str = "/var/lib/warren-rendezvous";
/// Shared address space (RFC 6598): used inside carriers, so seldom by a home or office network.
const DEFAULT_OVERLAY: &str = "100.64.0.0/10";
/// sqlx reports every statement at debug and slow ones at warn; quinn and rustls speak of strangers' mistakes.
const DEFAULT_LOG: &str = "info,sqlx=warn,quinn=error,quinn_proto=error,rustls=error";
/// A week of nights.
const DEFAULT_BACKUPS: u32 = 7;
/// Free of charge, and known by every browser.
const DEFAULT_ACME: &str = "letsencrypt";
const HTTPS_PORT: u16 = 443;
/// Registered for STUN (RFC 8489 section 18.6).
const STUN_PORT: u16 = 3478;
/// The first port after STUN's two.
const RELAY_PORT: u16 = 3480;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = Settings::default().resolve().unwrap();

        assert_eq!(config.data_dir, Path::new("/var/lib/warren-rendezvous"));
        assert_eq!(config.web_listen(), "0.0.0.0:443".parse().unwrap());
        assert_eq!(config.quic_listen(), "0.0.0.0:443".parse().unwrap());
        assert_eq!(config.stun_listen, "0.0.0.0:3478".parse().unwrap());
        assert_eq!(config.relay_listen, "0.0.0.0:3480".parse().unwrap());
        assert_eq!(config.relay_offload, Offload::On);
        assert_eq!(config.metrics_listen, OptionalListen::At("127.0.0.1:9090".parse().unwrap()));
        assert_eq!(config.tls, TlsMode::Internal);
        assert_eq!(config.database_url, DatabaseUrl::Sqlite("/var/lib/warren-rendezvous/warren.db".into()));
    }

    #[test]
    fn a_stronger_source_wins_setting_by_setting() {
        let strong = file("tls = \"proxy\"\ndata-dir = \"/a\"\nrelay-offload = \"off\"");
        let weak = file("data_dir = \"/b\"\nrelay-listen = \"127.0.0.1:9\"\ndatabase-url = \"sqlite:///c\"");

        let config = strong.over(weak).resolve().unwrap();

        assert_eq!(config.data_dir, Path::new("/a"));
        assert_eq!(config.tls, TlsMode::Proxy);
        assert_eq!(config.relay_offload, Offload::Off);
        assert_eq!(config.relay_listen.port(), 9);
        assert_eq!(config.database_url, DatabaseUrl::Sqlite("/c".into()));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Settings>("data-dri = \"/a\"").is_err());
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_a_reason() {
        for (text, reason) in [
            ("tls = \"auto\"", "--public-addr"),
            ("tls = \"auto\"\npublic-addr = \"192.0.2.1\"", "not an address"),
            ("tls = \"auto\"\npublic-addr = \"a.b\"\nacme-directory = \"http://c.d\"", "--acme-directory"),
            ("acme-email = \"ada@example.org\"", "for --tls auto"),
            ("tls = \"file\"", "--tls-cert"),
            ("tls-cert = \"/x\"", "for --tls file"),
            ("public-addr = \"https://a\"", "--public-addr"),
            ("public-addr = \"a:443\"", "--public-addr"),
            ("public-url = \"vpn.example.org\"", "--public-url"),
            ("overlay-v4 = \"10.0.0.0/31\"", "--overlay-v4"),
            ("database-url = \"mysql://x\"", "database URL"),
        ] {
            let error = file(text).resolve().unwrap_err().to_string();

            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_database_password_is_never_printed() {
        let config = file("database-url = \"postgres://u:sesame@db/warren\"").resolve().unwrap();

        assert!(!format!("{config} {config:?}").contains("sesame"));
    }
}
