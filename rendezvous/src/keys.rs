//! The data directory and the keys that live in it: the control plane's server key, which agents pin, and the network's
//! signing key. Each is made once, by whichever command comes first, and never leaves its 0600 file.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use data_encoding::HEXLOWER_PERMISSIVE;
use nix::fcntl::{Flock, FlockArg};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use sha2::{Digest, Sha256};

/// A directory only this user can read.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Opens the directory, creating it with mode 0700.
    pub fn open(path: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("create the data directory {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Says that a server works in this directory, for as long as the answer is kept; several may at once.
    pub fn occupy(&self) -> Result<Occupied> {
        self.lock(FlockArg::LockSharedNonblock).with_context(|| {
            format!("the data directory {} is being restored or copied; wait until that has ended", self.0.display())
        })
    }

    /// Says that nobody else may work in this directory, for as long as the answer is kept.
    pub fn seize(&self) -> Result<Occupied> {
        self.lock(FlockArg::LockExclusiveNonblock).with_context(|| {
            format!(
                "a server is running on the data directory {}: stop it first (tunnels stay up without it)",
                self.0.display()
            )
        })
    }

    fn lock(&self, how: FlockArg) -> Result<Occupied> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.file(LOCK))?;
        Ok(Occupied(Flock::lock(file, how).map_err(|(_, error)| error)?))
    }

    /// Every file of ours in it but the database and what is only of this run: keys and certificates, by name.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(|| format!("list {}", self.0.display()))? {
            let entry = entry.context("list the data directory")?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_ours = !name.starts_with('.') && !name.contains(".db") && !name.contains(BEFORE_RESTORE);
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                files.push((name.clone(), read(&entry.path()).with_context(|| format!("read {name}"))?));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Puts a file in its place, whole or not at all; what was there stays beside it under another name.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let (path, draft) = (self.file(name), self.file(&format!(".{name}.{}", std::process::id())));
        let place = || {
            write_new(&draft, content)?;
            match fs::rename(&path, self.file(&format!("{name}{BEFORE_RESTORE}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            fs::rename(&draft, &path)
        };
        place().with_context(|| format!("write {}", path.display()))
    }

    /// Reads a file, or makes it with `content` if it is not there. When two processes make it at once, both end with
    /// the content of the first.
    pub fn read_or_create(&self, name: &str, content: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let path = self.file(name);
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read.with_context(|| format!("read {}", path.display())),
        }
        let draft = self.file(&format!(".{name}.{}", std::process::id()));
        let made = write_new(&draft, &content()?).and_then(|()| match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
        let removed = fs::remove_file(&draft);
        made.and(removed).with_context(|| format!("write {}", path.display()))?;
        read(&path).with_context(|| format!("read {}", path.display()))
    }
}

/// A directory that somebody works in; free again when dropped.
#[derive(Debug)]
pub struct Occupied(#[expect(dead_code, reason = "it is there to be dropped")] Flock<fs::File>);

/// Makes an empty file only this user can read, unless there is one: SQLite gives its own files the mode it finds.
pub fn create_private(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The control plane's long-lived Ed25519 key.
#[derive(Clone)]
pub struct ServerKey {
    pkcs8: Vec<u8>,
    spki: Vec<u8>,
}

impl ServerKey {
    /// Reads the key, or makes it.
    pub fn open(dir: &DataDir) -> Result<Self> {
        let pem = dir.read_or_create(SERVER_KEY, || {
            let key = KeyPair::generate_for(&PKCS_ED25519).context("make the server key")?;
            Ok(key.serialize_pem().into_bytes())
        })?;
        let key = std::str::from_utf8(&pem).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
        let Some(key) = key.filter(|key| key.is_compatible(&PKCS_ED25519)) else {
            bail!(
                "{} holds no Ed25519 key; restore it from a backup, or remove it and enrol every device again",
                dir.file(SERVER_KEY).display()
            );
        };
        Ok(Self { pkcs8: key.serialize_der(), spki: key.subject_public_key_info() })
    }

    /// The private key in PKCS #8.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The SubjectPublicKeyInfo that the server proves in TLS (RFC 7250).
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Makes the tokens of QUIC's stateless resets (RFC 9000 section 10.3.2).
    pub fn reset_secret(&self) -> [u8; 32] {
        Sha256::new().chain_update(b"warren stateless reset v1").chain_update(&self.pkcs8).finalize().into()
    }

    /// Makes what STUN vouches with; all that serve one network under this key know each other's.
    pub fn voucher_secret(&self) -> [u8; 32] {
        Sha256::new().chain_update(b"warren voucher v1").chain_update(&self.pkcs8).finalize().into()
    }

    /// Signs what a webhook is sent. Made from the key, so that no database and no backup of one holds it.
    pub fn webhook_secret(&self, webhook: &[u8; 16], generation: u64) -> [u8; 32] {
        let label = Sha256::new().chain_update(b"warren webhook v1").chain_update(&self.pkcs8);
        label.chain_update(webhook).chain_update(generation.to_be_bytes()).finalize().into()
    }

    /// What invites carry and agents compare.
    pub fn pin(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }
}

/// Reads the network's signing secret, or makes it from `random`.
pub fn open_network_secret(dir: &DataDir, random: [u8; 32]) -> Result<[u8; 32]> {
    let text = dir.read_or_create(NETWORK_KEY, || Ok(HEXLOWER_PERMISSIVE.encode(&random).into_bytes()))?;
    let secret = HEXLOWER_PERMISSIVE.decode(text.trim_ascii()).ok().and_then(|secret| secret.try_into().ok());
    secret
        .with_context(|| format!("{} holds no network key; restore it from a backup", dir.file(NETWORK_KEY).display()))
}

const SERVER_KEY: &str = "server.key";
const NETWORK_KEY: &str = "network.key";
const LOCK: &str = ".lock";
/// Behind the name of what a restored file has replaced.
pub const BEFORE_RESTORE: &str = ".before-restore";
/// Longer than any file of ours, so that a wrong file is an error and not a surprise.
const MAX_FILE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_and_only_their_owner_can_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(&dir.path().join("data")).unwrap();

        let key = ServerKey::open(&data).unwrap();
        let secret = open_network_secret(&data, [1; 32]).unwrap();

        assert_eq!(ServerKey::open(&data).unwrap().pin(), key.pin());
        assert_eq!(open_network_secret(&data, [2; 32]).unwrap(), secret);
        for (path, mode) in [(data.file(SERVER_KEY), 0o600), (data.file(NETWORK_KEY), 0o600), (data.0.clone(), 0o700)] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
        }
        assert_eq!(fs::read_dir(&data.0).unwrap().count(), 2, "no drafts are left behind");
    }

    #[test]
    fn a_damaged_key_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        fs::write(data.file(SERVER_KEY), "rubbish").unwrap();
        fs::write(data.file(NETWORK_KEY), "rubbish").unwrap();

        assert!(ServerKey::open(&data).err().unwrap().to_string().contains("server.key"));
        assert!(open_network_secret(&data, [2; 32]).err().unwrap().to_string().contains("network.key"));
    }
}
