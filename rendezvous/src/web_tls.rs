//! The dashboard's certificate: our own self-signed one, or one from files. Agents never see it; they pin the server key.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData as _};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::config::TlsMode;
use crate::public;

/// TLS settings for the dashboard; `None` when a proxy before us ends TLS.
pub(crate) async fn server_config(app: &App) -> Result<Option<ServerConfig>> {
    let (certificates, key) = match (app.config().tls, &app.config().tls_files) {
        (TlsMode::Proxy, _) => return Ok(None),
        (TlsMode::File, Some((certificate, key))) => (read(certificate)?, read(key)?),
        (TlsMode::Auto | TlsMode::File | TlsMode::Internal, _) => {
            let pem = internal(app).await?;
            (pem.clone(), pem)
        }
    };
    let chain = CertificateDer::pem_slice_iter(&certificates)
        .collect::<Result<Vec<_>, _>>()
        .context("read the dashboard's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&key).context("read the dashboard's private key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("use the dashboard's certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(config))
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

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
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
