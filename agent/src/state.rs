//! The state directory: what a daemon remembers from run to run, and the lock that keeps two daemons apart.
//!
//! `state.json` is written whole and atomically; a reader sees the old or the new one. Keys are in `identity`.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::{BASE64, HEXLOWER};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use warren_proto::control::Network;
use warren_proto::keys::{NetworkId, NetworkPublic, NodeId};

use crate::exit::{Exit, Failure};

/// An opened and locked state directory; the lock ends with it.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: Flock<File>,
}

/// What is remembered.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Layout of this file.
    pub version: Version,
    /// The UDP port, chosen once and kept so that a NAT's mapping outlives a restart.
    pub port: Option<u16>,
    /// Whether the owner wants the device connected.
    pub wanted: Wanted,
    /// What makes this device part of a mesh.
    pub enrolment: Option<Enrolment>,
    /// Why the last enrolment ended, when it was not the owner who ended it.
    pub ended: Option<String>,
}

/// What the owner asked for last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// `warren down`, or never `up`.
    #[default]
    Down,
    /// `warren up`.
    Up,
}

/// What the rendezvous committed to when it took this device in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// "host:port" of the control plane, in order of preference.
    pub servers: Vec<String>,
    /// Addresses those names had when they last answered: a device whose DNS is down still finds its server.
    #[serde(default)]
    pub addresses: Vec<SocketAddr>,
    /// Origin of its web server, as last heard; `None` from a version that did not ask.
    #[serde(default)]
    pub web: Option<String>,
    /// SHA-256 of the rendezvous's public key.
    #[serde(serialize_with = "hex", deserialize_with = "unhex")]
    pub pin: [u8; 32],
    /// This device.
    #[serde(serialize_with = "hex_node", deserialize_with = "unhex_node")]
    pub node: NodeId,
    /// Encoded signed certificate of this device.
    #[serde(serialize_with = "base64", deserialize_with = "unbase64")]
    pub certificate: Vec<u8>,
    /// The mesh.
    #[serde(with = "NetworkFile")]
    pub network: Network,
}

/// The layout of `state.json` that this build writes, and the only one it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Version;

impl StateDir {
    /// Makes the directory if there is none (mode 0700), and locks it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unusable(path, &error))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| unusable(path, &error))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(|error| unusable(path, &error))?;
        match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(in_use(path).into()),
            Err((_, errno)) => Err(unusable(path, &errno.into()).into()),
        }
    }

    /// Where a file of this directory is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads what is remembered; a directory without state is a device that has done nothing yet.
    pub fn load(&self) -> Result<State, Failure> {
        let path = self.file(STATE_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| corrupt(&path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(unusable(&self.path, &error)),
        }
    }

    /// Replaces what is remembered. When this returns, it is on the disk.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(state).context("encode state")?;
        text.push(b'\n');
        self.replace(STATE_FILE, &text)
    }

    /// Writes a file of mode 0600 beside its place, syncs it and moves it there.
    pub fn replace(&self, name: &str, contents: &[u8]) -> anyhow::Result<()> {
        let path = self.file(name);
        let aside = self.file(&format!("{name}.new"));
        write_synced(&aside, contents).with_context(|| format!("write {}", aside.display()))?;
        std::fs::rename(&aside, &path).with_context(|| format!("replace {}", path.display()))?;
        File::open(&self.path).and_then(|dir| dir.sync_all()).with_context(|| format!("sync {}", self.path.display()))
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        match std::fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.file(name).display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            LAYOUT => Ok(Self),
            other => Err(format!("layout {other} was written by another version of warren; this one reads {LAYOUT}")),
        }
    }
}

impl From<Version> for u32 {
    fn from(Version: Version) -> Self {
        LAYOUT
    }
}

/// `Network` as the file shows it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Network", deny_unknown_fields)]
struct NetworkFile {
    #[serde(serialize_with = "hex_id", deserialize_with = "unhex_id")]
    id: NetworkId,
    #[serde(serialize_with = "hex_key", deserialize_with = "unhex_key")]
    signing_key: NetworkPublic,
    v4: String,
    v6: String,
    name: String,
}

