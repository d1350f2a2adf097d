//! A device as far as the control plane sees one: proves itself, stays online, reports paths.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio_util::bytes::Bytes;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use warren_proto::certificate::IdentitySecret;
use warren_proto::control::{
    ALPN, EXPORTER_LABEL, Hello, MAX_MESSAGE, PROTOCOL, PathReport, PingAnswer, Pinged, ToAgent, ToServer, proof_input,
};
use warren_proto::keys::NodeId;

/// An online device; offline when dropped.
pub(crate) struct Agent {
    connection: Connection,
    writer: Writer,
    asked: Arc<Mutex<Vec<ToAgent>>>,
    _endpoint: Endpoint,
}

type Writer = Arc<tokio::sync::Mutex<FramedWrite<SendStream, LengthDelimitedCodec>>>;

impl Agent {
    /// Connects the enrolled device that holds `identity`; online when this returns.
    pub(crate) async fn connect(server: SocketAddr, node: NodeId, identity: &IdentitySecret) -> Self {
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(client_config());
        let connection = endpoint.connect(server, "rendezvous").unwrap().await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        let mut exported = [0; 32];
        connection.export_keying_material(&mut exported, EXPORTER_LABEL, b"").unwrap();
        let hello = ToServer::Hello(Hello {
            protocol: PROTOCOL,
            node,
            proof: identity.sign(&proof_input(&exported)),
            revision: 0,
            agent_version: "0.1.0".to_owned(),
            os: "Debian GNU/Linux 13".to_owned(),
        });
        let writer: Writer = Arc::new(tokio::sync::Mutex::new(FramedWrite::new(send, codec())));
        let asked = Arc::default();
        let mut agent =
            Self { connection, writer: Arc::clone(&writer), asked: Arc::clone(&asked), _endpoint: endpoint };
        agent.send(&hello).await;
        let mut reader = FramedRead::new(receive, codec());
        let welcome = reader.next().await.unwrap().unwrap();
        assert!(matches!(ToAgent::decode(&welcome), Ok(ToAgent::Welcome(_))));
        tokio::spawn(listen(reader, writer, asked));
        agent
    }

    /// Says what path it has to a peer.
    pub(crate) async fn report(&mut self, report: PathReport) {
        self.send(&ToServer::PathReport(report)).await;
    }

    /// What people have asked of it so far: to ping, to retry, to be watched.
    pub(crate) fn asked(&self) -> Vec<ToAgent> {
        self.asked.lock().unwrap().clone()
    }

    /// Goes offline.
    pub(crate) fn leave(self) {
        self.connection.close(0_u8.into(), b"");
    }

    pub(crate) async fn send(&mut self, message: &ToServer) {
        self.writer.lock().await.send(Bytes::from(message.encode())).await.unwrap();
    }
}

/// Takes whatever the server says, so that it never has to wait, and answers pings at once.
async fn listen(
    mut reader: FramedRead<RecvStream, LengthDelimitedCodec>,
    writer: Writer,
    asked: Arc<Mutex<Vec<ToAgent>>>,
) {
    while let Some(Ok(frame)) = reader.next().await {
        let Ok(message) = ToAgent::decode(&frame) else { continue };
        if let ToAgent::Ping { peer, token } = message {
            let answer = PingAnswer { rtt_us: 11_900, via: "ipv4".to_owned(), remote: None };
            let pinged = ToServer::Pinged(Pinged { peer, token, answer: Some(answer) });
            // the server may have gone meanwhile, and with it whoever asked
            let _ = writer.lock().await.send(Bytes::from(pinged.encode())).await;
        }
        if matches!(message, ToAgent::Ping { .. } | ToAgent::Retry(_) | ToAgent::Watch { .. }) {
            asked.lock().unwrap().push(message);
        }
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_MESSAGE).new_codec()
}

fn client_config() -> quinn::ClientConfig {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyRawKey))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// Takes any raw public key that signs: which one it is, is not what these tests are about.
#[derive(Debug)]
struct AnyRawKey;

impl ServerCertVerifier for AnyRawKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("QUIC has no TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key.as_ref()),
            signature,
            &algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
