//! A rendezvous as the protocol describes it and the test directs it: real QUIC, real keys, no database.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TokioRuntime};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::{CertifiedKey, SigningKey};
use sha2::{Digest, Sha256};
use warren_proto::certificate::{Certificate, IdentitySecret, NetworkSigner, verify_identity};
use warren_proto::control::{
    ALPN, EXPORTER_LABEL, Enroll, Enrolled, Invite, Map, Network, Peer, Refused, RefusedCode, ToAgent, ToServer,
    Welcome, proof_input, usual_web,
};
use warren_proto::keys::{IdentityPublic, NetworkId, NodeId, StaticPublic, StaticSecret, UnixTime};

/// What the server says to whoever comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// Takes everybody in.
    Friendly,
    /// Says no, for this reason.
    Refusing(RefusedCode),
}

/// A running rendezvous; dropped, it is as dead as by kill -9.
pub(crate) struct Rendezvous {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    pin: [u8; 32],
    addr: SocketAddr,
}

struct Shared {
    mood: Mutex<Mood>,
    known: Mutex<Option<(IdentityPublic, StaticPublic, String)>>,
    first_messages: Mutex<Vec<&'static str>>,
    live: Mutex<Option<(Connection, SendStream)>>,
    logged_out: Mutex<bool>,
}

impl Rendezvous {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), [9; 32], None)
    }

    /// The same server again after a crash: its address, its key, what it had committed.
    pub(crate) fn restart(self) -> Self {
        let known = self.shared.known.lock().unwrap().clone();
        let addr = self.addr;
        self.die();
        Self::start_at(addr, [9; 32], known)
    }

    pub(crate) fn with_another_key() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), [10; 32], None)
    }

    fn start_at(addr: SocketAddr, seed: [u8; 32], known: Option<(IdentityPublic, StaticPublic, String)>) -> Self {
        let key = signing_key(seed);
        let spki = key.public_key().unwrap().to_vec();
        let socket = bind(addr);
        let addr = socket.local_addr().unwrap();
        let mut config = EndpointConfig::default();
        config.grease_quic_bit(false);
        let endpoint = Endpoint::new(config, Some(server_config(key, &spki)), socket, Arc::new(TokioRuntime)).unwrap();
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Friendly),
            known: Mutex::new(known),
            first_messages: Mutex::default(),
            live: Mutex::default(),
            logged_out: Mutex::default(),
        });
        tokio::spawn(accept(endpoint.clone(), Arc::clone(&shared)));
        Self { endpoint, shared, pin: Sha256::digest(&spki).into(), addr }
    }

    pub(crate) fn invite(&self) -> String {
        self.invite_with_pin_of(self)
    }

    /// An invite that sends its holder to `self` with the key of another.
    pub(crate) fn invite_with_pin_of(&self, other: &Self) -> String {
        let servers = vec![self.addr.to_string()];
        Invite { web: usual_web(&servers[0]), servers, pin: other.pin, secret: SECRET }.to_string()
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Tells the connected device that it is revoked, and ends the connection.
    pub(crate) async fn revoke(&self) {
        self.set_mood(Mood::Refusing(RefusedCode::DeviceRevoked));
        let live = self.shared.live.lock().unwrap().take();
        let (_connection, mut send) = live.unwrap();
        write(&mut send, &refused(RefusedCode::DeviceRevoked)).await;
        let _ = send.finish();
        let _ = send.stopped().await;
    }

    /// "enroll" and "hello" in the order they came.
    pub(crate) fn first_messages(&self) -> Vec<&'static str> {
        self.shared.first_messages.lock().unwrap().clone()
    }

    pub(crate) fn was_logged_out(&self) -> bool {
        *self.shared.logged_out.lock().unwrap()
    }

    /// Vanishes without a word.
    pub(crate) fn die(self) {
        // A socket of nobody: what quinn says on closing goes nowhere.
        // Twice, because quinn keeps the socket before the current one.
        for _ in 0..2 {
            let nowhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            self.endpoint.rebind(nowhere).unwrap();
        }
    }
}

async fn accept(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            let Ok((send, receive)) = connection.accept_bi().await else { return };
            converse(connection, send, receive, &shared).await;
        });
    }
}

