//! Backups: everything that makes a server the one its devices know, in one file, made while it serves.
//!
//! An archive is a gzipped tar of the data directory's keys, the settings for reading, and every table's rows as lines of
//! JSON, which either engine can take. Its manifest comes last and names a SHA-256 for everything before it, so an archive
//! that was cut off or damaged is found out before anything is touched. `archive` knows the file, `create` and `restore`
//! what goes into it, `keep` the copies that are made without being asked for.

mod archive;
mod create;
mod keep;
mod restore;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::Tally;

pub use create::create;
pub use keep::{Kept, before_migration, keep_nightly, newest};
pub use restore::{read_manifest, restore};

/// What an archive holds, and how to tell that it is whole.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the archive's layout.
    pub format: u32,
    /// Of the program that made it.
    pub version: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// The engine it was made from.
    pub engine: String,
    /// The newest migration of its tables.
    pub schema: i64,
    /// The tables, each after those that it refers to.
    pub tables: Vec<SavedTable>,
    /// The SHA-256 of each entry, in hexadecimal.
    pub entries: BTreeMap<String, String>,
}

/// A table in an archive.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SavedTable {
    /// Its name.
    pub name: String,
    /// In the order of the values of each row.
    pub columns: Vec<String>,
    /// What must read back.
    pub tally: Tally,
}

/// The layout that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// The entry that names all others.
const MANIFEST: &str = "manifest.json";
