//! The dashboard's certificate: which one is served, until when it is good, and what is wrong with it.
//!
//! Our own self-signed one, one from files that are followed as they change, or one from an ACME authority. Whatever comes later and is worse than
//! what is served already is told and left alone. Agents never see any of it; they pin the server key.

mod acme;
mod certificate;
mod files;

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData as _};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::app::App;
use crate::config::TlsMode;
use crate::public;

pub(crate) use acme::challenge;
pub use certificate::Validity;
pub(crate) use certificate::{Certificate, host_of};
pub(crate) use files::check;

/// What the dashboard's listener serves at this moment.
#[derive(Debug, Default)]
pub(crate) struct DashboardTls(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    certificate: Option<Certificate>,
    state: Option<TlsState>,
}

/// What people are told of the certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsState {
    /// From when until when it is good.
    pub validity: Validity,
    /// What is wrong with it, or with the one that was to take its place.
    pub trouble: Option<String>,
}

impl DashboardTls {
    /// What a new connection is offered; nothing when a proxy before us ends TLS.
    pub(crate) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.held().certificate.as_ref().map(|certificate| Arc::clone(&certificate.config))
    }

    /// The certificate, unless a proxy before us has it.
    pub(crate) fn state(&self) -> Option<TlsState> {
        self.held().state.clone()
    }

    /// Serves this certificate from the next connection on.
    fn serve(&self, certificate: Certificate) {
        let state = TlsState { validity: certificate.validity, trouble: None };
        *self.held() = Held { certificate: Some(certificate), state: Some(state) };
    }

    /// Whether it is this one that is served.
    fn serves(&self, certificate: &Certificate) -> bool {
        self.held().certificate.as_ref().is_some_and(|served| served.leaf == certificate.leaf)
    }

    /// Says what is wrong with it, once.
    fn blame(&self, trouble: Option<String>) {
        let mut held = self.held();
        let Some(state) = &mut held.state else { return };
        if let Some(trouble) = trouble.as_ref().filter(|trouble| state.trouble.as_ref() != Some(trouble)) {
            warn!("the dashboard's certificate: {trouble}");
        }
        state.trouble = trouble;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("nothing panics while it holds the certificate")
    }
}

/// Finds the certificate that is served first.
pub(crate) async fn begin(app: &App) -> Result<()> {
    if let Some(acme) = &app.config().acme
        && let Some(certificate) = acme::earlier(app, acme).await?
    {
        app.dashboard_tls().serve(certificate);
        return Ok(());
    }
    match (app.config().tls, &app.config().tls_files) {
        (TlsMode::Proxy, _) => {}
        (TlsMode::File, Some((certificate, key))) => {
            let certificate = files::read(certificate, key)?;
            app.dashboard_tls().serve(certificate.clone());
            app.dashboard_tls().blame(certificate.complaint(&host(app).await?, app.now()));
        }
        (TlsMode::Auto | TlsMode::File | TlsMode::Internal, _) => {
            let pem = internal(app).await?;
            app.dashboard_tls().serve(Certificate::read(&pem, &pem).context("read the dashboard's certificate")?);
        }
    }
    Ok(())
}

/// Keeps up with whoever renews the certificate.
pub(crate) async fn keep(app: &App) {
    match (&app.config().acme, &app.config().tls_files) {
        (Some(acme), _) => acme::follow(app, acme).await,
        (None, Some((certificate, key))) => files::follow(app, certificate, key).await,
        (None, None) => pending().await,
    }
}

/// SHA-256 of the public key of a certificate that nobody vouches for, for those who are told it by other ways; `None`
/// where the certificate speaks for itself.
pub(crate) async fn pin(app: &App) -> Result<Option<[u8; 32]>> {
    if app.config().tls != TlsMode::Internal {
        return Ok(None);
    }
    let pem = internal(app).await?;
    let key = PrivateKeyDer::from_pem_slice(&pem).context("read the dashboard's private key")?;
    let key = KeyPair::try_from(&key).context("read the dashboard's private key")?;
    Ok(Some(Sha256::digest(key.subject_public_key_info()).into()))
}

/// Certificate and key of our own, made when they are first asked for.
async fn internal(app: &App) -> Result<Vec<u8>> {
    let host = public::host(app.config(), app.store().network().await?.as_ref());
    app.data_dir().read_or_create(FILE, || self_signed(&host))
}

/// The host that browsers go to.
async fn host(app: &App) -> Result<String> {
    Ok(host_of(&public::web_url(app.config(), app.store().network().await?.as_ref())))
}

fn self_signed(host: &str) -> Result<Vec<u8>> {
    let mut params = CertificateParams::new(vec![host.to_owned(), "localhost".to_owned()])
        .context("name the dashboard's certificate")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Warren rendezvous");
    let key = KeyPair::generate().context("make the dashboard's key")?;
    let certificate = params.self_signed(&key).context("make the dashboard's certificate")?;
    Ok([certificate.pem(), key.serialize_pem()].concat().into_bytes())
}

const FILE: &str = "web.pem";
