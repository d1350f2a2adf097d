//! Whom this server believes when it asks others over TLS: the authorities that browsers know, and those of a file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Settings for a connection to a server that these vouch for.
pub(crate) fn client_config(ca: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca {
        for certificate in CertificateDer::pem_file_iter(file).with_context(|| format!("read {}", file.display()))? {
            roots.add(certificate.with_context(|| format!("read {}", file.display()))?)?;
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
