//! The agent's programs that this server gives out: one for each kind of processor, with the SHA-256 that the installer
//! holds them to.
//!
//! They lie in the agent directory, or beside our own program, where a build and a plain archive have them. What is
//! there is looked at again for each request, so that an operator may put a file there at any time; it is hashed again
//! only when it changed.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::config::Config;

/// A kind of processor that there are agents for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Arch {
    /// ARM, 64 bits.
    Aarch64,
    /// Intel and AMD, 64 bits.
    X86_64,
}

/// A program that can be downloaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Agent {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) len: u64,
    /// Of its content.
    pub(crate) sha256: [u8; 32],
    modified: Option<SystemTime>,
}

/// What there is to give out.
#[derive(Debug)]
pub(crate) struct Agents {
    directories: Vec<PathBuf>,
    known: Mutex<BTreeMap<Arch, Agent>>,
}

impl Arch {
    /// Every kind.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// As `uname -m` says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }

    /// The name of its program.
    pub(crate) fn file(self) -> String {
        format!("warren-linux-{}", self.name())
    }
}

impl Agents {
    /// In the directory that the settings name, or where packages and builds leave them.
    pub(crate) fn new(config: &Config) -> Self {
        let directories = match &config.agent_dir {
            Some(directory) => vec![directory.clone()],
            None => {
                let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
                [PathBuf::from(USUAL)].into_iter().chain(beside).collect()
            }
        };
        Self { directories, known: Mutex::default() }
    }

    /// The program for this kind of processor, if there is one.
    pub(crate) async fn find(&self, arch: Arch) -> io::Result<Option<Agent>> {
        let Some((path, metadata)) = self.look(arch) else { return Ok(None) };
        let (len, modified) = (metadata.len(), metadata.modified().ok());
        // held while hashing: those who ask meanwhile want the same answer
        let mut known = self.known.lock().await;
        if let Some(agent) = known.get(&arch)
            && (&agent.path, agent.len, agent.modified) == (&path, len, modified)
        {
            return Ok(Some(agent.clone()));
        }
        let hashed = path.clone();
        let sha256 = spawn_blocking(move || hash(&hashed)).await.map_err(io::Error::other)??;
        let agent = Agent { path, len, sha256, modified };
        known.insert(arch, agent.clone());
        Ok(Some(agent))
    }

    fn look(&self, arch: Arch) -> Option<(PathBuf, Metadata)> {
        // a build leaves the one for its own processor without more of a name
        let own = (arch.name() == std::env::consts::ARCH).then(|| "warren".to_owned());
        let names: Vec<String> = [arch.file()].into_iter().chain(own).collect();
        let places = self.directories.iter().flat_map(|directory| names.iter().map(move |name| directory.join(name)));
        places
            .filter_map(|path| Some((path.metadata().ok()?, path)))
            .find(|(found, _)| found.is_file())
            .map(|(m, p)| (p, m))
    }
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finalize().into()),
            len => hasher.update(&chunk[..len]),
        }
    }
}

/// Read at once.
const CHUNK: usize = 64 * 1024;
/// Where our packages and images put them.
const USUAL: &str = "/usr/share/warren/agents";

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(directory: &Path) -> Agents {
        Agents { directories: vec![directory.to_owned()], known: Mutex::default() }
    }

    #[tokio::test]
    async fn a_program_is_found_by_its_name_and_hashed_again_when_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let agents = agents(directory.path());
        let file = directory.path().join("warren-linux-aarch64");
        assert_eq!(agents.find(Arch::Aarch64).await.unwrap(), None);

        std::fs::write(&file, "one").unwrap();
        let first = agents.find(Arch::Aarch64).await.unwrap().unwrap();
        std::fs::write(&file, "another").unwrap();
        let second = agents.find(Arch::Aarch64).await.unwrap().unwrap();

        assert_eq!((first.len, second.len), (3, 7));
        assert_eq!(first.sha256, <[u8; 32]>::from(Sha256::digest("one")));
        assert_eq!(second.sha256, <[u8; 32]>::from(Sha256::digest("another")));
    }

    #[tokio::test]
    async fn what_a_build_calls_warren_is_for_our_own_processor() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("warren"), "built here").unwrap();
        let agents = agents(directory.path());

        for arch in Arch::ALL {
            let found = agents.find(arch).await.unwrap();

            assert_eq!(found.is_some(), arch.name() == std::env::consts::ARCH, "{arch:?}");
        }
    }
}