async fn converse(connection: Connection, mut send: SendStream, mut receive: RecvStream, shared: &Shared) {
    let Some(first) = read(&mut receive).await else { return };
    if let Mood::Refusing(code) = *shared.mood.lock().unwrap() {
        tokio::spawn(async move {
            write(&mut send, &refused(code)).await;
            let _ = send.finish();
            let _ = send.stopped().await;
            drop(connection);
        });
        return;
    }
    let mut exported = [0; 32];
    connection.export_keying_material(&mut exported, EXPORTER_LABEL, &[]).unwrap();
    match first {
        ToServer::Enroll(enroll) => {
            assert!(verify_identity(&enroll.identity_key, &proof_input(&exported), &enroll.proof));
            assert_eq!(enroll.secret, SECRET);
            shared.first_messages.lock().unwrap().push("enroll");
            let Enroll { identity_key, static_key, hostname, .. } = enroll;
            *shared.known.lock().unwrap() = Some((identity_key, static_key, hostname));
            let certificate = own_certificate(shared);
            write(&mut send, &ToAgent::Enrolled(Enrolled { certificate, network: network() })).await;
        }
        ToServer::Hello(hello) => {
            let identity = shared.known.lock().unwrap().as_ref().unwrap().0;
            assert!(verify_identity(&identity, &proof_input(&exported), &hello.proof));
            assert_eq!(hello.node, NodeId::new([1; 16]));
            shared.first_messages.lock().unwrap().push("hello");
        }
        other @ (ToServer::AttemptReport(_)
        | ToServer::Candidates(_)
        | ToServer::Connect(_)
        | ToServer::Logout
        | ToServer::PathReport(_)
        | ToServer::Pinged(_)
        | ToServer::Preferences(_)
        | ToServer::Alive
        | ToServer::Search(_)
        | ToServer::Vouched(_)) => panic!("{other:?} is no first message"),
    }
    write(&mut send, &ToAgent::Welcome(welcome(&connection, shared))).await;
    write(&mut send, &ToAgent::Map(map())).await;
    *shared.live.lock().unwrap() = Some((connection, send));
    while let Some(message) = read(&mut receive).await {
        if message == ToServer::Logout {
            *shared.logged_out.lock().unwrap() = true;
            let live = shared.live.lock().unwrap().take();
            let (_connection, mut send) = live.unwrap();
            write(&mut send, &ToAgent::LoggedOut).await;
            let _ = send.stopped().await;
        }
    }
}

fn welcome(connection: &Connection, shared: &Shared) -> Welcome {
    Welcome {
        protocol: 1,
        certificate: own_certificate(shared),
        network: network(),
        observed: connection.remote_address(),
        relays: Vec::new(),
        stun: Vec::new(),
        server_version: "0".to_owned(),
        dashboard: DASHBOARD.to_owned(),
    }
}

fn map() -> Map {
    let peer = Peer { certificate: peer_certificate(), online: false, relay_only: false };
    Map { revision: 7, full: true, peers: vec![peer], removed: Vec::new() }
}

fn own_certificate(shared: &Shared) -> Vec<u8> {
    let (identity_key, static_key, name) = shared.known.lock().unwrap().clone().unwrap();
    certificate(1, &name, static_key, identity_key)
}

fn peer_certificate() -> Vec<u8> {
    certificate(2, PEER, StaticSecret::new([2; 32]).public(), IdentitySecret::new(&[2; 32]).public())
}

fn certificate(number: u8, name: &str, static_key: StaticPublic, identity_key: IdentityPublic) -> Vec<u8> {
    let certificate = Certificate {
        network: network().id,
        node: NodeId::new([number; 16]),
        name: name.to_owned(),
        v4: [100, 64, 0, number].into(),
        v6: Ipv6Addr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]),
        static_key,
        identity_key,
        routes: Vec::new(),
        not_before: UnixTime::from_secs(0),
        not_after: UnixTime::from_secs(4_000_000_000),
        epoch: 1,
    };
    certificate.sign(&signer()).unwrap()
}

fn network() -> Network {
    Network {
        id: NetworkId::new([5; 16]),
        signing_key: signer().public(),
        v4: "100.64.0.0/10".to_owned(),
        v6: "fd00::/48".to_owned(),
        name: "home".to_owned(),
    }
}

fn signer() -> NetworkSigner {
    NetworkSigner::new(&[6; 32])
}

fn refused(code: RefusedCode) -> ToAgent {
    ToAgent::Refused(Refused { code, text: "no".to_owned() })
}

async fn read(receive: &mut RecvStream) -> Option<ToServer> {
    let mut length = [0; 4];
    receive.read_exact(&mut length).await.ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    receive.read_exact(&mut bytes).await.ok()?;
    Some(ToServer::decode(&bytes).unwrap())
}

async fn write(send: &mut SendStream, message: &ToAgent) {
    let bytes = message.encode();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let _ = send.write_all(&[&length[..], &bytes].concat()).await;
}

/// Binds, once the tasks of a server that died there have let go of the socket.
fn bind(addr: SocketAddr) -> std::net::UdpSocket {
    let since = Instant::now();
    loop {
        match std::net::UdpSocket::bind(addr) {
            Ok(socket) => return socket,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(5), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signing_key(seed: [u8; 32]) -> Arc<dyn SigningKey> {
    // RFC 8410 section 7: PKCS#8 of an Ed25519 seed.
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&prefix[..], &seed].concat();
    ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der)).unwrap()
}

fn server_config(key: Arc<dyn SigningKey>, spki: &[u8]) -> ServerConfig {
    let raw_key = CertifiedKey::new(vec![CertificateDer::from(spki.to_vec())], key);
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(raw_key))));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()))
}

const SECRET: [u8; 16] = [3; 16];
pub(crate) const PEER: &str = "desktop";
pub(crate) const DASHBOARD: &str = "https://vpn.example.org";
