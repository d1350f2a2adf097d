//! An agent reduced to its control connection: proves keys, sends and reads messages, keeps nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use tokio_util::bytes::Bytes;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use warren_proto::certificate::IdentitySecret;
use warren_proto::control::{
    ALPN, EXPORTER_LABEL, Enroll, Hello, Invite, Map, PROTOCOL, Refused, Servers, ToAgent, ToServer, Welcome,
    proof_input,
};
use warren_proto::keys::{NodeId, StaticPublic};

/// A connection to the control plane.
pub(crate) struct Agent {
    _endpoint: Endpoint,
    pub(crate) connection: Connection,
    reader: FramedRead<RecvStream, LengthDelimitedCodec>,
    writer: FramedWrite<SendStream, LengthDelimitedCodec>,
}

/// What an agent holds after its introduction.
pub(crate) struct Joined {
    pub(crate) agent: Agent,
    pub(crate) welcome: Welcome,
    pub(crate) map: Map,
    /// Of a mesh that has several.
    pub(crate) servers: Option<Servers>,
}

impl Agent {
    /// Connects to a server that must prove the pinned key.
    pub(crate) async fn connect(server: SocketAddr, pin: [u8; 32]) -> Result<Self, quinn::ConnectionError> {
        let provider = Arc::new(ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider }))
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let mut endpoint_config = EndpointConfig::default();
        endpoint_config.grease_quic_bit(false);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::new(endpoint_config, None, socket, Arc::new(TokioRuntime)).unwrap();
        let connection = endpoint.connect_with(config, server, "warren").unwrap().await?;
        let (send, receive) = connection.open_bi().await.unwrap();
        let codec = || LengthDelimitedCodec::builder().length_field_length(4).new_codec();
        let (reader, writer) = (FramedRead::new(receive, codec()), FramedWrite::new(send, codec()));
        Ok(Self { _endpoint: endpoint, connection, reader, writer })
    }

    /// Enrols and reads the answers.
    pub(crate) async fn enrol(invite: &Invite, key: u8, hostname: &str) -> Result<Joined, Refused> {
        let mut agent = Self::connect(invite.servers[0].parse().unwrap(), invite.pin).await.unwrap();
        let enroll = agent.enrolment(invite, key, hostname);
        agent.send(&ToServer::Enroll(enroll)).await;
        match agent.next().await {
            Some(ToAgent::Enrolled(_)) => Ok(agent.join().await),
            Some(ToAgent::Refused(refused)) => Err(refused),
            other => panic!("neither enrolled nor refused: {other:?}"),
        }
    }

    /// Returns as a known device and reads the answers.
    pub(crate) async fn hello(invite: &Invite, key: u8, node: NodeId, revision: u64) -> Result<Joined, Refused> {
        let mut agent = Self::connect(invite.servers[0].parse().unwrap(), invite.pin).await.unwrap();
        let hello = agent.introduction(key, node, revision);
        agent.send(&ToServer::Hello(hello)).await;
        match agent.next().await {
            Some(ToAgent::Welcome(welcome)) => Ok(agent.with_map(welcome).await),
            Some(ToAgent::Refused(refused)) => Err(refused),
            other => panic!("neither welcome nor refused: {other:?}"),
        }
    }

    /// The message that enrols a device whose keys are made of one byte.
    pub(crate) fn enrolment(&self, invite: &Invite, key: u8, hostname: &str) -> Enroll {
        Enroll {
            protocol: PROTOCOL,
            secret: invite.secret.to_vec(),
            identity_key: identity(key).public(),
            static_key: StaticPublic::new([key; 32]),
            proof: self.proof(key),
            hostname: hostname.to_owned(),
            os: "Debian GNU/Linux 13".to_owned(),
            agent_version: "0.1.0".to_owned(),
        }
    }

    /// The message of a device that was enrolled before.
    pub(crate) fn introduction(&self, key: u8, node: NodeId, revision: u64) -> Hello {
        Hello {
            protocol: PROTOCOL,
            node,
            proof: self.proof(key),
            revision,
            agent_version: "0.1.0".to_owned(),
            os: "Debian GNU/Linux 13".to_owned(),
        }
    }

    fn proof(&self, key: u8) -> [u8; 64] {
        let mut exported = [0; 32];
        self.connection.export_keying_material(&mut exported, EXPORTER_LABEL, b"").unwrap();
        identity(key).sign(&proof_input(&exported))
    }

    async fn join(mut self) -> Joined {
        match self.next().await {
            Some(ToAgent::Welcome(welcome)) => self.with_map(welcome).await,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    async fn with_map(mut self, welcome: Welcome) -> Joined {
        let mut servers = None;
        loop {
            match self.next().await {
                Some(ToAgent::Map(map)) => return Joined { agent: self, welcome, map, servers },
                Some(ToAgent::Servers(told)) => servers = Some(told),
                other => panic!("not a map: {other:?}"),
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &ToServer) {
        self.send_bytes(message.encode()).await;
    }

    /// Says something to a server that may be gone; whether it was, the connection tells.
    pub(crate) async fn say(&mut self, message: &ToServer) {
        // an error is the end of the connection, which may come before the word
        let _ = self.writer.send(Bytes::from(message.encode())).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.writer.send(Bytes::from(bytes)).await.unwrap();
    }

    /// The next message; `None` when the server ended the connection.
    pub(crate) async fn next(&mut self) -> Option<ToAgent> {
        let frame = timeout(PATIENCE, self.reader.next()).await.expect("the server says something in time")?;
        frame.ok().map(|frame| ToAgent::decode(&frame).unwrap())
    }

    /// Reads until a message of interest comes, and returns what was picked from it.
    pub(crate) async fn until<T>(&mut self, pick: impl Fn(ToAgent) -> Option<T>) -> T {
        while let Some(message) = self.next().await {
            if let Some(found) = pick(message) {
                return found;
            }
        }
        panic!("the connection ended");
    }
}

/// The identity of a device whose keys are made of one byte.
pub(crate) fn identity(key: u8) -> IdentitySecret {
    IdentitySecret::new(&[key; 32])
}

const PATIENCE: Duration = Duration::from_secs(10);

/// Believes one raw public key.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Sha256::digest(key)[..] == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another key".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
