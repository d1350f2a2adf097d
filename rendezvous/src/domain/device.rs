//! A device of the mesh and the rule for its name.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use sqlx::types::Uuid;
use warren_proto::keys::{IdentityPublic, NodeId, StaticPublic, UnixTime};

use super::Version;

/// A device as the mesh knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// UUIDv7, made at enrolment.
    pub id: NodeId,
    /// Its name in the mesh, unique among active devices.
    pub name: DeviceName,
    /// What the host called itself when it was enrolled.
    pub hostname: String,
    /// Proves the device to this server.
    pub identity_key: IdentityPublic,
    /// Peers run their handshakes against it.
    pub static_key: StaticPublic,
    /// Overlay address.
    pub v4: Ipv4Addr,
    /// Overlay address.
    pub v6: Ipv6Addr,
    /// Current signed certificate, encoded.
    pub certificate: Vec<u8>,
    /// The certificate's epoch.
    pub epoch: u64,
    /// When the certificate ends.
    pub not_after: UnixTime,
    /// From its invite.
    pub tags: Vec<String>,
    /// Operating system, as the agent says.
    pub os: String,
    /// Agent version, as the agent says.
    pub agent_version: String,
    /// Whether an administrator wants it to use the relay only.
    pub relay_only: bool,
    /// Whether it still belongs to the mesh.
    pub state: DeviceState,
    /// The invite it was enrolled with.
    pub invite_id: Option<Uuid>,
    /// Whose it is; nobody's if it was enrolled from the server's shell.
    pub owner_id: Option<Uuid>,
    /// When it was enrolled.
    pub created_at: UnixTime,
    /// When it was last connected, as far as flushed.
    pub last_seen_at: Option<UnixTime>,
    /// When it left or was revoked.
    pub ended_at: Option<UnixTime>,
}

impl Device {
    /// Names what can be changed of it.
    pub fn version(&self) -> Version {
        let relay_only = if self.relay_only { "relay" } else { "" };
        let mut fields = vec![self.name.as_str(), relay_only, self.state.name()];
        fields.extend(self.tags.iter().map(String::as_str));
        Version::of(&fields)
    }
}

/// Whether a device belongs to the mesh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceState {
    /// It does.
    Active,
    /// It left by itself.
    LoggedOut,
    /// An administrator removed it.
    Revoked,
}

impl DeviceState {
    /// The word in the database and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::LoggedOut => "logged-out",
            Self::Revoked => "revoked",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::LoggedOut, Self::Revoked].into_iter().find(|state| state.name() == word)
    }
}

/// A device's name: one DNS label in lower case (RFC 1123 section 2.1), so that it can be a host name in the mesh.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(String);

impl DeviceName {
    /// Accepts what already is a name.
    pub fn parse(text: &str) -> Option<Self> {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let good = inner && edge(text.bytes().next()) && edge(text.bytes().next_back()) && text.len() <= MAX_LEN;
        good.then(|| Self(text.to_owned()))
    }

    /// The nearest name to what a host calls itself: its first label, in lower case, with anything else as hyphens.
    pub fn from_hostname(hostname: &str) -> Self {
        let label = hostname.split('.').next().unwrap_or_default();
        let mut name = String::new();
        for letter in label.chars().map(|letter| letter.to_ascii_lowercase()) {
            if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
                name.push(letter);
            } else if !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(MAX_LEN - SUFFIX_ROOM);
        Self::parse(name.trim_matches('-')).unwrap_or_else(|| Self(NAMELESS.to_owned()))
    }

    /// This name, or with the lowest suffix from -2 on that is not taken.
    pub fn unless_taken(self, taken: &[String]) -> Self {
        if !taken.contains(&self.0) {
            return self;
        }
        // with n names taken, one of n + 1 suffixes is free
        (2..=taken.len() + 2)
            .map(|number| Self(format!("{}-{number}", self.0)))
            .find(|name| !taken.contains(&name.0))
            .unwrap_or(self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Longest DNS label (RFC 1035 section 2.3.4).
const MAX_LEN: usize = 63;
/// Left free in a derived name for the suffix of one taken a million times.
const SUFFIX_ROOM: usize = 8;
/// For a host whose name has no letter or digit.
const NAMELESS: &str = "device";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_becomes_a_device_name() {
        for (hostname, name) in [
            ("laptop", "laptop"),
            ("Laptop.local", "laptop"),
            ("Anna's MacBook Pro", "anna-s-macbook-pro"),
            ("--x--", "x"),
            ("", "device"),
            ("日本", "device"),
            ("ubuntu_22", "ubuntu-22"),
        ] {
            assert_eq!(DeviceName::from_hostname(hostname).as_str(), name, "{hostname}");
        }
    }

    #[test]
    fn every_derived_name_is_one_that_parses() {
        for hostname in ["a".repeat(300), "-".repeat(70), format!("{}-b", "a".repeat(54))] {
            let name = DeviceName::from_hostname(&hostname);

            assert_eq!(DeviceName::parse(name.as_str()), Some(name));
        }
    }

    #[test]
    fn a_taken_name_gets_the_lowest_free_suffix() {
        let name = DeviceName::from_hostname("nas");
        let taken = ["nas", "nas-2", "nas-4"].map(str::to_owned);

        assert_eq!(name.clone().unless_taken(&[]).as_str(), "nas");
        assert_eq!(name.unless_taken(&taken).as_str(), "nas-3");
    }

    #[test]
    fn what_is_no_dns_label_is_no_name() {
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)] {
            assert_eq!(DeviceName::parse(bad), None, "{bad}");
        }
    }
}
