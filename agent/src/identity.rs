//! The keys that make this device itself: made here, kept in a file of mode 0600, never sent.
//!
//! What the keys prove is decided in `warren_proto`; where the file lies is `state`'s business.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use data_encoding::BASE64;
use warren_proto::certificate::IdentitySecret;
use warren_proto::keys::StaticSecret;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::state::StateDir;

/// The two secrets of a device. No `Debug`.
pub struct Identity {
    /// Ed25519: proves the device to the rendezvous.
    pub identity: IdentitySecret,
    /// X25519: proves the device to its peers.
    pub static_secret: StaticSecret,
}

impl Identity {
    /// Reads the identity, or makes one and writes it if there is none.
    pub fn load_or_create(dir: &StateDir) -> Result<Self, Failure> {
        match load(&dir.file(FILE))? {
            Some(identity) => Ok(identity),
            None => Self::create(dir),
        }
    }

    /// Makes a new identity in place of any older one.
    pub fn create(dir: &StateDir) -> Result<Self, Failure> {
        let identity = Self {
            identity: IdentitySecret::new(&*random_bytes()?),
            static_secret: StaticSecret::new(*random_bytes()?),
        };
        dir.replace(FILE, identity.encode().as_bytes())?;
        Ok(identity)
    }

    /// Forgets the identity; what it was enrolled as is lost with it.
    pub fn remove(dir: &StateDir) -> Result<(), Failure> {
        Ok(dir.remove(FILE)?)
    }

    fn encode(&self) -> Zeroizing<String> {
        let ed25519 = Zeroizing::new(BASE64.encode(Zeroizing::new(self.identity.to_bytes()).as_slice()));
        let x25519 = Zeroizing::new(BASE64.encode(Zeroizing::new(self.static_secret.to_bytes()).as_slice()));
        Zeroizing::new(format!("{HEADER}\ned25519 {}\nx25519 {}\n", *ed25519, *x25519))
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let identity = secret(lines.next()?.strip_prefix("ed25519 ")?)?;
        let static_secret = secret(lines.next()?.strip_prefix("x25519 ")?)?;
        let whole = lines.next().is_none();
        whole.then(|| Self {
            identity: IdentitySecret::new(&identity),
            static_secret: StaticSecret::new(*static_secret),
        })
    }
}

/// 32 bytes from the operating system.
pub fn random_bytes() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).context("read random bytes from the operating system")?;
    Ok(bytes)
}

fn load(path: &Path) -> Result<Option<Identity>, Failure> {
    let text = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::new(error).context(format!("read {}", path.display())).into()),
    };
    let mode = std::fs::metadata(path).with_context(|| format!("read the mode of {}", path.display()))?;
    if mode.permissions().mode() & 0o077 != 0 {
        return Err(Failure::new(Exit::Failure, format!("other users may read the keys in {}", path.display()))
            .remedy(format!(
                "Run `chmod 600 {}`; if somebody may have read it, `warren logout` and enrol again.",
                path.display()
            )));
    }
    let identity = str::from_utf8(&text).ok().and_then(Identity::decode);
    identity.map(Some).ok_or_else(|| {
        Failure::new(Exit::Failure, format!("the identity file {} cannot be read", path.display())).remedy(
            "Restore it from a backup, or remove the whole state directory and enrol again with `warren up INVITE`.",
        )
    })
}

fn secret(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

const FILE: &str = "identity.key";
const HEADER: &str = "warren identity 1";

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_device_stays_itself_over_a_restart() {
        let (_root, dir) = state_dir();

        let first = Identity::load_or_create(&dir).unwrap();
        let second = Identity::load_or_create(&dir).unwrap();

        assert_eq!(first.identity.public(), second.identity.public());
        assert_eq!(first.static_secret.public(), second.static_secret.public());
    }

    #[test]
    fn two_devices_are_not_the_same() {
        let ((_a, first), (_b, second)) = (state_dir(), state_dir());

        let first = Identity::load_or_create(&first).unwrap();
        let second = Identity::load_or_create(&second).unwrap();

        assert_ne!(first.identity.public(), second.identity.public());
        assert_ne!(first.static_secret.public(), second.static_secret.public());
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let (_root, dir) = state_dir();

        Identity::load_or_create(&dir).unwrap();

        let mode = std::fs::metadata(dir.file(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let (_root, dir) = state_dir();
        Identity::load_or_create(&dir).unwrap();
        std::fs::set_permissions(dir.file(FILE), Permissions::from_mode(0o640)).unwrap();

        let failure = Identity::load_or_create(&dir).err().unwrap();

        assert!(failure.remedy.unwrap().contains("chmod 600"));
    }

    #[test]
    fn a_damaged_file_is_never_replaced_silently() {
        let (_root, dir) = state_dir();
        Identity::load_or_create(&dir).unwrap();
        let whole = std::fs::read(dir.file(FILE)).unwrap();

        for damaged in [&whole[..whole.len() - 9], b"", b"warren identity 2\n", b"\xff"] {
            std::fs::write(dir.file(FILE), damaged).unwrap();

            assert_eq!(Identity::load_or_create(&dir).err().unwrap().exit, Exit::Failure);
            assert_eq!(std::fs::read(dir.file(FILE)).unwrap(), damaged);
        }
    }

    fn state_dir() -> (tempfile::TempDir, StateDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        (root, dir)
    }
}
