//! One agent: its keys, and its control connection from proof to end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;
use warren_proto::certificate::{IdentitySecret, VerifiedCertificate};
use warren_proto::control::{
    EXPORTER_LABEL, Enroll, Enrolled, Hello, MAX_MESSAGE, PROTOCOL, PathReport, ToAgent, ToServer, proof_input,
};
use warren_proto::keys::{NodeId, StaticPublic, UnixTime};

use super::swarm::{Shared, What};

/// A device and what it keeps.
pub(super) struct Agent {
    pub(super) index: usize,
    identity: IdentitySecret,
    /// Given by the server; zero before.
    pub(super) node: NodeId,
}

impl Agent {
    /// With keys that are its own and the same in every run.
    pub(super) fn new(index: usize) -> Self {
        Self { index, identity: IdentitySecret::new(&digest("identity", index)), node: NodeId::new([0; 16]) }
    }

    /// A part of its certificate that is known before there is one.
    pub(super) fn mark(&self) -> Vec<u8> {
        self.identity.public().as_bytes().to_vec()
    }

    /// Enrols and leaves.
    pub(super) async fn enrol(&mut self, endpoint: &Endpoint, shared: &Shared, secret: &[u8]) -> Result<()> {
        let (connection, mut send, mut receive) = self.open(endpoint, shared.server, shared).await?;
        let enroll = Enroll {
            protocol: PROTOCOL,
            secret: secret.to_vec(),
            identity_key: self.identity.public(),
            static_key: StaticPublic::new(digest("static", self.index)),
            proof: self.prove(&connection)?,
            hostname: format!("load-{}", self.index),
            os: OS.to_owned(),
            agent_version: VERSION.to_owned(),
        };
        write(&mut send, &ToServer::Enroll(enroll)).await?;
        let answer = ToAgent::decode(&read(&mut receive).await?)?;
        let ToAgent::Enrolled(enrolled) = answer else { bail!("an answer to an enrolment: {answer:?}") };
        self.node = node(&enrolled, shared.now)?;
        connection.close(0_u8.into(), b"");
        Ok(())
    }

    /// Stays online: returns whenever the connection breaks.
    pub(super) async fn live(self, endpoint: Endpoint, shared: &Shared, mut orders: mpsc::UnboundedReceiver<ToServer>) {
        let mut failures = 0;
        loop {
            if let Ok((connection, send, receive)) = self.introduce(&endpoint, shared).await {
                failures = 0;
                shared.tell(self.index, What::Attached);
                let ended = tokio::select! {
                    _ = self.listen(receive, shared) => false,
                    ended = speak(send, shared, &mut orders) => ended,
                };
                connection.close(0_u8.into(), b"");
                if ended {
                    return;
                }
                shared.tell(self.index, What::Lost);
            }
            // as the agent: half fixed, half by chance
            let ceiling = FIRST_WAIT * (1 << failures.min(MAX_DOUBLINGS));
            failures += 1;
            tokio::time::sleep(ceiling / 2 + ceiling.mul_f64(chance()) / 2).await;
        }
    }

    async fn introduce(&self, endpoint: &Endpoint, shared: &Shared) -> Result<(Connection, SendStream, RecvStream)> {
        let (connection, mut send, mut receive) = self.open(endpoint, shared.server, shared).await?;
        let hello = Hello {
            protocol: PROTOCOL,
            node: self.node,
            proof: self.prove(&connection)?,
            revision: shared.revision(),
            agent_version: VERSION.to_owned(),
            os: OS.to_owned(),
        };
        write(&mut send, &ToServer::Hello(hello)).await?;
        let answer = ToAgent::decode(&read(&mut receive).await?)?;
        let ToAgent::Welcome(_) = answer else { bail!("an answer to an introduction: {answer:?}") };
        Ok((connection, send, receive))
    }

