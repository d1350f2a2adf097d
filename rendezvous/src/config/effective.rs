//! The settings in force as people are shown them: `check-config` and the System page. No secret is among them.

use std::fmt;

use ipnet::IpNet;

use super::{Config, Origin};
use crate::store::DatabaseUrl;

/// One setting with its value and where that comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// The key in the settings file.
    pub name: &'static str,
    /// The value as the file would hold it; `None` where nothing is set and nothing is needed.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether a part of the value is not shown.
    pub redacted: bool,
}

impl Config {
    /// Every setting, in the order of the help.
    pub fn effective(&self) -> Vec<Effective> {
        let path = |path: &std::path::PathBuf| Some(format!("{path:?}"));
        let text = |value: &dyn fmt::Display| Some(format!("\"{value}\""));
        let prefixes = |prefixes: &[IpNet]| {
            let quoted: Vec<_> = prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
            Some(format!("[{}]", quoted.join(", ")))
        };
        let quoted = |text: &str| Some(format!("{text:?}"));
        let (files, acme) = (self.tls_files.as_ref(), self.acme.as_ref());
        let (first, oidc) = (self.first_admin.as_ref(), self.oidc.as_ref());
        let values = [
            ("data-dir", path(&self.data_dir)),
            ("public-addr", self.public_addr.as_ref().and_then(|host| text(host))),
            ("public-url", self.public_url.as_ref().and_then(|url| text(url))),
            ("web-listen", text(&self.web_listen())),
            ("quic-listen", text(&self.quic_listen())),
            ("stun-listen", text(&self.stun_listen)),
            ("relay-listen", text(&self.relay_listen)),
            ("relay-offload", text(&self.relay_offload.name())),
            ("metrics-listen", text(&self.metrics_listen)),
            ("replica-listen", self.replica_listen.as_ref().and_then(|listen| text(listen))),
            ("replica-addr", self.replica_addr.as_ref().and_then(|address| text(address))),
            ("tls", text(&self.tls.name())),
            ("tls-cert", files.and_then(|(certificate, _)| path(certificate))),
            ("tls-key", files.and_then(|(_, key)| path(key))),
            ("acme-directory", acme.and_then(|acme| quoted(&acme.directory))),
            ("acme-email", acme.and_then(|acme| acme.email.as_deref()).and_then(quoted)),
            ("acme-ca", acme.and_then(|acme| acme.ca.as_ref()).and_then(path)),
            ("agent-dir", self.agent_dir.as_ref().and_then(path)),
            ("trusted-proxies", prefixes(&self.trusted_proxies)),
            ("admin-name", first.and_then(|(name, _)| quoted(name))),
            ("admin-password-file", first.and_then(|(_, file)| path(file))),
            ("oidc-issuer", oidc.and_then(|oidc| quoted(&oidc.issuer))),
            ("oidc-client-id", oidc.and_then(|oidc| quoted(&oidc.client_id))),
            ("oidc-client-secret", oidc.and_then(|oidc| oidc.has_secret_of_its_own().then(|| "\"...\"".to_owned()))),
            ("oidc-client-secret-file", oidc.and_then(|oidc| oidc.client_secret_file.as_ref()).and_then(path)),
            ("oidc-name", oidc.and_then(|oidc| quoted(&oidc.name))),
            (
                "oidc-roles",
                oidc.map(|oidc| oidc.roles.to_string()).filter(|map| !map.is_empty()).as_deref().and_then(quoted),
            ),
            ("oidc-role-claim", oidc.and_then(|oidc| quoted(&oidc.role_claim))),
            ("oidc-ca", oidc.and_then(|oidc| oidc.ca.as_ref()).and_then(path)),
            ("database-url", Some(format!("{:?}", shown(&self.database_url)))),
            ("database-url-file", self.database_url_file.as_ref().and_then(path)),
            ("backup-keep", Some(self.backup_keep.to_string())),
            ("overlay-v4", text(&self.overlay_v4)),
            ("network-name", Some(format!("{:?}", self.network_name))),
            ("webhook-allow", prefixes(&self.webhook_allow)),
            ("log", Some(format!("{:?}", self.log))),
            ("log-format", text(&self.log_format.name())),
        ];
        let effective = |(name, value): (&'static str, Option<String>)| {
            let redacted = match name {
                "database-url" => matches!(self.database_url, DatabaseUrl::Postgres(_)),
                "oidc-client-secret" => value.is_some(),
                _ => false,
            };
            Effective { name, value, origin: self.origins.of(self.set_by(name)).clone(), redacted }
        };
        values.into_iter().map(effective).collect()
    }

    /// The setting that decides this one: a URL may come from the file that another setting names.
    fn set_by(&self, name: &'static str) -> &'static str {
        if name == "database-url" && self.database_url_file.is_some() { "database-url-file" } else { name }
    }
}

impl fmt::Display for Config {
    /// As `check-config` prints it: a settings file whose comments say where each value comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.effective();
        let lines: Vec<String> = settings.iter().map(line).collect();
        let width = lines.iter().map(String::len).max().unwrap_or(0).min(WIDEST);
        for (line, setting) in lines.iter().zip(&settings) {
            let hidden = match (setting.redacted, setting.name) {
                (true, "database-url") => ", without its user and password",
                (true, _) => ", not shown",
                (false, _) => "",
            };
            writeln!(f, "{line:width$}  # {}{hidden}", setting.origin)?;
        }
        Ok(())
    }
}

fn line(setting: &Effective) -> String {
    match &setting.value {
        // two settings for one thing would be refused when this is read again
        Some(value) if setting.redacted => format!("# {} = {value}", setting.name),
        Some(value) => format!("{} = {value}", setting.name),
        None => format!("# {} is not set", setting.name),
    }
}

fn shown(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Postgres(_) => url.to_string(),
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
    }
}

/// One long path must not push every comment off the screen.
const WIDEST: usize = 60;

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::super::Settings;
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str::<Settings>(text).unwrap().resolve().unwrap()
    }

    #[test]
    fn every_setting_is_shown_and_every_secret_has_a_file_of_its_own() {
        let shown: Vec<_> = config("").effective().iter().map(|setting| setting.name).collect();
        let command = Settings::augment_args(clap::Command::new("settings"));
        let flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();

        assert_eq!(shown, flags);
        for secret in command.get_arguments().filter(|flag| flag.is_hide_env_values_set()) {
            let twin = format!("{}-file", secret.get_long().unwrap());
            assert!(flags.contains(&twin.as_str()), "{twin}");
        }
    }

    #[test]
    fn the_manual_names_every_setting_with_its_default() {
        let manual = include_str!("../../../docs/operations.md");
        let table = manual.split_once("## Settings of the rendezvous").unwrap().1.split("\n## ").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let told: Vec<_> = rows
            .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>())
            .map(|cells| (cells[1].to_owned(), cells[2].to_owned()))
            .collect();

        let value = |setting: &Effective| setting.value.as_deref().unwrap_or("-").trim_matches('"').to_owned();
        let there: Vec<_> =
            config("").effective().iter().map(|setting| (setting.name.to_owned(), value(setting))).collect();

        assert_eq!(told, there);
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let before = config("tls = \"proxy\"\nmetrics-listen = \"off\"\nnetwork-name = \"my \\\"net\\\"\"");

        let after = config(&before.to_string());

        assert_eq!(after.to_string(), before.to_string());
        assert_eq!(after.network_name, "my \"net\"");
    }
}