fn write_synced(path: &Path, contents: &[u8]) -> io::Result<()> {
    // What a crash left aside may have any mode; a new file has the right one.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let failure = |exit| Failure::new(exit, format!("cannot use the state directory {}: {error}", path.display()));
    if error.kind() == io::ErrorKind::PermissionDenied {
        return failure(Exit::NoPermission)
            .remedy("Run the daemon as root, or choose a directory you own with --state-dir.");
    }
    failure(Exit::Failure).remedy("Choose another directory with --state-dir.")
}

fn in_use(path: &Path) -> Failure {
    Failure::new(Exit::Failure, format!("another warren daemon uses the state directory {}", path.display()))
        .remedy("Stop it, or give this one its own --state-dir, --socket and --tun.")
}

fn corrupt(path: &Path, error: &serde_json::Error) -> Failure {
    Failure::new(Exit::Failure, format!("the state file {} cannot be read: {error}", path.display())).remedy(format!(
        "Restore it from a backup, or remove it (rm {}) and enrol again with `warren up INVITE`.",
        path.display()
    ))
}

fn hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&HEXLOWER.encode(bytes))
}

fn unhex<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = HEXLOWER.decode(text.as_bytes()).map_err(de::Error::custom)?;
    bytes.try_into().map_err(|_| de::Error::custom("a key of the wrong length"))
}

fn hex_id<S: Serializer>(id: &NetworkId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id.to_string())
}

fn unhex_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkId, D::Error> {
    unhex(deserializer).map(NetworkId::new)
}

fn hex_node<S: Serializer>(id: &NodeId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id.to_string())
}

fn unhex_node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
    unhex(deserializer).map(NodeId::new)
}

fn hex_key<S: Serializer>(key: &NetworkPublic, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&key.to_string())
}

fn unhex_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkPublic, D::Error> {
    unhex(deserializer).map(NetworkPublic::new)
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn unbase64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text.as_bytes()).map_err(de::Error::custom)
}

const STATE_FILE: &str = "state.json";
const LAYOUT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&root.path().join("state")).unwrap();

        dir.save(&enrolled()).unwrap();

        assert_eq!(dir.load().unwrap(), enrolled());
    }

    #[test]
    fn a_new_directory_holds_a_device_that_has_done_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();

        assert_eq!(dir.load().unwrap(), State::default());
    }

    #[test]
    fn nobody_else_may_look_into_the_directory_or_the_file() {
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let dir = StateDir::open(root.path()).unwrap();

        dir.save(&enrolled()).unwrap();

        assert_eq!(mode(root.path()), 0o700);
        assert_eq!(mode(&dir.file(STATE_FILE)), 0o600);
    }

    #[test]
    fn two_daemons_never_share_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let first = StateDir::open(root.path()).unwrap();

        let second = StateDir::open(root.path()).map_err(Failure::from).unwrap_err();

        assert!(second.text.contains("another warren daemon"), "{second}");
        drop(first);
        StateDir::open(root.path()).unwrap();
    }

    #[test]
    fn a_damaged_file_says_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        dir.save(&enrolled()).unwrap();
        let whole = std::fs::read(dir.file(STATE_FILE)).unwrap();

        for damaged in [&whole[..whole.len() / 2], b"", b"{\"version\":9}", b"\xff\xfe"] {
            std::fs::write(dir.file(STATE_FILE), damaged).unwrap();

            let failure = dir.load().unwrap_err();

            assert_eq!(failure.exit, Exit::Failure);
            assert!(failure.remedy.unwrap().contains("warren up INVITE"));
        }
    }

    #[test]
    fn what_a_crash_left_aside_does_not_hinder_the_next_save() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        std::fs::write(dir.file("state.json.new"), "half").unwrap();

        dir.save(&enrolled()).unwrap();

        assert_eq!(dir.load().unwrap(), enrolled());
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn enrolled() -> State {
        State {
            version: Version,
            port: Some(40_000),
            wanted: Wanted::Up,
            enrolment: Some(Enrolment {
                servers: vec!["vpn.example.org:443".to_owned()],
                addresses: vec!["203.0.113.1:443".parse().unwrap()],
                web: Some("https://vpn.example.org".to_owned()),
                pin: [7; 32],
                node: NodeId::new([3; 16]),
                certificate: vec![1, 2, 3],
                network: Network {
                    id: NetworkId::new([1; 16]),
                    signing_key: NetworkPublic::new([2; 32]),
                    v4: "100.64.0.0/10".to_owned(),
                    v6: "fd00::/48".to_owned(),
                    name: "home".to_owned(),
                },
            }),
            ended: None,
        }
    }
}