    async fn open(
        &self,
        endpoint: &Endpoint,
        server: SocketAddr,
        shared: &Shared,
    ) -> Result<(Connection, SendStream, RecvStream)> {
        let connecting = endpoint.connect_with(shared.config.clone(), server, "rendezvous.warren")?;
        let connection = timeout(CONNECT_WITHIN, connecting).await.context("the server does not answer")??;
        let (send, receive) = connection.open_bi().await?;
        Ok((connection, send, receive))
    }

    fn prove(&self, connection: &Connection) -> Result<[u8; 64]> {
        let mut exported = [0; 32];
        if connection.export_keying_material(&mut exported, EXPORTER_LABEL, b"").is_err() {
            bail!("the TLS session gives no proof");
        }
        Ok(self.identity.sign(&proof_input(&exported)))
    }

    async fn listen(&self, mut receive: RecvStream, shared: &Shared) -> Result<()> {
        loop {
            let bytes = read(&mut receive).await?;
            let message = ToAgent::decode(&bytes)?;
            if let ToAgent::Map(map) = message {
                let named = shared.named(&map.peers);
                let (revision, peers) = (map.revision, map.peers.len());
                shared.tell(self.index, What::Map { revision, bytes: bytes.len(), peers, named });
            } else if let ToAgent::PairOpened(pair) = message {
                shared.tell(self.index, What::PairOpened(pair.peer));
            } else if let ToAgent::PeerCandidates { peer, set } = message {
                shared.tell(self.index, What::Candidates { peer, epoch: set.epoch });
            } else if let ToAgent::Presence(presence) = message {
                shared.tell(self.index, What::Presence { bytes: presence.online.len() });
            }
        }
    }
}

/// Writes what is ordered, and while the swarm talks a report every few seconds. True when there are no more orders.
async fn speak(mut send: SendStream, shared: &Shared, orders: &mut mpsc::UnboundedReceiver<ToServer>) -> bool {
    let mut next = REPORT_EVERY.mul_f64(chance());
    loop {
        let message = tokio::select! {
            order = orders.recv() => match order {
                Some(message) => message,
                None => return true,
            },
            () = tokio::time::sleep(next) => {
                next = REPORT_EVERY;
                match shared.talks() {
                    Some(peer) => ToServer::PathReport(report(peer)),
                    None => continue,
                }
            }
        };
        if write(&mut send, &message).await.is_err() {
            return false;
        }
    }
}

fn report(peer: NodeId) -> PathReport {
    PathReport {
        peer,
        kind: "direct".to_owned(),
        via: "ipv4".to_owned(),
        remote: None,
        rtt_us: 20_000,
        mtu: 1466,
        since_unix_ms: 1,
        rx_bytes: 1,
        tx_bytes: 1,
        reason_code: "direct".to_owned(),
        rx_packets: 1,
        tx_packets: 1,
        probes: 0,
        probes_lost: 0,
    }
}

fn node(enrolled: &Enrolled, now: UnixTime) -> Result<NodeId> {
    let network = &enrolled.network;
    Ok(VerifiedCertificate::verify(&enrolled.certificate, &network.id, &network.signing_key, now)?.node)
}

fn digest(what: &str, index: usize) -> [u8; 32] {
    Sha256::new().chain_update(what).chain_update(index.to_be_bytes()).finalize().into()
}

/// From 0 to 1. The address of an instant in nanoseconds is chance enough to spread a crowd.
fn chance() -> f64 {
    let digest: [u8; 32] = Sha256::digest(format!("{:?}", Instant::now())).into();
    f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX)
}

async fn write(stream: &mut SendStream, message: &ToServer) -> Result<()> {
    let message = message.encode();
    let length = u32::try_from(message.len()).context("a message is short")?;
    Ok(stream.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await?)
}

async fn read(stream: &mut RecvStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    if length > MAX_MESSAGE {
        bail!("a message longer than allowed");
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

const OS: &str = "linux x86_64";
const VERSION: &str = "0.1.0";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The agent's own pauses between attempts.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 5;
/// As agents do while bytes move.
const REPORT_EVERY: Duration = Duration::from_secs(5);
