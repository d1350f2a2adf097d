//! The dashboard's certificate as a browser is shown it, and how it is renewed while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use crate::program::{Server, get, output, text};

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::new(dir.path());
    let first = files.renew("127.0.0.1", 2060);
    let server = Server::start_with(&dir.path().join("data"), "127.0.0.1:0", &files.flags());
    assert_eq!(served(&server), first);

    // nobody tells the server: it looks by itself
    let second = files.renew("127.0.0.1", 2061);
    wait_until("the second certificate", || served(&server) == second);
    assert!(page(&server).contains("warren_rendezvous_certificate_end_time_seconds 2871763200"), "{}", page(&server));
    assert!(page(&server).contains("warren_rendezvous_certificate_trouble 0"), "{}", page(&server));

    // a key that belongs to another certificate, then nothing of use, then one that has ended
    std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    server.signal("-HUP");
    wait_until("a complaint", || page(&server).contains("warren_rendezvous_certificate_trouble 1"));
    assert_eq!(served(&server), second);
    std::fs::write(&files.certificate, "rubbish").unwrap();
    server.signal("-HUP");
    wait_until("another complaint", || server.log().contains("there is no certificate in it"));
    files.renew("127.0.0.1", 2020);
    server.signal("-HUP");
    wait_until("a third complaint", || server.log().contains("ended on 2020-01-01"));
    assert_eq!(served(&server), second);

    let last = files.renew("127.0.0.1", 2062);
    server.signal("-HUP");
    wait_until("the last certificate", || served(&server) == last);
    assert!(page(&server).contains("warren_rendezvous_certificate_trouble 0"), "{}", page(&server));
}

#[test]
fn check_config_says_until_when_a_certificate_is_good_and_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::new(dir.path());
    let checked = |host: &str| {
        let flags = files.flags();
        output(dir.path(), &[&["check-config", "--public-addr", host], flags.as_slice()].concat())
    };

    files.renew("vpn.example.org", 2060);
    let (good, other) = (checked("vpn.example.org"), checked("other.example.org"));
    files.renew("vpn.example.org", 2020);
    let ended = checked("vpn.example.org");
    std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let wrong = checked("vpn.example.org");

    assert!(text(&good.stdout).contains("for vpn.example.org, good until 2060-01-01 00:00 UTC"), "{good:?}");
    assert!(text(&other.stdout).contains("not for other.example.org"), "{other:?}");
    assert!(text(&ended.stdout).contains("ended on 2020-01-01"), "{ended:?}");
    assert!(good.status.success());
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("key.pem"), "{wrong:?}");
}

/// A certificate in files, as something outside renews it.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") }
    }

    fn flags(&self) -> Vec<&str> {
        vec!["--tls", "file", "--tls-cert", self.certificate.to_str().unwrap(), "--tls-key", self.key.to_str().unwrap()]
    }

    /// Another certificate, good until the beginning of this year.
    fn renew(&self, host: &str, until: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&self.certificate, certificate.pem()).unwrap();
        std::fs::write(&self.key, key.serialize_pem()).unwrap();
        CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()
    }
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn page(server: &Server) -> String {
    get(server.addr("metrics"), "/metrics")
}

/// What the dashboard shows of itself.
pub(crate) fn served(server: &Server) -> CertificateDer<'static> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = std::net::TcpStream::connect(server.addr("web")).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut stream).unwrap();
    }
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Looks at certificates and believes any.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
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
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
