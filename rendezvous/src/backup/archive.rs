//! The file: a gzipped tar that is written under another name until it is whole, and is read entry by entry. Knows nothing
//! of what the entries mean.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::{MANIFEST, Manifest};

/// An archive that is being written; gone without a trace unless it is finished.
pub(super) struct Writer {
    tar: Tar,
    entries: BTreeMap<String, String>,
    draft: Draft,
    at: u64,
}

/// Removes what was begun and not finished.
struct Draft {
    path: PathBuf,
    becomes: PathBuf,
}

impl Writer {
    /// Begins one that will be at `path`, where there must be none.
    pub(super) fn create(path: &Path, at_secs: u64) -> Result<Self> {
        ensure!(!path.exists(), "there is a file {} already", path.display());
        let mut name = path.file_name().context("name a file")?.to_owned();
        name.push(".part");
        let draft = path.with_file_name(name);
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let file = file.with_context(|| format!("write {}", draft.display()))?;
        let draft = Draft { path: draft, becomes: path.to_owned() };
        let gzip = GzEncoder::new(BufWriter::new(file), Compression::fast());
        Ok(Self { tar: tar::Builder::new(gzip), entries: BTreeMap::new(), draft, at: at_secs })
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entries.insert(name.to_owned(), checksum(content));
        append(&mut self.tar, name, content, self.at).context("write the backup")
    }

    /// Adds the manifest, and gives the archive its name once it is on the disk.
    pub(super) fn finish(self, mut manifest: Manifest) -> Result<Manifest> {
        let Self { mut tar, entries, draft, at } = self;
        manifest.entries = entries;
        let text = serde_json::to_vec_pretty(&manifest).context("write the manifest")?;
        let done = || -> io::Result<()> {
            append(&mut tar, MANIFEST, &text, at)?;
            let file = tar.into_inner()?.finish()?.into_inner()?;
            file.sync_all()?;
            fs::rename(&draft.path, &draft.becomes)?;
            File::open(
                draft.becomes.parent().filter(|parent| *parent != Path::new("")).unwrap_or_else(|| Path::new(".")),
            )?
            .sync_all()
        };
        done().with_context(|| format!("write {}", draft.becomes.display()))?;
        Ok(manifest)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // one that has got its name is not here any more
        let _ = fs::remove_file(&self.path);
    }
}

fn append(tar: &mut Tar, name: &str, content: &[u8], at: u64) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(at);
    tar.append_data(&mut header, name, content)
}

/// Hands every entry but the manifest to `take`, in the order in which they were added.
pub(super) fn each(path: &Path, mut take: impl FnMut(&str, Vec<u8>) -> Result<()>) -> Result<()> {
    let mut read = Reader::open(path)?;
    for entry in read.0.entries().with_context(|| unreadable(path))? {
        let (name, content) = content(entry).with_context(|| unreadable(path))?;
        if name != MANIFEST {
            take(&name, content)?;
        }
    }
    Ok(())
}

/// Reads the whole archive, and its manifest if all is as that says.
pub(super) fn verify(path: &Path) -> Result<Manifest> {
    let (mut found, mut manifest) = (BTreeMap::new(), None);
    let mut read = Reader::open(path)?;
    for entry in read.0.entries().with_context(|| unreadable(path))? {
        let (name, content) = content(entry).with_context(|| unreadable(path))?;
        if name == MANIFEST {
            manifest = Some(serde_json::from_slice::<Manifest>(&content).with_context(|| unreadable(path))?);
        } else {
            found.insert(name, checksum(&content));
        }
    }
    let Some(manifest) = manifest else { bail!("{}: it has no manifest, so it was cut off", unreadable(path)) };
    for (name, expected) in &manifest.entries {
        ensure!(found.get(name) == Some(expected), "{}: {name} is missing or damaged", unreadable(path));
    }
    ensure!(found.len() == manifest.entries.len(), "{}: it holds more than its manifest says", unreadable(path));
    Ok(manifest)
}

struct Reader(tar::Archive<GzDecoder<BufReader<File>>>);

impl Reader {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(Self(tar::Archive::new(GzDecoder::new(BufReader::new(file)))))
    }
}

fn content<R: Read>(entry: io::Result<tar::Entry<'_, R>>) -> Result<(String, Vec<u8>)> {
    let entry = entry?;
    let name = entry.path()?.to_str().context("an entry has a strange name")?.to_owned();
    let size = entry.size();
    ensure!(size <= MAX_ENTRY, "{name} is too large to be ours");
    let mut content = Vec::new();
    entry.take(MAX_ENTRY).read_to_end(&mut content)?;
    ensure!(content.len() as u64 == size, "{name} was cut off");
    Ok((name, content))
}

fn unreadable(path: &Path) -> String {
    format!("{} is no whole backup", path.display())
}

fn checksum(content: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(content))
}

type Tar = tar::Builder<GzEncoder<BufWriter<File>>>;

/// Far above a batch of rows, far below what hurts.
const MAX_ENTRY: u64 = 64 << 20;
