//! Keys of security associations in the format of Wireshark's `esp_sa` table, for those who ask for them.
//!
//! Off unless `--sa-keylog` names a file. Whoever reads the file can read the traffic; nothing else ever shows a key.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use tracing::warn;
use warren_proto::crypto::Suite;
use warren_proto::keys::Spi;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

/// An open key log.
#[derive(Debug)]
pub struct KeyLog {
    file: File,
}

impl KeyLog {
    /// Opens the file for appending, mode 0600 if it is new, and warns of what it is.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| {
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            let exit = if denied { Exit::NoPermission } else { Exit::Failure };
            Failure::new(exit, format!("cannot write the key log {}: {error}", path.display()))
                .remedy("Name another file with --sa-keylog, or leave the option out.")
        })?;
        warn!("the keys of all security associations are written to a file: whoever reads it can read the traffic");
        Ok(Self { file })
    }

    /// Appends one SA: key and salt as they stand in the SA's key material.
    pub fn note(&mut self, spi: Spi, suite: Suite, key_material: &[u8; 36]) {
        let line = line(spi, suite, key_material);
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            warn!(%error, "cannot write the key log");
        }
    }
}

fn line(spi: Spi, suite: Suite, key_material: &[u8; 36]) -> Zeroizing<String> {
    let key = Zeroizing::new(HEXLOWER.encode(key_material));
    Zeroizing::new(format!(
        "\"IPv4\",\"*\",\"*\",\"{:#010x}\",\"{}\",\"0x{}\",\"NULL\",\"\"\n",
        spi.get(),
        algorithm(suite),
        *key
    ))
}

/// Wireshark knows the first name alone; the others follow its pattern for tools that understand implicit IVs.
fn algorithm(suite: Suite) -> &'static str {
    match suite {
        Suite::Aes256Gcm => "AES-GCM with 16 octet ICV [RFC4106]",
        Suite::Aes256GcmIiv => "AES-GCM with 16 octet ICV [RFC8750]",
        Suite::ChaCha20Poly1305Iiv => "ChaCha20-Poly1305 with 16 octet ICV [RFC8750]",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_line_is_a_row_of_wiresharks_table() {
        let expected = format!(
            "\"IPv4\",\"*\",\"*\",\"0x80000010\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x{}\",\"NULL\",\"\"\n",
            "ab".repeat(36)
        );

        assert_eq!(*line(spi(), Suite::Aes256Gcm, &[0xab; 36]), expected);
    }

    #[test]
    fn the_file_grows_and_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");

        for _ in 0..2 {
            KeyLog::open(&path).unwrap().note(spi(), Suite::Aes256GcmIiv, &[1; 36]);
        }

        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    fn spi() -> Spi {
        Spi::new(0x8000_0010).unwrap()
    }
}
