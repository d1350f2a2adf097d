//! `mesh.json`: the peers of the last run, so that a device finds them while its rendezvous is down.
//!
//! Only what is signed or public is in it, never a key. A file that cannot be read is left out of account, for the
//! rendezvous has the truth; what the enrolment must not lose is in `state.json`. Who is believed is decided in
//! `warren_proto::node`, when it is written in `slow_path`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::keys::{NetworkId, UnixTime};
use warren_proto::node::{Memory, PeerMemory, RememberedEndpoint};

use crate::state::StateDir;

/// What is remembered of a mesh.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MeshCache {
    /// Peers and where they answered.
    pub memory: Memory,
    /// STUN servers of the last greeting: they may live though the control plane does not.
    pub stun: Vec<SocketAddr>,
}

/// Why a file is left out of account.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error texts say it")]
pub enum CacheError {
    #[error("it belongs to another mesh")]
    OtherMesh,
    #[error("it is not whole: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("it is larger than anything this program writes")]
    TooLarge,
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it has layout {0}, which this version does not know")]
    Version(u32),
}

impl MeshCache {
    /// Reads what an earlier run wrote of this mesh; `None` if there is nothing.
    pub fn load(dir: &StateDir, network: NetworkId) -> Result<Option<Self>, CacheError> {
        let path = dir.file(FILE);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => return Err(CacheError::TooLarge),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Self::decode(&std::fs::read(&path)?, network).map(Some)
    }

    /// The contents of the file.
    pub fn encode(&self, network: NetworkId) -> Vec<u8> {
        let file = File {
            version: LAYOUT,
            network: network.to_string(),
            relay_only: self.memory.relay_only,
            stun: self.stun.clone(),
            peers: self.memory.peers.iter().take(MAX_PEERS).map(PeerEntry::of).collect(),
        };
        let mut text = serde_json::to_vec_pretty(&file).expect("plain values always encode");
        text.push(b'\n');
        text
    }

    fn decode(bytes: &[u8], network: NetworkId) -> Result<Self, CacheError> {
        let Layout { version } = serde_json::from_slice(bytes)?;
        if version != LAYOUT {
            return Err(CacheError::Version(version));
        }
        let file: File = serde_json::from_slice(bytes)?;
        if file.network != network.to_string() {
            return Err(CacheError::OtherMesh);
        }
        let peers = file.peers.iter().take(MAX_PEERS).filter_map(PeerEntry::memory).collect();
        Ok(Self { memory: Memory { relay_only: file.relay_only, peers }, stun: file.stun })
    }
}

/// Replaces the file; when this returns it is on the disk.
pub fn save(dir: &StateDir, contents: &[u8]) -> anyhow::Result<()> {
    dir.replace(FILE, contents)
}

/// Forgets the mesh.
pub fn remove(dir: &StateDir) -> anyhow::Result<()> {
    dir.remove(FILE)
}

/// The first look at a file.
#[derive(Deserialize)]
struct Layout {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    network: String,
    relay_only: bool,
    stun: Vec<SocketAddr>,
    peers: Vec<PeerEntry>,
}

#[derive(Serialize, Deserialize)]
struct PeerEntry {
    certificate: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    relay_only: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    endpoints: Vec<EndpointEntry>,
}

#[derive(Serialize, Deserialize)]
struct EndpointEntry {
    addr: SocketAddr,
    kind: String,
    /// Seconds since 1970.
    answered_at: u64,
}

impl PeerEntry {
    fn of(peer: &PeerMemory) -> Self {
        let endpoint = |endpoint: &RememberedEndpoint| EndpointEntry {
            addr: endpoint.candidate.addr,
            kind: endpoint.candidate.kind.name().to_owned(),
            answered_at: endpoint.answered_at.as_secs(),
        };
        Self {
            certificate: BASE64.encode(&peer.certificate),
            relay_only: peer.relay_only,
            endpoints: peer.endpoints.iter().map(endpoint).collect(),
        }
    }

    fn memory(&self) -> Option<PeerMemory> {
        let endpoint = |entry: &EndpointEntry| {
            let kind = KINDS.into_iter().find(|kind| kind.name() == entry.kind)?;
            let answered_at = UnixTime::new(Duration::from_secs(entry.answered_at));
            Some(RememberedEndpoint { candidate: Candidate { addr: entry.addr, kind }, answered_at })
        };
        Some(PeerMemory {
            certificate: BASE64.decode(self.certificate.as_bytes()).ok()?,
            relay_only: self.relay_only,
            endpoints: self.endpoints.iter().filter_map(endpoint).collect(),
        })
    }
}

const FILE: &str = "mesh.json";
const LAYOUT: u32 = 1;
/// Larger than any mesh that the address pools hold comfortably; about 6 MB.
const MAX_PEERS: usize = 10_000;
/// Twice what that many peers take with all their endpoints.
const MAX_BYTES: u64 = 16 << 20;
const KINDS: [CandidateKind; 5] = [
    CandidateKind::Host,
    CandidateKind::Static,
    CandidateKind::Mapped,
    CandidateKind::Reflexive,
    CandidateKind::Guessed,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_is_loaded_and_nobody_else_may_read_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();

        save(&dir, &cache().encode(MESH)).unwrap();

        assert_eq!(MeshCache::load(&dir, MESH).unwrap(), Some(cache()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dir.file(FILE)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_remembered_where_nothing_was_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();

        assert_eq!(MeshCache::load(&dir, MESH).unwrap(), None);
    }

    #[test]
    fn a_file_of_another_mesh_or_version_or_none_at_all_is_refused() {
        let whole = cache().encode(MESH);
        let newer = String::from_utf8(whole.clone()).unwrap().replacen("\"version\": 1", "\"version\": 2", 1);

        assert!(matches!(MeshCache::decode(&whole, NetworkId::new([9; 16])), Err(CacheError::OtherMesh)));
        assert!(matches!(MeshCache::decode(newer.as_bytes(), MESH), Err(CacheError::Version(2))));
        for damaged in [&whole[..whole.len() / 2], b"", b"\xff\xfe", b"{\"version\":1}"] {
            assert!(matches!(MeshCache::decode(damaged, MESH), Err(CacheError::Syntax(_))));
        }
    }

    #[test]
    fn a_file_that_would_fill_the_memory_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::open(root.path()).unwrap();
        std::fs::File::create(dir.file(FILE)).unwrap().set_len(MAX_BYTES + 1).unwrap();

        assert!(matches!(MeshCache::load(&dir, MESH), Err(CacheError::TooLarge)));
    }

    const MESH: NetworkId = NetworkId::new([1; 16]);

    fn cache() -> MeshCache {
        let endpoint = |addr: &str, kind| RememberedEndpoint {
            candidate: Candidate { addr: addr.parse().unwrap(), kind },
            answered_at: UnixTime::from_secs(1_800_000_000),
        };
        let endpoints = vec![
            endpoint("203.0.113.9:4000", CandidateKind::Reflexive),
            endpoint("[2001:db8::9]:4000", CandidateKind::Host),
        ];
        MeshCache {
            memory: Memory {
                relay_only: false,
                peers: vec![
                    PeerMemory { certificate: vec![1, 2, 3], relay_only: false, endpoints },
                    PeerMemory { certificate: vec![4], relay_only: true, endpoints: Vec::new() },
                ],
            },
            stun: vec!["192.0.2.10:3478".parse().unwrap()],
        }
    }
}
